//! The configuration as people may see it: without its secrets.

use toml::Value;

/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// The last parts of keys whose values are secret.
const SECRET_KEYS: [&str; 3] = ["password", "secret", "token"];

/// A value as people may see it: nothing of a key that is secret, and no password in an address.
pub(super) fn shown(key: &str, value: &Value) -> Value {
    if SECRET_KEYS.contains(&key.rsplit('.').next().unwrap_or_default()) {
        return Value::from(HIDDEN);
    }
    without_passwords(value)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is no text holds no address")]
fn without_passwords(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(without_password(text)),
        Value::Array(items) => Value::Array(items.iter().map(without_passwords).collect()),
        value => value.clone(),
    }
}

/// An address with dots where its password is; any other text as it is.
fn without_password(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        // The last `@` before the parameters: where it is not escaped, a password may hold others, and slashes.
        let before_parameters = rest.split('?').next()?;
        let (user, _host) = before_parameters.rsplit_once('@')?;
        let after = rest.strip_prefix(user)?;
        match user.split_once(':') {
            Some((name, _password)) => Some(format!("{scheme}://{name}:{HIDDEN}{after}")),
            // A user of HTTP without a password is a token.
            None if scheme.starts_with("http") && !user.contains('/') => {
                Some(format!("{scheme}://{HIDDEN}{after}"))
            }
            None => None,
        }
    };
    let shown = hidden().unwrap_or_else(|| url.to_owned());
    let mut parts = shown.split("password=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| {
        let after = part.find(['&', ' ']).and_then(|end| part.get(end..)).unwrap_or_default();
        format!("{before}password={HIDDEN}{after}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let text = |text: &str| Value::from(text);
        let cases = [
            ("sources[0].password", text("hunter2"), text("…")),
            ("sources[0].password_file", text("mqtt.password"), text("mqtt.password")),
            ("auth.secret_env", text("NAME"), text("NAME")),
            ("storage.url", text("postgres://anita:p@ss:w@db/x"), text("postgres://anita:…@db/x")),
            (
                "storage.url",
                text("postgres://db/x?user=a&password=b&c=d"),
                text("postgres://db/x?user=a&password=…&c=d"),
            ),
            ("auth.jwks_url", text("https://u:p@id.example/keys"), text("https://u:…@id.example/keys")),
            ("storage.url", text("postgres://anita:kJ3/x9+Q==@db/x"), text("postgres://anita:…@db/x")),
            ("storage.url", text("postgres://anita@db/x"), text("postgres://anita@db/x")),
            (
                "storage.url",
                text("postgres://db/x?password=a&sslpassword=b c"),
                text("postgres://db/x?password=…&sslpassword=… c"),
            ),
            ("auth.jwks_url", text("https://TOKEN@id.example/keys"), text("https://…@id.example/keys")),
            ("auth.jwks_url", text("https://id.example/@me/keys"), text("https://id.example/@me/keys")),
            (
                "server.allowed_origins",
                Value::Array(vec![text("https://u:p@a")]),
                Value::Array(vec![text("https://u:…@a")]),
            ),
            ("limits.sockets_max", Value::from(7), Value::from(7)),
        ];
        for (key, value, expected) in cases {
            assert_eq!(shown(key, &value), expected, "{key}");
        }
    }
}
