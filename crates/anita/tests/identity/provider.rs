//! A real issuer in a process of its own: `oidc-provider` on Node, from the folder `issuer`.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub(crate) struct Provider {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) issuer: String,
}

impl Provider {
    /// `None`, with the reason on standard error, where there is no Node or the packages are not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With these in its environment: see the head of `issuer/provider.mjs`.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let is_installed = root.join("node_modules/oidc-provider").is_dir();
        let node = Command::new("node").arg("--version").output();
        if !is_installed || !node.is_ok_and(|it| it.status.success()) {
            assert!(
                std::env::var_os("ANITA_TEST_REQUIRE_SERVICES").is_none(),
                "a real issuer needs Node and its packages (npm ci), and ANITA_TEST_REQUIRE_SERVICES wants it"
            );
            return None;
        }
        let mut child = Command::new("node")
            .arg(root.join("issuer/provider.mjs"))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut provider = Self { child, stdin, lines, issuer: String::new() };
        provider.next()["issuer"].as_str().unwrap().clone_into(&mut provider.issuer);
        Some(provider)
    }

    /// The next line of JSON; its notices begin with another sign.
    fn next(&mut self) -> Value {
        let line = self.lines.by_ref().map(Result::unwrap).find(|line| line.starts_with('{')).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value["error"].is_null(), "{line}");
        value
    }

    pub(crate) fn ask(&mut self, line: &str) -> Value {
        writeln!(self.stdin, "{line}").unwrap();
        self.next()
    }

    /// A token by one of the ways in which applications get theirs.
    pub(crate) fn token(&mut self, grant: &str, resource: &str) -> String {
        self.ask(&format!("token {grant} {resource}"))["token"].as_str().unwrap().to_owned()
    }

    /// `STOP`, `CONT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
