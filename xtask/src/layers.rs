//! Which crate may use which, and which may use what of others: read from the manifests.
//!
//! A crate uses crates of lower floors only. A new line in these tables is a change of the design.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::fault::{Fault, Outcome};

/// What a crate of ours may use of ours, its tests apart.
const FLOORS: [(&str, &[&str]); 22] = [
    ("anita-model", &[]),
    ("anita-ws", &[]),
    ("anita-uring", &[]),
    ("anita-forwarded", &[]),
    ("anita-metrics", &["anita-model"]),
    ("anita-wire", &["anita-model"]),
    ("anita-auth", &["anita-model"]),
    ("anita-world", &["anita-model"]),
    ("anita-formats", &["anita-model"]),
    ("anita-store", &["anita-model"]),
    ("anita-sqlite", &["anita-model", "anita-store"]),
    ("anita-postgres", &["anita-model", "anita-sqlite", "anita-store"]),
    ("anita-sources", &["anita-formats", "anita-model"]),
    ("anita-client", &["anita-formats", "anita-model", "anita-wire"]),
    ("anita-issuers", &["anita-auth", "anita-metrics", "anita-model"]),
    ("anita-views", &["anita-auth", "anita-model", "anita-wire", "anita-world", "anita-ws"]),
    ("anita-hub", &HUB),
    ("anita-session", &SESSION),
    ("anita-server", &SERVER),
    ("anita", &ALL),
    ("anita-bench", &["anita-client", "anita-model", "anita-postgres", "anita-sqlite", "anita-store"]),
    ("xtask", &["anita-metrics", "anita-wire"]),
];

const HUB: [&str; 8] = [
    "anita-auth",
    "anita-metrics",
    "anita-model",
    "anita-store",
    "anita-views",
    "anita-wire",
    "anita-world",
    "anita-ws",
];

const SESSION: [&str; 9] = [
    "anita-auth",
    "anita-hub",
    "anita-metrics",
    "anita-model",
    "anita-store",
    "anita-views",
    "anita-wire",
    "anita-world",
    "anita-ws",
];

const SERVER: [&str; 14] = [
    "anita-auth",
    "anita-formats",
    "anita-forwarded",
    "anita-hub",
    "anita-issuers",
    "anita-metrics",
    "anita-model",
    "anita-session",
    "anita-store",
    "anita-uring",
    "anita-views",
    "anita-wire",
    "anita-world",
    "anita-ws",
];

const ALL: [&str; 19] = [
    "anita-auth",
    "anita-client",
    "anita-formats",
    "anita-forwarded",
    "anita-hub",
    "anita-issuers",
    "anita-metrics",
    "anita-model",
    "anita-postgres",
    "anita-server",
    "anita-session",
    "anita-sources",
    "anita-sqlite",
    "anita-store",
    "anita-uring",
    "anita-views",
    "anita-wire",
    "anita-world",
    "anita-ws",
];

/// What only some crates of ours may use of others, their tests apart.
const RESERVED: [(&str, &[&str]); 32] = [
    ("axum", &["anita-server"]),
    ("clap", &["anita", "anita-bench", "xtask"]),
    ("deadpool-postgres", &["anita-postgres"]),
    ("flate2", &["anita-server", "anita-ws"]),
    ("globset", &["anita-auth"]),
    ("hdrhistogram", &["anita-views"]),
    ("hyper", &["anita-client", "anita-server"]),
    ("hyper-util", &["anita-client", "anita-server"]),
    ("io-uring", &["anita-uring"]),
    ("ipnet", &["anita-forwarded"]),
    ("jiff", &["anita-model"]),
    ("jsonwebtoken", &["anita-auth"]),
    ("libc", &["anita-uring"]),
    ("prometheus-client", &["anita-metrics"]),
    ("quick-xml", &["anita-server"]),
    ("rcgen", &["anita-server"]),
    ("reqwest", &["anita-issuers"]),
    ("rumqttc-next", &["anita-sources"]),
    ("rumqttc-v4", &["anita-sources"]),
    ("rusqlite", &["anita-bench", "anita-sqlite"]),
    ("rust-embed", &["anita-server"]),
    ("rustix", &["anita", "anita-bench", "anita-server", "anita-ws"]),
    ("sd-notify", &["anita"]),
    ("socket2", &["anita-server"]),
    ("tokio-postgres", &["anita-bench", "anita-postgres"]),
    ("tokio-postgres-rustls", &["anita-postgres"]),
    ("tokio-rustls", &["anita-client", "anita-server"]),
    ("tokio-serial", &["anita-sources"]),
    ("tokio-tungstenite", &["anita-client"]),
    ("tower", &["anita-server"]),
    ("tracing-subscriber", &["anita"]),
    ("x509-parser", &["anita-server"]),
];

