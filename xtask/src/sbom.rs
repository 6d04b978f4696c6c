//! The software bill of materials of the program, `CycloneDX` 1.6: every crate that is compiled into it, or compiles it,
//! and every npm package that the embedded dashboard is bundled from. The same sources give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use toml::Table;

use crate::fault::{Fault, Outcome};
use crate::{process, workspace};

/// The program's own package.
const PROGRAM: &str = "anita";

/// Parts of the web that are bundled into the program, by their folders.
const BUNDLED: [&str; 2] = ["sdk", "dashboard"];

/// What is known of a part.
#[derive(Debug, Default)]
struct Part {
    name: String,
    version: String,
    licence: Option<String>,
    /// The algorithm by `CycloneDX`, and the hash in hexadecimal.
    hash: Option<(&'static str, String)>,
    /// Whether it is in the program, and not only needed to build it.
    is_inside: bool,
    uses: BTreeSet<String>,
}

/// Parts by their package URL.
type Parts = BTreeMap<String, Part>;

/// Writes the bill.
pub(crate) fn write(root: &Path, file: &Path) -> Outcome {
    let text = format!("{:#}\n", document(root)?);
    fs::write(file, text).map_err(|error| Fault::io("write", file, error))
}

fn document(root: &Path) -> Result<Value, Fault> {
    let mut parts = crates(root)?;
    let (packages, bundled) = packages(root)?;
    parts.extend(packages);
    let program = parts.iter().find(|(_url, part)| part.name == PROGRAM).map(|(url, _part)| url.clone());
    let program = program.ok_or_else(|| Fault::new("cargo metadata does not know the program"))?;
    let mut of_program = parts.remove(&program).unwrap_or_default();
    of_program.uses.extend(bundled);
    let mut dependencies = vec![json!({ "ref": program, "dependsOn": of_program.uses })];
    dependencies.extend(parts.iter().map(|(url, part)| json!({ "ref": url, "dependsOn": part.uses })));
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(&program, &of_program, "application") },
        "components": parts.iter().map(|(url, part)| component(url, part, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies,
    }))
}

fn component(url: &str, part: &Part, kind: &str) -> Value {
    let mut component = Map::new();
    let mut put = |name: &str, value: Value| component.insert(name.to_owned(), value);
    put("type", json!(kind));
    put("bom-ref", json!(url));
    put("name", json!(part.name));
    put("version", json!(part.version));
    put("purl", json!(url));
    put("scope", json!(if part.is_inside { "required" } else { "excluded" }));
    if let Some(licence) = &part.licence {
        put("licenses", json!([{ "expression": licence }]));
    }
    if let Some((algorithm, hash)) = &part.hash {
        put("hashes", json!([{ "alg": algorithm, "content": hash }]));
    }
    Value::Object(component)
}

// --- crates

/// Every crate that the program is compiled from on this kind of machine. Which they are says `cargo tree`, which knows
/// the features that are on; what they are says `cargo metadata`.
fn crates(root: &Path) -> Result<Parts, Fault> {
    let inside = tree(root, "normal")?;
    let all = tree(root, "normal,build")?;
    let metadata = metadata(root)?;
    let list =
        |pointer: &str| metadata.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let (nodes, packages) = (list("/resolve/nodes"), list("/packages"));
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|node| (text(node, "id"), node)).collect();
    let named: BTreeMap<&str, NameVersion> =
        packages.iter().map(|it| (text(it, "id"), name_version(it))).collect();
    let checksums = checksums(root)?;
    let mut parts = Parts::new();
    for package in &packages {
        let key = name_version(package);
        if !all.contains(&key) {
            continue;
        }
        let below = nodes.get(text(package, "id")).map(|node| uses(node)).unwrap_or_default();
        let below = below.into_iter().filter_map(|id| named.get(id)).filter(|key| all.contains(*key));
        let hash = checksums.get(&key).map(|hash| ("SHA-256", hash.clone()));
        // Old manifests write a slash where SPDX has a word.
        let licence = package.get("license").and_then(Value::as_str).map(|it| it.replace('/', " OR "));
        let uses = below.map(|(name, version)| url("cargo", name, version)).collect();
        let is_inside = inside.contains(&key);
        let (name, version) = key;
        let place = url("cargo", &name, &version);
        parts.insert(place, Part { name, version, licence, hash, is_inside, uses });
    }
    Ok(parts)
}

/// The name and the version of a crate.
type NameVersion = (String, String);

fn name_version(package: &Value) -> NameVersion {
    (text(package, "name").to_owned(), text(package, "version").to_owned())
}

/// The crates that the program reaches by these kinds of edges.
fn tree(root: &Path, edges: &str) -> Result<BTreeSet<NameVersion>, Fault> {
    let arguments = ["tree", "--locked", "--package", PROGRAM, "--edges", edges, "--prefix", "none"];
    let printed = process::output(&mut workspace::cargo(root, &arguments));
    let printed = printed.ok_or_else(|| Fault::new("cargo tree --locked failed: run it to see why"))?;
    Ok(printed.lines().filter_map(listed).collect())
}

/// `serde v1.0.1 (proc-macro)` and the like.
fn listed(line: &str) -> Option<NameVersion> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

fn metadata(root: &Path) -> Result<Value, Fault> {
    let text =
        process::output(&mut workspace::cargo(root, &["metadata", "--format-version", "1", "--locked"]));
    let metadata = text.and_then(|text| serde_json::from_str(&text).ok());
    metadata.ok_or_else(|| Fault::new("cargo metadata --locked failed: run it to see why"))
}

