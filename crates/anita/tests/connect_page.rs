//! What the dashboard's page `connect` offers to be copied is what the server takes: every configuration passes
//! `anita check-config`, and the Rust program builds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the code of a test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../../dashboard/src/pages/connect/snippets/rust.rs"]
#[expect(
    dead_code,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of somebody else; it is built here and run by nobody"
)]
mod rust;

const SECRET: &str = "a secret of the tests, of 32 bytes or more\n";
const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n\
    [auth]\nissuer = \"anita\"\naudience = \"anita\"\nsecret_file = \"jwt.secret\"\n[storage]\nurl = \"memory\"\n";

fn snippets() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboard/src/pages/connect/snippets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

/// What `check-config` says of a server with this table of a source.
fn check(source: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("jwt.secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(folder.path().join("mqtt.password"), "hunter2\n").unwrap();
    let config = folder.path().join("anita.toml");
    std::fs::write(&config, format!("{SERVER}\n{source}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_anita"))
        .args(["check-config", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn every_configuration_to_copy_passes_check_config() {
    let files = snippets();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let said = check(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(said.contains("hall"), "{}: {said}", path.display());
    }
}

#[test]
fn what_stands_there_behind_a_hash_is_a_key_as_well() {
    for path in snippets() {
        let text = std::fs::read_to_string(&path).unwrap();
        let all =
            text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        check(&all).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn a_key_that_does_not_exist_would_be_noticed() {
    let error = check(
        "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://h\"\nformat = \"drtls\"\ntopic = \"x\"\n",
    );
    assert!(error.unwrap_err().contains("topic"));
}
