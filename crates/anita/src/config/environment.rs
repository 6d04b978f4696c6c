//! Variables that look as if they were for the server, and are not: one underscore where two are needed says nothing to it.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::ConfigError;
use super::load::{LIKENESS_MIN, PREFIX, leaves, read_value, set};
use super::raw::RawConfig;

/// What everything begins with that may have been meant for us.
const OURS: &str = "ANITA_";

/// The most parts of a name that are tried as sections and keys: more are no name of ours.
const PARTS_MAX: usize = 12;

/// The most variables that are told one by one.
const TOLD_MAX: usize = 20;

/// What is said of variables that begin like ours and set nothing; `named` are those whose value the configuration asks for.
pub(super) fn unread(environment: &BTreeMap<String, String>, named: &[&String]) -> Vec<String> {
    let meant = environment.iter().filter(|(name, value)| {
        name.starts_with(OURS)
            && !name.starts_with(PREFIX)
            && !named.contains(name)
            && !is_of_a_cluster(name, value)
    });
    meant.take(TOLD_MAX).map(|(name, _value)| told(name)).collect()
}

fn told(name: &str) -> String {
    match nearest(name) {
        Some(known) => format!(
            "{name} in the environment sets nothing: sections and keys are parted by two underscores; did you mean {known}?"
        ),
        None => format!(
            "{name} in the environment sets nothing: variables of the configuration are called {PREFIX}SECTION__KEY, as \
             {PREFIX}SERVER__LISTEN; `anita check-config` prints all keys"
        ),
    }
}

/// Kubernetes tells every container of a service `anita` where that is.
fn is_of_a_cluster(name: &str, value: &str) -> bool {
    let ends =
        ["_SERVICE_HOST", "_TCP_ADDR", "_TCP_PORT", "_TCP_PROTO", "_UDP_ADDR", "_UDP_PORT", "_UDP_PROTO"];
    name.contains("_SERVICE_PORT")
        || ends.iter().any(|end| name.ends_with(end))
        || ["tcp://", "udp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// The variable that may have been meant: the same words parted otherwise, else the one that is most alike.
fn nearest(name: &str) -> Option<String> {
    let words = name.get(OURS.len()..)?.to_ascii_lowercase();
    let words: Vec<&str> = words.split('_').filter(|word| !word.is_empty()).collect();
    let parted = if words.len() > PARTS_MAX { None } else { parted(&words) };
    parted.or_else(|| most_alike(&words.join("_"))).map(|key| variable(&key))
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The key that these words are, with one or two sections before it.
fn parted(words: &[&str]) -> Option<String> {
    let joined = |from: usize, to: usize| words.get(from..to).map(|words| words.join("_"));
    let of_one = (1..words.len()).filter_map(|at| Some([joined(0, at)?, joined(at, words.len())?].join(".")));
    let of_two =
        (1..words.len()).flat_map(|first| (first + 1..words.len()).map(move |second| (first, second)));
    let of_two = of_two.filter_map(|(first, second)| {
        Some([joined(0, first)?, joined(first, second)?, joined(second, words.len())?].join("."))
    });
    of_one.chain(of_two).find(|key| is_known(key))
}

/// Whether there is such a key, whatever its value may be.
fn is_known(key: &str) -> bool {
    let mut table = Table::new();
    // No key has this type at its place but one that takes any: what is said is of the value then, and not of the key.
    if set(&mut table, key, Value::Table(Table::new())).is_none() {
        return false;
    }
    match read_value::<RawConfig>(Value::Table(table), "") {
        Ok(_whole) => false,
        Err(ConfigError::UnknownKey { .. }) => false,
        Err(_of_the_value) => true,
    }
}

fn most_alike(words: &str) -> Option<String> {
    let mut keys = Vec::new();
    if let Ok(Value::Table(table)) = Value::try_from(RawConfig::default()) {
        leaves(&table, "", &mut |key, _value| keys.push(key));
    }
    let likeness = |key: &str| strsim::jaro_winkler(words, &key.replace('.', "_"));
    let best = keys.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)], named: &[&String]) -> Vec<String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        unread(&environment.collect(), named)
    }

    #[test]
    fn one_underscore_where_two_are_needed_is_told_with_the_name_that_was_meant() {
        let table = [
            ("ANITA_SERVER_LISTEN", "ANITA__SERVER__LISTEN"),
            ("ANITA_SERVER__LISTEN", "ANITA__SERVER__LISTEN"),
            ("ANITA_AUTH_SECRET_FILE", "ANITA__AUTH__SECRET_FILE"),
            ("ANITA_SERVER_TLS_CERT_FILE", "ANITA__SERVER__TLS__CERT_FILE"),
            ("ANITA_LIMITS_REQUESTS_PER_SECOND_AUTH", "ANITA__LIMITS__REQUESTS_PER_SECOND__AUTH"),
            ("ANITA_STORAGE_RETENTION_FIXES_DAYS", "ANITA__STORAGE__RETENTION__FIXES_DAYS"),
            ("ANITA_LOG_LEVL", "ANITA__LOG__LEVEL"),
        ];
        for (name, known) in table {
            let said = said(&[(name, "x")], &[]);
            assert!(said[0].contains(&format!("did you mean {known}?")), "{name}: {said:?}");
        }
        assert!(said(&[("ANITA_XYZZY", "x")], &[])[0].contains("ANITA__SECTION__KEY"));
    }

    #[test]
    fn what_is_ours_or_named_or_of_a_cluster_or_of_others_is_not_told() {
        let named = "ANITA_SECRET".to_owned();
        let variables = [
            ("ANITA__SERVER__LISTEN", "127.0.0.1:0"),
            ("ANITA_SECRET", "x"),
            ("ANITA_PORT", "tcp://10.0.0.1:8080"),
            ("ANITA_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("ANITA_SERVICE_HOST", "10.0.0.1"),
            ("ANITA_SERVICE_PORT_HTTP", "80"),
            ("MANITA_LISTEN", "x"),
        ];
        assert_eq!(said(&variables, &[&named]), [""; 0]);
    }
}
