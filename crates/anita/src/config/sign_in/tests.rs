use super::super::{Config, Written};
use super::*;

const ISSUER: &str = "[server]\nplaintext = \"loopback\"\npublic_url = \"http://127.0.0.1:8080\"\n[auth]\nissuer = \
                      \"https://id.example/realms/hall\"\ndiscovery = true\n[auth.sign_in]\n";

fn config(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt.secret"), "0123456789abcdef0123456789abcdef").unwrap();
    std::fs::write(folder.path().join("client.secret"), "a secret of the client\n").unwrap();
    std::fs::write(folder.path().join("empty.secret"), "\n").unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let written = Written::parse(&folder.path().join("anita.toml"), text, environment);
    written.and_then(|written| Config::from_written(&written)).map_err(|error| error.to_string())
}

#[test]
fn the_ways_to_sign_in_are_understood_each_with_its_own_address() {
    let text = r#"
        [server]
        public_url = "https://hub.example/tracking/"
        [auth]
        secret_file = "jwt.secret"
        [[auth.issuers]]
        issuer = "https://id.example/realms/hall"
        discovery = true
        [auth.issuers.sign_in]
        client_id = "board"
        client_secret_file = "client.secret"
        [[auth.issuers]]
        issuer = "https://tenant.example/"
        jwks_url = "https://tenant.example/.well-known/jwks.json"
        [auth.issuers.sign_in]
        id = "tenant"
        label = "Our company"
        client_id = "board"
        client_secret_env = "THE_SECRET"
        scopes = ["openid", "offline_access"]
        parameters = { audience = "https://hub.example" }
        rights = "id_token"
        sign_out_at_issuer = true
    "#;
    let config = config(text, &[("THE_SECRET", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let sign_in = config.sign_in.unwrap();
    let [first, second] = sign_in.ways.as_slice() else { panic!() };
    assert_eq!(first.redirect_uri, "https://hub.example/tracking/api/v1/sign-in/oidc/callback");
    assert_eq!((first.label.as_str(), first.rights), ("id.example", Rights::AccessToken));
    assert!(matches!(first.client_secret, Some(ClientSecret::File(_))));
    assert_eq!(second.redirect_uri, "https://hub.example/tracking/api/v1/sign-in/tenant/callback");
    assert_eq!((second.label.as_str(), second.rights), ("Our company", Rights::IdToken));
    let configuration = KeyAddress::discovery("https://tenant.example").unwrap();
    assert_eq!(second.configuration, configuration);
    assert_eq!(first.post_logout_redirect_uri, None);
    assert_eq!(second.post_logout_redirect_uri.as_deref(), Some("https://hub.example/tracking/"));
}

#[test]
fn without_a_way_nothing_is_needed() {
    assert_eq!(config("[auth]\nsecret_file = \"jwt.secret\"", &[]).unwrap().sign_in, None);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let good = "client_id = \"board\"\n";
    let table = [
        ("", "auth.sign_in.client_id: is missing"),
        ("client_id = \"b\"\nid = \"A b\"", "auth.sign_in.id: \"A b\" can't be in an address"),
        ("client_id = \"b\"\nid = \"\"", "auth.sign_in.id: "),
        ("client_id = \"b\"\nlabel = \" \"", "auth.sign_in.label: "),
        ("client_id = \"b\"\nscopes = [\"profile\"]", "auth.sign_in.scopes: "),
        ("client_id = \"b\"\nscopes = [\"openid profile\"]", "auth.sign_in.scopes: "),
        ("client_id = \"b\"\nscopes = [\"openid\", \"a b\"]", "auth.sign_in.scopes: is a list"),
        ("client_id = \"b\"\nparameters = { state = \"x\" }", "auth.sign_in.parameters: state is said"),
        (
            "client_id = \"b\"\nresource = \"r\"\nparameters = { resource = \"x\" }",
            "auth.sign_in.parameters: ",
        ),
        ("client_id = \"b\"\nclient_secret_file = \"none\"", "auth.sign_in.client_secret_file: cannot read"),
        ("client_id = \"b\"\nclient_secret_file = \"empty.secret\"", "auth.sign_in.client_secret_file: "),
        ("client_id = \"b\"\nclient_secret_env = \"NONE\"", "auth.sign_in.client_secret_env: "),
        ("client_id = \"b\"\nclient_secret_env = \"A\"\nclient_secret_file = \"client.secret\"", "keep one"),
        ("client_id = \"b\"\nrights = \"both\"", "auth.sign_in.rights: "),
        ("client_id = \"b\"\nclient_secret = \"x\"", "auth.sign_in.client_secret: there is no such key"),
    ];
    for (more, message) in table {
        let error = config(&format!("{ISSUER}{more}"), &[]).unwrap_err();
        assert!(error.contains(message), "{more}: {error}");
    }
    assert!(config(&format!("{ISSUER}{good}"), &[]).is_ok());
    let table = [
        (ISSUER.replace("public_url", "#"), "server.public_url: is missing"),
        (ISSUER.replace("http://127.0.0.1:8080", "http://hub.example"), "server.public_url: "),
        (ISSUER.replace("plaintext", "#"), "server.public_url: begins with http://"),
        (ISSUER.replace("[auth]\n", "hosts = [\"hub.example\"]\n[auth]\n"), "server.public_url: is at"),
        (
            ISSUER.replace("discovery = true", "secret_file = \"jwt.secret\""),
            "auth.sign_in: needs an issuer that",
        ),
        (
            ISSUER
                .replace("https://id.example/realms/hall", "hall")
                .replace("discovery = true", "jwks_url = \"https://id.example/jwks\""),
            "auth.sign_in: needs an issuer whose name",
        ),
    ];
    for (text, message) in table {
        let error = config(&format!("{text}{good}"), &[]).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    let twice = format!(
        "{ISSUER}{good}[[auth.issuers]]\nissuer = \"https://b.example\"\ndiscovery = true\n[auth.issuers.sign_in]\n{good}"
    );
    assert!(
        config(&twice, &[]).unwrap_err().contains("auth.issuers[0].sign_in.id: \"oidc\" is there already")
    );
}
