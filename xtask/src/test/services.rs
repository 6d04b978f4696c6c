//! The suites that run against a program of ours, started for them on a free port.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::{Bench, Report};
use super::counts::Counts;
use super::programs::{LIVE, lint_and_types, vitest};
use super::{needs, venv};
use crate::fault::{Fault, Outcome};
use crate::process::{self, Running};
use crate::workspace;

/// Where the WebSocket conformance suite is kept, seen from the root.
const AUTOBAHN: &str = "../shared/tools/autobahn";

/// Names another number of messages for each case of its sections on compression; 0 is the suite's own, 1,000, which
/// takes ten minutes.
const AUTOBAHN_MESSAGES: &str = "ANITA_AUTOBAHN_MESSAGES";

/// So many are enough to meet every way to compress.
const AUTOBAHN_MESSAGES_DEFAULT: &str = "20";

pub(crate) fn live(bench: &mut Bench) -> Result<Report, Fault> {
    let program = bench.build_program()?;
    let server = Server::start(bench, &program)?;
    let token = server.token("viewer")?;
    let url = format!("ws://127.0.0.1:{}/ws/uwb", server.port);
    let environment = [
        ("ANITA_TEST_URL", url.as_str()),
        ("ANITA_TEST_TOKEN", token.as_str()),
        ("ANITA_BIN", &*program.to_string_lossy()),
    ];
    Ok(vitest(bench, "sdk", &LIVE, &environment)?.into())
}

/// `anita serve` on a free port, in plain text on loopback.
#[derive(Debug)]
struct Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    _running: Running,
}

impl Server {
    fn start(bench: &Bench, program: &Path) -> Result<Self, Fault> {
        let folder = bench.scratch("live")?;
        let port = process::free_port()?;
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nplaintext = \"loopback\"\n\n\
             [auth]\nissuer = \"anita\"\naudience = \"anita\"\nsecret_file = \"jwt.secret\"\n\n\
             [storage]\nurl = \"memory\"\n"
        );
        write(&folder.join("anita.toml"), &configuration)?;
        write(&folder.join("jwt.secret"), "a secret of tests, and of nothing else; 0123456789abcdef\n")?;
        private(&folder.join("jwt.secret"))?;
        let mut serve = Command::new(program);
        serve.args(["serve", "--config", "anita.toml"]).current_dir(&folder);
        let mut running = Running::start(&mut serve, &bench.log)?;
        bench.wait_for("the server listens", || {
            if running.poll()?.is_some() {
                return Err(Fault::new("the server ended before it listened"));
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(Self { program: program.to_owned(), folder, port, _running: running })
    }

    /// A token for a role, made by the program itself.
    fn token(&self, role: &str) -> Result<String, Fault> {
        let mut mint = Command::new(&self.program);
        mint.args(["token", "--config", "anita.toml", "--subject", "tester", "--role", role, "--ttl", "1h"]);
        let token = process::output(mint.current_dir(&self.folder));
        token.map(|token| token.trim().to_owned()).ok_or_else(|| Fault::new("`anita token` failed"))
    }
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| Fault::io("write", path, error))
}

/// A secret is for its owner alone.
fn private(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| Fault::io("protect", path, error))
}

pub(crate) fn python(bench: &mut Bench) -> Result<Report, Fault> {
    let folder = bench.root.join("tests/python");
    let has_tests = fs::read_dir(&folder).is_ok_and(|entries| {
        entries.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with("test_"))
    });
    if !has_tests {
        return Ok(Report::skipped("there is no tests/python/test_*.py"));
    }
    let program = bench.build_program()?;
    venv::unittest(bench, "tests/python", &[("ANITA_BIN", &program)])
}

pub(crate) fn pyclient(bench: &mut Bench) -> Result<Report, Fault> {
    let program = bench.build_program()?;
    // Its tests are a package, which is found from the folder above.
    venv::unittest_of(bench, "clients/python", &["-s", "tests", "-t", "."], &[("ANITA_BIN", &program)])
}

pub(crate) fn e2e(bench: &mut Bench) -> Result<Report, Fault> {
    let program = bench.build_program()?;
    // A program that the page offers to copy is written in Python.
    let python = venv::python(bench)?;
    let checks = lint_and_types(bench, "e2e")?;
    let environment = [
        ("ANITA_BIN", &*program.to_string_lossy()),
        ("ANITA_PYTHON", &*python.to_string_lossy()),
        ("ANITA_CHROMIUM", needs::chromium().unwrap_or_default()),
        ("ANITA_TEST_REQUIRE_SERVICES", "1"),
    ];
    Ok((checks + vitest(bench, "e2e", &[], &environment)?).into())
}

pub(crate) fn autobahn(bench: &mut Bench) -> Result<Report, Fault> {
    let messages = std::env::var_os(AUTOBAHN_MESSAGES);
    autobahn_with(bench, messages.as_deref().unwrap_or(OsStr::new(AUTOBAHN_MESSAGES_DEFAULT)))
}

/// The same with the suite's own numbers of messages: up to a thousand in a case.
pub(crate) fn autobahn_whole(bench: &mut Bench) -> Result<Report, Fault> {
    autobahn_with(bench, OsStr::new("0"))
}

fn autobahn_with(bench: &mut Bench, messages: &OsStr) -> Result<Report, Fault> {
    let suite = bench.root.join(AUTOBAHN);
    if !suite.join("run.sh").is_file() {
        return Ok(Report::skipped(format!("the conformance suite is not at {AUTOBAHN}")));
    }
    let home = bench.root.join("build/autobahn");
    fs::create_dir_all(&home).map_err(|error| Fault::io("create", &home, error))?;
    let script = |name: &str| {
        let mut command = workspace::command(&bench.root, "bash");
        command.arg(suite.join(name)).env("AUTOBAHN_HOME", &home);
        command
    };
    if !home.join("ready").is_file() {
        bench.prepare(&mut script("setup.sh"), "setting up the conformance suite")?;
        write(&home.join("ready"), "")?;
    }
    let mut build = bench.cargo(&["build", "--release", "--package", "anita-ws", "--example", "echo"]);
    bench.prepare(&mut build, "building the echo server")?;
    let port = process::free_port()?.to_string();
    let mut echo = Command::new(workspace::target_folder(&bench.root)?.join("release/examples/echo"));
    let _echo = Running::start(echo.args(["--listen", &format!("127.0.0.1:{port}")]), &bench.log)?;
    bench.wait_for("the echo server listens", || {
        Ok(TcpStream::connect(format!("127.0.0.1:{port}")).is_ok())
    })?;
    let mut run = script("run.sh");
    run.arg("--messages").arg(messages).args(["--sections", "--why", &port]);
    let (exit, output) = bench.capture(&mut run)?;
    Ok(Counts::of_autobahn(&output).of_command(exit).into())
}
