use super::*;

fn written(text: &str, environment: &[(&str, &str)]) -> Result<Written, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Written::parse(Path::new("anita.toml"), text, environment)
}

fn config(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt.secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let text = format!("{text}\n[auth]\nsecret_file = \"jwt.secret\"\n");
    let written = Written::parse(&folder.path().join("anita.toml"), &text, std::iter::empty())?;
    Config::from_written(&written)
}

#[test]
fn the_configuration_of_the_brief_is_understood() {
    let text = r#"
        [server]
        listen = "127.0.0.1:8080"
        plaintext = "loopback"
        [heartbeat]
        interval_secs = 25
        [storage]
        url = "sqlite:anita.db"
        [[sources]]
        name = "hall"
        type = "mqtt"
        url = "mqtt://127.0.0.1:1883"
        format = "drtls"
    "#;
    let config = config(text).unwrap();
    assert_eq!(config.listen.port(), 8080);
    assert_eq!(config.server.plaintext, Plaintext::Loopback);
    assert_eq!(config.sources.len(), 1);
    assert!(
        matches!(config.storage, Storage::Sqlite(path) if path.ends_with("anita.db") && path.is_absolute())
    );
}

#[test]
fn what_is_wrong_is_said_with_its_key_and_the_remedy() {
    let cases = [
        ("[server]\nlisen = \"127.0.0.1:1\"", "server.lisen: there is no such key; did you mean `listen`?"),
        ("[sever]\n", "sever: there is no such key; did you mean `server`?"),
        (
            "[server.tls]\ncertfile = \"x\"",
            "server.tls.certfile: there is no such key; did you mean `cert_file`?",
        ),
        ("[server]\nlisten = \"nowhere\"", "server.listen: "),
        ("[server]\nplaintext = \"always\"", "server.plaintext: unknown variant `always`"),
        (
            "[server]\nplaintext = \"trusted_proxy\"",
            "server.trusted_proxies: has to name the proxy's address",
        ),
        ("[server]\nallowed_origins = [\"*\"]", "server.allowed_origins: \"*\" is no origin"),
        ("[server.tls]\ncert_file = \"x\"", "server.tls.key_file: is missing beside cert_file"),
        ("[heartbeat]\ninterval_secs = 0", "heartbeat.interval_secs: has to be 1 to 300 seconds, and is 0"),
        ("[storage]\nurl = \"mysql:x\"", "storage.url: \"mysql:x\" is not understood"),
        ("[roles]\nviewer = [\"devices.see\"]", "roles.viewer: there is no permission \"devices.see\""),
        ("[devices]\nstale_after_secs = 99", "devices.stale_after_secs: is longer than the silence"),
        (
            "[[sources]]\nname = \"a\"\ntype = \"mqtt\"\nurl = \"mqtt://h:1\"\nformat = \"drtls\"\ntopic = \"x\"",
            "sources[0].topic: there is no such key; did you mean `topics`?",
        ),
        ("[proximity]\nenter_m = 0", "proximity.enter_m: has to be 0.01 to 1000 metres, and is 0"),
        ("[proximity]\nenter_m = 2\nleave_m = 1", "proximity.leave_m: is less than enter_m"),
        ("[[sources]]\nname = \"http\"\ntype = \"simulator\"", "sources[0].name: \"http\" is taken"),
    ];
    for (text, message) in cases {
        let error = config(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}\n  said: {error}");
    }
}

#[test]
fn without_a_key_the_remedy_is_named() {
    let error = Config::from_written(&written("", &[]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("openssl rand -hex 32 > jwt.secret"), "{error}");
}

#[test]
fn the_environment_goes_over_the_file_and_every_value_has_its_origin() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\n[heartbeat]\ninterval_secs = 3\n";
    let environment =
        [("ANITA__SERVER__LISTEN", "127.0.0.1:2"), ("ANITA__HEARTBEAT__INTERVAL_SECS", "4"), ("OTHER", "5")];
    let written = written(text, &environment).unwrap();
    assert_eq!(written.raw.server.listen.port(), 2);
    let explained = written.explained();
    let origin = |key: &str| explained.iter().find(|(it, ..)| it == key).unwrap().2.to_string();
    assert_eq!(origin("server.listen"), "environment ANITA__SERVER__LISTEN");
    assert_eq!(origin("server.plaintext"), "default");
    assert_eq!(origin("roles.viewer"), "default");
    let bad = super::load::Written::parse(
        Path::new("anita.toml"),
        "",
        std::iter::once(("ANITA__SERVER__LISEN".to_owned(), "x".to_owned())),
    );
    assert!(bad.unwrap_err().to_string().contains("did you mean `listen`?"));
}
