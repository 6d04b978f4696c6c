use anita_server::Plaintext;

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
    let Backend::Sqlite { path, .. } = config.storage.backend else { panic!("{:?}", config.storage) };
    assert!(path.ends_with("anita.db") && path.is_absolute());
}

#[test]
fn what_is_kept_and_how_long_is_understood() {
    let text = r#"
        [storage]
        url = "postgres://anita:secret@db/anita"
        durability = "none"
        commit_ms = 50
        [storage.retention]
        fixes_days = 365
        [[storage.retention.thinning]]
        after_days = 7
        every_secs = 1
        [[storage.retention.thinning]]
        after_days = 90
        every_secs = 60
    "#;
    let storage = config(text).unwrap().storage;
    assert_eq!(storage.durability, anita_hub::Durability::None);
    assert_eq!(storage.writer.commit_every, Duration::from_millis(50));
    assert_eq!(storage.retention.fixes.age_max, Some(Duration::from_secs(365 * 86_400)));
    assert_eq!(storage.retention.thinning.len(), 2);
    assert!(!format!("{storage:?}").contains("secret"));
}

#[test]
fn a_password_in_an_address_is_not_shown() {
    let cases = [
        ("postgres://anita:se:c@ret@db:5432/anita?x=1", "postgres://anita:…@db:5432/anita?x=1"),
        (
            "postgres://db/anita?user=a&password=secret&sslmode=require",
            "postgres://db/anita?user=a&password=…&sslmode=require",
        ),
        ("postgres://anita@db/anita", "postgres://anita@db/anita"),
        ("sqlite:a@b:c.db", "sqlite:a@b:c.db"),
    ];
    for (url, shown) in cases {
        let written = written(&format!("[storage]\nurl = \"{url}\""), &[]).unwrap();
        let explained = written.explained();
        let (_key, value, _origin) = explained.iter().find(|(key, ..)| key == "storage.url").unwrap();
        assert_eq!(value.as_str(), Some(shown));
    }
}

#[test]
fn an_origin_is_written_as_browsers_send_it() {
    let table = [
        ("https://B.example", "write \"https://b.example\""),
        ("https://b.example:443", "write \"https://b.example\""),
        ("HTTP://b.example:80", "write \"http://b.example\""),
        ("https://bücher.example", "write the host as xn--…"),
    ];
    for (origin, remedy) in table {
        let error = config(&format!("[server]\nallowed_origins = [\"{origin}\"]")).unwrap_err().to_string();
        let told = format!("server.allowed_origins: {origin:?} is no origin that a browser sends; {remedy}");
        assert_eq!(error, told);
    }
    for origin in
        ["https://b.example", "https://b.example:8443", "http://b.example:443", "https://[::1]:8443"]
    {
        assert!(config(&format!("[server]\nallowed_origins = [\"{origin}\"]")).is_ok(), "{origin}");
    }
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
        (
            "[limits]\nunauthenticated_max = 0",
            "limits.unauthenticated_max: is 0: then nobody could come in; write 1",
        ),
        (
            "[limits]\nhandshakes_per_second = 0",
            "limits.handshakes_per_second: is 0: then nobody could come in; write 1",
        ),
        (
            "[limits]\nhandshakes_per_second_per_address = 0",
            "limits.handshakes_per_second_per_address: is 0: then nobody could come in; write 1",
        ),
        (
            "[limits]\ntls_handshakes_per_second_per_address = 0",
            "limits.tls_handshakes_per_second_per_address: is 0: then nobody could come in; write 1",
        ),
        ("[limits]\nkeep_alive_secs = 0", "limits.keep_alive_secs: has to be 0.1 to 86400 seconds, and is 0"),
        ("[heartbeat]\ninterval_secs = 0", "heartbeat.interval_secs: has to be 1 to 300 seconds, and is 0"),
        ("[storage]\nurl = \"mysql:x\"", "storage.url: \"mysql\" is not understood"),
        ("[storage]\nurl = \"sqlite:\"", "storage.url: names no file; write sqlite:FILE"),
        ("[storage]\ncommit_ms = -1", "storage.commit_ms: has to be 0 to 10000 milliseconds, and is -1"),
        ("[storage]\ndurability = \"maybe\"", "storage.durability: unknown variant `maybe`"),
        ("[storage.retention]\nfixes_days = 0", "storage.retention.fixes_days: has to be more than 0"),
        (
            "[[storage.retention.thinning]]\nafter_days = 7\nevery_secs = 60\n\
             [[storage.retention.thinning]]\nafter_days = 90\nevery_secs = 1",
            "storage.retention.thinning: each step has to have a longer after_days and a longer every_secs",
        ),
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
fn the_limits_of_messages_have_bounds_with_a_meaning() {
    let cases = [
        ("unauthenticated_message_bytes_max", 9_216, 262_144, "from a token with its message to limits."),
        ("fragments_max", 1, 65_536, "1 allows no fragments"),
        ("json_nesting_max", 8, 16, "from what the protocol needs to what it allows"),
        ("views_per_connection_max", 1, 16, "at most what the protocol allows"),
        ("area_corners_max", 3, 64, "from a triangle to what the protocol allows"),
        ("pings_per_second", 10, 100_000, "the answers to the server's own pings are among them"),
    ];
    for (name, least, most, meaning) in cases {
        let with = |value: u32| config(&format!("[limits]\n{name} = {value}"));
        for value in [0, least - 1, most + 1] {
            let said = with(value).unwrap_err().to_string();
            let expected = format!("limits.{name}: has to be {least} to {most}, {meaning}");
            assert!(said.starts_with(&expected) && said.ends_with(&format!("and is {value}")), "{said}");
        }
        with(least).unwrap();
        with(most).unwrap();
    }
    let read = config("[limits]\nviews_per_connection_max = 3\nfragments_max = 5\njson_nesting_max = 9\narea_corners_max = 7\npings_per_second = 11\nunauthenticated_message_bytes_max = 10000").unwrap();
    let session = read.session;
    assert_eq!((read.server.fragments_max, session.views_per_connection_max), (5, 3));
    assert_eq!((session.json_nesting_max, session.area_corners_max, session.pings_per_second), (9, 7, 11));
    assert_eq!(session.unauthenticated_message_bytes_max, 10_000);
    // Without the keys it is as the protocol says.
    let default = config("").unwrap();
    assert_eq!(
        anita_session::SessionSettings { class_rates: default.session.class_rates, ..Default::default() },
        default.session
    );
    assert_eq!(default.server.fragments_max, anita_server::ServerSettings::default().fragments_max);
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

#[test]
fn a_limit_of_zero_that_would_let_nobody_do_anything_is_refused_with_its_place() {
    for key in [
        "limits.sockets_max",
        "limits.sockets_per_address_max",
        "limits.sockets_per_user_max",
        "limits.connections_per_address_max",
        "limits.unauthenticated_per_address_max",
        "limits.viewer_requests_per_second",
        "limits.publisher_requests_per_second",
        "limits.body_bytes_max",
        "devices.devices_max",
        "rooms.rooms_max",
        "rooms.rooms_per_connection_max",
        "rooms.members_max",
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let said = config(&format!("[{section}]\n{name} = 0")).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{key}: is 0: then ")), "{said}");
        assert!(said.contains("or more"), "what to write: {said}");
        config(&format!("[{section}]\n{name} = 1")).unwrap();
    }
    // Here it means something, and the table of limits says so.
    let free = config("[limits]\nmemory_bytes_max = 0\n[limits.requests_per_second]\nread = 0").unwrap();
    assert_eq!(free.server.memory_bytes_max, Some(0));
}
