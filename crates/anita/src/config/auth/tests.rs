use super::super::{Config, Written};
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(auth: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
    std::fs::write(folder.path().join("short.secret"), "short").unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let written = Written::parse(&folder.path().join("anita.toml"), auth, environment);
    written.and_then(|written| Config::from_written(&written)).map_err(|error| error.to_string())
}

#[test]
fn several_issuers_are_understood_each_with_its_claims() {
    let text = r#"
        [auth]
        secret_file = "jwt.secret"
        previous_secret_files = ["old.secret"]
        [[auth.issuers]]
        issuer = "https://id.example/realms/hall"
        audience = "hub"
        discovery = true
        token_type = "at+jwt"
        roles_claims = ["realm_access.roles", "resource_access.hub.roles"]
        roles_allowed = ["viewer", "operator"]
        [[auth.issuers]]
        issuer = "https://tenant.example/"
        jwks_url = "https://tenant.example/.well-known/jwks.json"
        roles_claims = ["https://example.com/roles"]
        permissions_claims = ["permissions"]
        role_prefix = "anita:"
    "#;
    let config = config(text, &[]).unwrap();
    assert!(config.minter.is_some());
    let names: Vec<&str> = config.issuers.iter().map(|it| it.rules.issuer.as_str()).collect();
    assert_eq!(names, ["anita", "https://id.example/realms/hall", "https://tenant.example/"]);
    assert_eq!(config.issuers[1].rules.audience, "hub");
    assert_eq!(config.issuers[1].rules.roles_allowed.as_ref().unwrap().len(), 2);
    let KeySource::Published(published) = &config.issuers[1].source else { panic!() };
    assert!(matches!(published.address, KeyAddress::Discovery(_)));
    assert_eq!(config.issuers[2].rules.claims.role_prefix.as_deref(), Some("anita:"));
}

#[test]
fn a_secret_can_come_from_the_environment_and_is_never_shown() {
    let text = "[auth]\nsecret_env = \"THE_SECRET\"\n";
    let config = config(text, &[("THE_SECRET", SECRET)]).unwrap();
    assert!(config.minter.is_some());
    assert!(!format!("{config:?}").contains(SECRET));
    let environment = [("THE_SECRET".to_owned(), SECRET.to_owned())];
    let written = Written::parse(Path::new("anita.toml"), text, environment.into_iter()).unwrap();
    assert!(!format!("{written:?} {:?}", written.explained()).contains(SECRET));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let table = [
        ("[auth]", "auth: names no key"),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\njwks_url = \"https://a/b\"",
            "auth: names secret_file and jwks_url",
        ),
        (
            "[auth]\nsecret_env = \"NOT_THERE\"",
            "auth.secret_env: the environment has no variable \"NOT_THERE\"",
        ),
        ("[auth]\nsecret_file = \"not.there\"", "auth.secret_file: cannot read"),
        ("[auth]\nsecret_file = \"short.secret\"", "auth.secret_file: "),
        (
            "[auth]\njwks_url = \"http://id.example/jwks\"",
            "auth.jwks_url: \"http://id.example/jwks\" has to begin with https://",
        ),
        ("[auth]\ndiscovery = true", "auth.issuer: with discovery = true it has to be an address"),
        (
            "[auth]\nissuer = \"certificate\"\nsecret_file = \"jwt.secret\"",
            "auth.issuer: is the name for those",
        ),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\n[[auth.issuers]]\nissuer = \"anita\"\nsecret_file = \"jwt.secret\"",
            "auth.issuers[0].issuer: \"anita\" is there already",
        ),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\n[[auth.issuers]]\nsecret_file = \"jwt.secret\"",
            "auth.issuers[0].issuer: is missing",
        ),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\nroles_allowed = [\"boss\"]",
            "auth.roles_allowed: there is no role \"boss\"",
        ),
        (
            "[auth]\njwks_url = \"https://a/b\"\nprevious_secret_files = [\"a\"]",
            "auth.previous_secret_files: means nothing",
        ),
        ("[auth]\nsecret_file = \"jwt.secret\"\nca_file = \"ca.pem\"", "auth.ca_file: means nothing"),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\njwks_refresh_secs = 60",
            "auth.jwks_refresh_secs: means nothing without jwks_url or discovery",
        ),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\n[[auth.issuers]]\nissuer = \"a\"\nsecret_file = \"jwt.secret\"\n\
             jwks_refresh_secs = 300",
            "auth.issuers[0].jwks_refresh_secs: means nothing",
        ),
        (
            "[auth]\njwks_url = \"https://a/b\"\njwks_refresh_secs = 0.5",
            "auth.jwks_refresh_secs: has to be 1 to 86400 seconds",
        ),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\n[[auth.issuers]]\nissuer = \"certificate\"\n\
             secret_file = \"jwt.secret\"",
            "auth.issuers[0].issuer: is the name for those",
        ),
        ("[auth]\nsecret_file = \"jwt.secret\"\nticket_ttl_secs = 0", "auth.ticket_ttl_secs: has to be"),
        (
            "[auth]\nsecret_file = \"jwt.secret\"\n[[auth.issuers]]\nisuer = \"a\"",
            "auth.issuers[0].isuer: there is no such key",
        ),
    ];
    for (text, expected) in table {
        let error = config(text, &[]).map(|_config| ()).unwrap_err();
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}
