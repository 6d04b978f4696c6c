use super::*;

fn parse(text: &str) -> Result<SourceConfig, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

/// The error of a table, or nothing if a source comes of it.
fn error(text: &str) -> String {
    match parse(text) {
        Err(error) => error,
        Ok(config) => config.build().map_or_else(|error| error.to_string(), |_| String::new()),
    }
}

#[test]
fn the_brief_is_a_configuration() {
    let text = "name = 'hall'\ntype = 'mqtt'\nurl = 'mqtt://127.0.0.1:1883'\nformat = 'drtls'\n";
    let source = parse(text).unwrap().build().unwrap();
    assert_eq!(source.name().as_str(), "hall");
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let mqtt = "type='mqtt'\nname='m'\nformat='pozyx'\n";
    let line = "type='line'\nname='l'\n";
    let cases = [
        (format!("{mqtt}url='mqtt://h'\nversion='5'\ntopics=['acme/tags','x/+/#']"), ""),
        (format!("{mqtt}url='mqtts://h'\nca_file='ca.pem'\nusername='u'\npassword='p'"), ""),
        (format!("{mqtt}url='mqtt://h'\nsecret=1"), "unknown field `secret`"),
        (
            format!("{mqtt}url='http://h'"),
            "source `m`: `url` must be `mqtt://host:port` or `mqtts://host:port`",
        ),
        (format!("{mqtt}url='mqtt://u:p@h'"), "`url` must not hold a user name"),
        (format!("{mqtt}url='mqtt://h'\nca_file='ca.pem'"), "`ca_file` is for TLS"),
        (format!("{mqtt}url='mqtt://h'\nclean_session=false"), "`client_id` is needed"),
        (format!("{mqtt}url='mqtt://h'\npassword_file='p'"), "`username` is needed"),
        (
            format!("{mqtt}url='mqtt://h'\nusername='u'\npassword='p'\npassword_file='p'"),
            "`password` and `password_file`",
        ),
        (format!("{mqtt}url='mqtt://h'\ntopics=[]"), "`topics` must be topic filters"),
        (format!("{mqtt}url='mqtt://h'\ntopics=['a/#/b']"), "`topics` must be topic filters"),
        (format!("{mqtt}url='mqtt://h'\ntopics=['a+']"), "`topics` must be topic filters"),
        (format!("{mqtt}url='mqtt://h'\nkeep_alive_secs=0"), "`keep_alive_secs` must be at least 1"),
        (format!("{mqtt}url='mqtt://h'\nsite='a b'"), "`site` is wrong: a site name must not contain ' '"),
        ("type='mqtt'\nname='m'\nformat='sewio'\nurl='mqtt://h'".into(), "unknown variant `sewio`"),
        ("type='carrier pigeon'\nname='m'".into(), "unknown variant `carrier pigeon`"),
        (format!("{line}url='serial:///dev/ttyACM0?baud=115200'\nwake=true\ndevice_id='T1'"), ""),
        (format!("{line}url='serial:///dev/ttyACM0'"), ""),
        (format!("{line}url='tcp://127.0.0.1:4000'\nformat='dwm1001'\nsilence_secs_max=60"), ""),
        (format!("{line}url='file://dwm.log'\nfrom_start=true"), ""),
        (
            format!("{line}url='serial:///dev/ttyACM0?speed=1'"),
            "`url` takes `?baud=<number>` and nothing else",
        ),
        (format!("{line}url='serial://'"), "`url` has no device"),
        (format!("{line}url='tcp://127.0.0.1'"), "`url` needs a port"),
        (format!("{line}url='/dev/ttyACM0'"), "`url` must be `serial:///dev/…"),
        (format!("{line}url='file://a'\nwake=true"), "`wake` is for devices"),
        (format!("{line}url='file://a'\nsilence_secs_max=1"), "`silence_secs_max` is for devices"),
        (format!("{line}url='tcp://h:1'\nfrom_start=true"), "`from_start` is for files"),
        (
            format!("{line}url='tcp://h:1'\ndevice_id=''"),
            "`device_id` is wrong: a device id must not be empty",
        ),
        ("type='simulator'\nname='s'".into(), ""),
        ("type='simulator'\nname='s'\ndevices=0".into(), "`devices` must be from 1 to 10000"),
    ];
    for (text, expected) in cases {
        let error = error(&text);
        assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{text}\n{error}");
    }
}

#[test]
fn a_password_is_not_printed() {
    let text = "type='mqtt'\nname='m'\nformat='pozyx'\nurl='mqtt://h'\nusername='u'\npassword='hunter2'";
    let config = parse(text).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn paths_are_relative_to_the_configuration() {
    let folder = Path::new("/etc/anita");
    let resolved = |text: &str| {
        let mut config = parse(text).unwrap();
        config.resolve_paths(folder);
        format!("{config:?}")
    };
    let mqtt =
        "type='mqtt'\nname='m'\nformat='pozyx'\nurl='mqtts://h'\nca_file='ca.pem'\npassword_file='/run/pw'";
    let mqtt = resolved(mqtt);
    assert!(mqtt.contains("/etc/anita/ca.pem") && mqtt.contains("\"/run/pw\""), "{mqtt}");
    let line = resolved("type='line'\nname='l'\nurl='file://dwm.log'");
    assert!(line.contains("file:///etc/anita/dwm.log"), "{line}");
    let line = resolved("type='line'\nname='l'\nurl='file:///var/log/dwm.log'");
    assert!(line.contains("\"file:///var/log/dwm.log\""), "{line}");
}

#[test]
fn the_configuration_has_a_schema() {
    let schema = serde_json::to_string(&schemars::schema_for!(SourceConfig)).unwrap();
    for key in ["password_file", "silence_secs_max", "3.1.1", "simulator"] {
        assert!(schema.contains(key), "{key}");
    }
}
