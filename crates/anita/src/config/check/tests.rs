use super::*;

/// A folder with a secret, and a configuration of it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self(folder);
        place.file("jwt.secret", "0123456789abcdef0123456789abcdef\n", 0o600);
        place
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn written(&self, text: &str, variables: &[(&str, &str)]) -> Written {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let text = format!("{text}\n[auth]\nsecret_file = \"jwt.secret\"\n");
        Written::parse(&self.0.path().join("anita.toml"), &text, variables).unwrap()
    }

    /// What is said of a configuration, with its causes; "" when it is good.
    fn said(&self, text: &str) -> String {
        let config = Config::from_written(&self.written(text, &[])).unwrap();
        config.check().map_or_else(|error| anita_sources::chain(&error), |()| String::new())
    }
}

const PLAIN: &str = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n";

#[test]
fn what_serve_would_refuse_is_said_with_its_place() {
    let place = Place::new();
    let made = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        place.file(&format!("{name}.pem"), &made.cert.pem(), 0o644);
        place.file(&format!("{name}.key"), &made.signing_key.serialize_pem(), 0o600);
    };
    made("one");
    made("other");
    place.file("text.pem", "no PEM", 0o644);
    let tls = |cert: &str, key: &str| {
        format!(
            "[server]\nlisten = \"0.0.0.0:0\"\n[server.tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n"
        )
    };
    let store = |url: &str| format!("{PLAIN}[storage]\nurl = \"{url}\"\n");
    let audit = |file: &str| format!("{PLAIN}[storage]\nurl = \"memory\"\n[audit]\nfile = \"{file}\"\n");
    let table = [
        (PLAIN.to_owned(), ""),
        (tls("one.pem", "one.key"), ""),
        (tls("one.pem", "other.key"), "server.tls: certificates and keys can't be used"),
        (tls("text.pem", "one.key"), "holds no certificate"),
        (tls("one.pem", "gone.key"), "gone.key"),
        (
            "[server]\nlisten = \"0.0.0.0:0\"\nplaintext = \"loopback\"\n".to_owned(),
            "server.listen: no certificate",
        ),
        (store("sqlite:gone/anita.db"), "storage.url: there is no folder"),
        (store("sqlite:."), "is a folder"),
        (audit("gone/audit.ndjson"), "audit.file: there is no folder"),
        (audit("audit.ndjson"), ""),
    ];
    for (text, expected) in table {
        let said = place.said(&text);
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{text}: {said}");
    }
    let left: Vec<_> = std::fs::read_dir(place.0.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "nothing is made by looking: {left:?}");
}

#[test]
fn a_secret_that_everybody_can_read_is_told_once_with_what_to_run() {
    let place = Place::new();
    let text = format!("{PLAIN}[storage]\nurl = \"memory\"\n");
    assert_eq!(place.written(&text, &[]).warnings(), [""; 0]);
    let path = place.file("jwt.secret", "0123456789abcdef0123456789abcdef\n", 0o644);
    let sources = "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1\"\nformat = \"drtls\"\npassword_file = \"mqtt.password\"\n";
    place.file("mqtt.password", "x", 0o604);
    let warnings = place.written(&format!("{text}{sources}"), &[]).warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let of_secret = warnings.iter().find(|it| it.starts_with("auth.secret_file: ")).unwrap();
    assert!(of_secret.ends_with(&format!("run: chmod o-rwx '{}'", path.display())), "{of_secret}");
    assert!(warnings.iter().any(|it| it.starts_with("sources[0].password_file: ")), "{warnings:?}");
}

#[test]
fn a_variable_that_sets_nothing_is_among_the_warnings() {
    let place = Place::new();
    let variables = [("ANITA_SERVER_LISTEN", "127.0.0.1:1"), ("ANITA__HEARTBEAT__INTERVAL_SECS", "9")];
    let warnings = place.written(PLAIN, &variables).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("did you mean ANITA__SERVER__LISTEN?"), "{warnings:?}");
}
