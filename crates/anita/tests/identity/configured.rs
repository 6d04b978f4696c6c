//! What is wrong with a configuration is said before anything starts, by `check-config` and by `serve` alike, with the exit
//! code of a configuration (`EX_CONFIG`): a supervisor need not try again.

use std::path::Path;
use std::process::{Command, Output};

use crate::house::SECRET;

fn anita(command: &str, folder: &Path) -> Output {
    let mut anita = Command::new(env!("CARGO_BIN_EXE_anita"));
    let anita = anita.args([command, "--config"]).arg(folder.join("anita.toml"));
    anita.env("ANITA_HEARTBEAT_INTERVAL_SECS", "9").output().unwrap()
}

#[test]
fn what_can_not_be_served_ends_serve_and_check_config_with_the_exit_code_of_a_configuration() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("jwt.secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    for name in ["one", "other"] {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(folder.path().join(format!("{name}.pem")), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    let plain = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n";
    let table = [
        ("[server]\nlisten = \"0.0.0.0:0\"\n[server.tls]\ncert_file = \"one.pem\"\nkey_file = \"other.key\"\n".to_owned(), "server.tls"),
        ("[server]\nlisten = \"0.0.0.0:0\"\nplaintext = \"loopback\"\n".to_owned(), "server.listen"),
        (format!("{plain}[storage]\nurl = \"sqlite:gone/anita.db\"\n"), "storage.url"),
        (format!("{plain}[audit]\nfile = \"gone/audit.ndjson\"\n"), "audit.file"),
        (format!("{plain}[log]\nlevel = \"lots\"\n"), "log.level"),
        (format!("{plain}[limits]\nbody_bytes_max = 0\n"), "limits.body_bytes_max"),
        (plain.replace("plaintext", "plain"), "server.plain"),
    ];
    for (text, key) in table {
        let text = format!("{text}[auth]\nsecret_file = \"jwt.secret\"\n");
        std::fs::write(folder.path().join("anita.toml"), text).unwrap();
        for command in ["serve", "check-config"] {
            let output = anita(command, folder.path());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{command}, {key}: {said}");
            assert!(said.contains(&format!("anita: {key}")), "{command}, {key}: {said}");
        }
    }
}

#[test]
fn what_is_hardly_meant_is_a_warning_and_no_fault() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("jwt.secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n";
    std::fs::write(folder.path().join("anita.toml"), text).unwrap();
    let output = anita("check-config", folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let chmod = format!("run: chmod o-rwx '{}'", secret.display());
    assert_eq!(said.matches(&chmod).count(), 1, "{said}");
    assert!(said.contains("did you mean ANITA__HEARTBEAT__INTERVAL_SECS?"), "{said}");
}