/// What a crate uses, its tests apart.
fn uses(node: &Value) -> Vec<&str> {
    let is_used = |kind: &Value| kind.get("kind").and_then(Value::as_str) != Some("dev");
    let used = node.get("deps").and_then(Value::as_array).into_iter().flatten();
    let used = used.filter(|dependency| {
        dependency.get("dep_kinds").and_then(Value::as_array).into_iter().flatten().any(is_used)
    });
    used.map(|dependency| text(dependency, "pkg")).collect()
}

/// The SHA-256 of each crate's archive, from the lock file.
fn checksums(root: &Path) -> Result<BTreeMap<NameVersion, String>, Fault> {
    let path = root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|error| Fault::io("read", &path, error))?;
    let lock: Table = lock.parse().map_err(|error| Fault::new(format!("{}: {error}", path.display())))?;
    let packages = lock.get("package").and_then(|it| it.as_array()).into_iter().flatten();
    let of = |package: &toml::Value, name: &str| package.get(name)?.as_str().map(str::to_owned);
    let sums = packages.filter_map(|it| Some(((of(it, "name")?, of(it, "version")?), of(it, "checksum")?)));
    Ok(sums.collect())
}

// --- npm's packages

/// Every npm package that is bundled, and those of them that our own parts name.
fn packages(root: &Path) -> Result<(Parts, BTreeSet<String>), Fault> {
    let path = root.join("package-lock.json");
    let lock = fs::read_to_string(&path).map_err(|error| Fault::io("read", &path, error))?;
    let lock: Value =
        serde_json::from_str(&lock).map_err(|error| Fault::new(format!("{}: {error}", path.display())))?;
    let entries = lock.get("packages").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut parts = Parts::new();
    let mut roots = BTreeSet::new();
    let mut waiting: Vec<String> = BUNDLED.map(str::to_owned).to_vec();
    while let Some(place) = waiting.pop() {
        let Some(entry) = entries.get(&place) else { continue };
        let name = entry.get("name").and_then(Value::as_str);
        let name = name.or_else(|| place.rsplit_once("node_modules/").map(|(_before, name)| name));
        let url_here = url("npm", name.unwrap_or(&place), text(entry, "version"));
        if BUNDLED.contains(&place.as_str()) {
            roots.insert(url_here.clone());
        }
        let used: Vec<String> = used_packages(entry).map(|name| place_of(&entries, &place, name)).collect();
        let url_of = |place: &String| {
            let entry = entries.get(place)?;
            let name = entry.get("name").and_then(Value::as_str);
            let name = name.or_else(|| place.rsplit_once("node_modules/").map(|(_before, name)| name))?;
            Some(url("npm", name, text(entry, "version")))
        };
        let part = Part {
            name: name.unwrap_or(&place).to_owned(),
            version: text(entry, "version").to_owned(),
            licence: entry.get("license").and_then(Value::as_str).map(str::to_owned),
            hash: sha512(text(entry, "integrity")).map(|hash| ("SHA-512", hash)),
            is_inside: true,
            uses: used.iter().filter_map(url_of).collect(),
        };
        if parts.insert(url_here, part).is_none() {
            waiting.extend(used);
        }
    }
    Ok((parts, roots))
}

/// The names that an entry uses when it runs.
fn used_packages(entry: &Value) -> impl Iterator<Item = &str> {
    let names = entry.get("dependencies").and_then(Value::as_object);
    names.into_iter().flat_map(|names| names.keys().map(String::as_str))
}

/// Where a package is that another one uses: beside it or farther up, and behind a link where it is one of ours.
fn place_of(entries: &Map<String, Value>, user: &str, name: &str) -> String {
    let own = format!("{user}/node_modules/{name}");
    let place = if entries.contains_key(&own) { own } else { format!("node_modules/{name}") };
    let linked = entries.get(&place).filter(|entry| entry.get("link").is_some());
    linked.map_or(place, |entry| text(entry, "resolved").to_owned())
}

/// `sha512-…` in base64 as hexadecimal.
fn sha512(integrity: &str) -> Option<String> {
    let bytes = STANDARD.decode(integrity.strip_prefix("sha512-")?).ok()?;
    Some(hexadecimal(&bytes))
}

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// A package URL. The `@` of a scope is escaped in it.
fn url(kind: &str, name: &str, version: &str) -> String {
    format!("pkg:{kind}/{}@{}", name.replace('@', "%40"), version.replace('+', "%2B"))
}

/// A member that is a text; empty where it is none.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_escape_what_they_have_to() {
        assert_eq!(url("cargo", "serde", "1.0.1"), "pkg:cargo/serde@1.0.1");
        assert_eq!(url("npm", "@preact/signals", "2.0.0"), "pkg:npm/%40preact/signals@2.0.0");
        assert_eq!(url("cargo", "zstd-sys", "2.0.1+zstd.1"), "pkg:cargo/zstd-sys@2.0.1%2Bzstd.1");
    }

    #[test]
    fn integrity_is_read_as_hexadecimal() {
        assert_eq!(sha512("sha512-AQID/w==").as_deref(), Some("010203ff"));
        assert_eq!(sha512("sha1-AQID"), None);
    }

    #[test]
    fn tests_of_a_crate_are_not_what_it_uses() {
        let edge = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let edges = [edge("b", Value::Null), edge("c", json!("build")), edge("d", json!("dev"))];
        assert_eq!(uses(&json!({ "id": "a", "deps": edges })), ["b", "c"]);
    }

    #[test]
    fn lines_of_the_tree_are_read() {
        let serde = Some(("serde".to_owned(), "1.0.1".to_owned()));
        assert_eq!(listed("serde v1.0.1"), serde);
        assert_eq!(listed("serde v1.0.1 (proc-macro) (*)"), serde);
        assert_eq!(listed(""), None);
    }
}