/// Crates without a clock, a task or a socket.
const PURE: [&str; 8] = [
    "anita-auth",
    "anita-formats",
    "anita-forwarded",
    "anita-model",
    "anita-session",
    "anita-views",
    "anita-wire",
    "anita-world",
];

/// What a pure crate must not use.
const IMPURE: [&str; 4] = ["rand", "tokio", "tokio-util", "tracing-subscriber"];

/// What is for tests alone.
const FOR_TESTS: [&str; 3] = ["jsonschema", "proptest", "tempfile"];

/// A manifest.
#[derive(Debug)]
struct Manifest {
    /// The name of its crate, or the file of one that has none.
    name: String,
    text: String,
    table: Table,
}

/// Checks all manifests of the workspace.
pub(crate) fn check(root: &Path) -> Outcome {
    let mut violations = Vec::new();
    for manifest in manifests(root)? {
        violations.extend(judge(&manifest));
    }
    Fault::unless_empty(&violations, "the tables are in xtask/src/layers.rs, the floors in ARCHITECTURE.md")
}

fn manifests(root: &Path) -> Result<Vec<Manifest>, Fault> {
    let crates = root.join("crates");
    let entries = fs::read_dir(&crates).map_err(|error| Fault::io("read", &crates, error))?;
    let mut paths: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path().join("Cargo.toml")).collect();
    let others = ["Cargo.toml", "bench/Cargo.toml", "xtask/Cargo.toml", "fuzz/Cargo.toml"];
    paths.extend(others.map(|path| root.join(path)));
    paths.sort();
    paths.retain(|path| path.is_file());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Manifest, Fault> {
    let text = fs::read_to_string(path).map_err(|error| Fault::io("read", path, error))?;
    parse(&text).map_err(|error| Fault::new(format!("{}: {error}", path.display())))
}

fn parse(text: &str) -> Result<Manifest, toml::de::Error> {
    let table: Table = text.parse()?;
    let name = table.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
    Ok(Manifest { name: name.unwrap_or("Cargo.toml").to_owned(), text: text.to_owned(), table })
}

/// Every violation of a manifest.
fn judge(manifest: &Manifest) -> Vec<String> {
    let mut violations = without_reason(manifest);
    let name = manifest.name.as_str();
    if name == "Cargo.toml" || name == "anita-fuzz" {
        return violations;
    }
    let Some((_, may_use)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
        violations.push(format!("{name} has no floor: add it to the table"));
        return violations;
    };
    for used in dependencies(manifest) {
        let is_ours = FLOORS.iter().any(|(floor, _)| *floor == used);
        if is_ours && !may_use.contains(&used.as_str()) {
            violations.push(format!("{name} must not use {used}: it is not on a lower floor"));
        }
        if PURE.contains(&name) && IMPURE.contains(&used.as_str()) {
            violations.push(format!("{name} must not use {used}: it has no clock, no task and no socket"));
        }
        if FOR_TESTS.contains(&used.as_str()) {
            violations.push(format!("{name} must not use {used} outside its tests"));
        }
        if let Some((_, owners)) = RESERVED.iter().find(|(reserved, _)| *reserved == used)
            && !owners.contains(&name)
        {
            violations.push(format!("{name} must not use {used}: only {} may", owners.join(" and ")));
        }
    }
    violations
}

/// What the crate itself uses: not what its tests do.
fn dependencies(manifest: &Manifest) -> Vec<String> {
    let of = |table: &Table| -> Vec<String> {
        let sections = ["dependencies", "build-dependencies"].into_iter().filter_map(|name| table.get(name));
        sections.filter_map(|it| it.as_table()).flat_map(|it| it.keys().cloned()).collect()
    };
    let targets = manifest.table.get("target").and_then(|it| it.as_table());
    let for_targets = targets.into_iter().flat_map(|it| it.values()).filter_map(|it| it.as_table());
    of(&manifest.table).into_iter().chain(for_targets.flat_map(of)).collect()
}

/// Dependencies that say nothing of why they are there. Those of the workspace say it at the root.
fn without_reason(manifest: &Manifest) -> Vec<String> {
    let mut violations = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            if section.contains("dependencies.") {
                violations.push(format!("{}: write {line} on one line, with its reason", manifest.name));
            }
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| in_dependencies) else { continue };
        let is_elsewhere =
            name.contains(".workspace") || value.contains("workspace = true") || value.contains("path =");
        if !line.starts_with('#') && !is_elsewhere && !has_comment(value) {
            violations.push(format!("{}: {} has no reason in its line", manifest.name, name.trim()));
        }
    }
    violations
}

/// Whether a comment follows the value.
fn has_comment(value: &str) -> bool {
    // Every second piece is inside quotes, until the comment begins.
    value.split('"').step_by(2).any(|outside| outside.contains("# "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(text: &str) -> Vec<String> {
        judge(&parse(text).unwrap())
    }

    fn with(name: &str, dependencies: &str) -> Vec<String> {
        violations(&format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependencies}\n"))
    }

    #[test]
    fn a_crate_that_looks_up_is_caught() {
        assert_eq!(
            with("anita-world", "anita-hub.workspace = true"),
            ["anita-world must not use anita-hub: it is not on a lower floor"]
        );
        assert!(with("anita-hub", "anita-world.workspace = true").is_empty());
    }

    #[test]
    fn drivers_belong_to_their_crate() {
        assert_eq!(
            with("anita-hub", "rusqlite.workspace = true"),
            ["anita-hub must not use rusqlite: only anita-bench and anita-sqlite may"]
        );
        assert!(with("anita-sqlite", "rusqlite.workspace = true").is_empty());
    }

    #[test]
    fn pure_crates_have_no_runtime_except_in_tests() {
        let found = with("anita-session", "tokio = { workspace = true, features = [\"sync\"] }");
        assert_eq!(found, ["anita-session must not use tokio: it has no clock, no task and no socket"]);
        let tests = "[package]\nname = \"anita-session\"\n[dev-dependencies]\ntokio.workspace = true\n";
        assert!(violations(tests).is_empty());
        let target =
            "[package]\nname = \"anita-wire\"\n[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n";
        assert_eq!(violations(target).len(), 1);
    }

    #[test]
    fn test_libraries_stay_in_tests() {
        assert_eq!(
            with("anita-wire", "proptest.workspace = true"),
            ["anita-wire must not use proptest outside its tests"]
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_caught() {
        assert_eq!(with("anita-new", ""), ["anita-new has no floor: add it to the table"]);
    }

    #[test]
    fn a_dependency_without_a_reason_is_caught() {
        assert_eq!(with("anita-ws", "sha1 = \"0.10\""), ["anita-ws: sha1 has no reason in its line"]);
        assert!(with("anita-ws", "sha1 = \"0.10\" # Sec-WebSocket-Accept").is_empty());
        assert!(with("anita-ws", "strsim = \"0.11\" # \"did you mean\", for keys").is_empty());
        let root =
            "[workspace.dependencies]\nours = { path = \"crates/ours\" }\nhttp = { version = \"1\" }\n";
        assert_eq!(violations(root), ["Cargo.toml: http has no reason in its line"]);
        let table = "[package]\nname = \"anita-ws\"\n[dependencies.http]\nversion = \"1\"\n";
        assert_eq!(violations(table), ["anita-ws: write [dependencies.http] on one line, with its reason"]);
    }

    #[test]
    fn every_floor_uses_only_floors_before_it() {
        for (place, (name, uses)) in FLOORS.iter().enumerate() {
            for used in *uses {
                let used_place = FLOORS.iter().position(|(floor, _)| floor == used).unwrap();
                assert!(used_place < place, "{name} uses {used}");
            }
        }
    }
}
