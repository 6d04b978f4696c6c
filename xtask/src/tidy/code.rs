//! Rules for code: module docs, names, length, promises, and what must not be committed.

use super::SourceFile;

/// How long a file may be, lines without its tests.
const LINES_MAX: usize = 500;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "misc", "stuff"];

/// Words for work that was put off. Taken apart, so that this file holds none.
const PROMISES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders of one machine. Taken apart, so that this file names none.
const MACHINE_FOLDERS: [&str; 3] = [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];

/// The one crate that may have unsafe code.
const UNSAFE_CRATE: &str = "crates/anita-uring/";

const CODE: [&str; 9] = [".rs", ".ts", ".tsx", ".js", ".py", ".sh", ".toml", ".md", ".css"];

pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    let rules = [module_doc, name, length, promises, machine_folders, registries, unsafe_code];
    files.iter().flat_map(|file| rules.iter().flat_map(|rule| rule(file))).collect()
}

/// Every Rust file begins with what it is.
fn module_doc(file: &SourceFile) -> Vec<String> {
    let first = file.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    let is_fine =
        !file.is_any(&[".rs"]) || file.is_test() || first.is_some_and(|line| line.starts_with("//!"));
    let text = || format!("{}: no module doc (//!) at its top", file.path);
    (!is_fine).then(text).into_iter().collect()
}

/// A file is named after what is in it.
fn name(file: &SourceFile) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let is_empty = file.is_any(&CODE) && EMPTY_NAMES.contains(&stem);
    let text = || format!("{}: a name that says nothing of what is in it", file.path);
    (is_empty).then(text).into_iter().collect()
}

/// A Rust file is read in one sitting.
fn length(file: &SourceFile) -> Vec<String> {
    if !file.is_any(&[".rs"]) || file.is_test() {
        return Vec::new();
    }
    let lines = file.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    let text = || format!("{}: {lines} lines without its tests, at most {LINES_MAX}", file.path);
    (lines > LINES_MAX).then(text).into_iter().collect()
}

/// Work that was put off has an issue: its number stands in the same line.
fn promises(file: &SourceFile) -> Vec<String> {
    if !file.is_any(&CODE) {
        return Vec::new();
    }
    let is_open = |line: &str| {
        let words = line.split(|character: char| !character.is_alphanumeric());
        words.clone().any(|word| PROMISES.contains(&word)) && !has_issue(line)
    };
    numbered(file, is_open, "work that was put off names its issue: #12")
}

fn has_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// No path of the machine on which something was written.
fn machine_folders(file: &SourceFile) -> Vec<String> {
    let names_one = |line: &str| {
        MACHINE_FOLDERS.iter().any(|folder| {
            let before = line.split(folder).collect::<Vec<_>>();
            let (_last, before) = before.split_last().unwrap_or((&"", &[]));
            before.iter().any(|text| !text.ends_with(|it: char| it.is_alphanumeric() || "._-}".contains(it)))
        })
    };
    numbered(file, names_one, "a path of one machine")
}

/// Packages come from where each machine gets its packages.
fn registries(file: &SourceFile) -> Vec<String> {
    let is_lock = file.is_any(&["package-lock.json"]);
    let is_setting = file.is_any(&[".npmrc", ".cargo/config.toml", "pip.conf"]);
    let names_one = |line: &str| {
        let has_host = line.contains("http://") || line.contains("https://");
        is_lock && line.contains("\"resolved\": \"http") || is_setting && has_host
    };
    numbered(file, names_one, "the host of a registry")
}

/// Every crate forbids unsafe code, by itself or as the workspace does; but for one.
fn unsafe_code(file: &SourceFile) -> Vec<String> {
    let is_crate = file.path.rsplit('/').next() == Some("Cargo.toml") && file.text.contains("[package]");
    let forbids =
        file.text.contains("[lints]\nworkspace = true") || file.text.contains("unsafe_code = \"forbid\"");
    let is_fine = !is_crate || forbids || file.path.starts_with(UNSAFE_CRATE);
    let text = || format!("{}: does not forbid unsafe code; only {UNSAFE_CRATE} may have any", file.path);
    (!is_fine).then(text).into_iter().collect()
}

fn numbered(file: &SourceFile, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
    let lines = file.text.lines().enumerate().filter(|(_, line)| is_wrong(line));
    lines.map(|(index, _)| format!("{}:{}: {what}", file.path, index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_file_without_a_module_doc_is_caught() {
        assert_eq!(module_doc(&file("a/src/b.rs", "use std;\n")).len(), 1);
        assert!(module_doc(&file("a/src/b.rs", "#![no_main]\n\n//! What it is.\n")).is_empty());
        assert!(module_doc(&file("a/tests/b.rs", "use std;\n")).is_empty());
    }

    #[test]
    fn an_empty_name_is_caught() {
        assert_eq!(name(&file("sdk/src/helpers.ts", "")).len(), 1);
        assert!(name(&file("sdk/src/backoff.ts", "")).is_empty());
    }

    #[test]
    fn a_long_file_is_caught_and_its_tests_do_not_count() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(length(&file("a/src/b.rs", &long)).len(), 1);
        let with_tests = format!("x\n#[cfg(test)]\n{long}");
        assert!(length(&file("a/src/b.rs", &with_tests)).is_empty());
    }

    #[test]
    fn a_promise_without_an_issue_is_caught() {
        for word in PROMISES {
            assert_eq!(
                promises(&file("a.rs", &format!("// {word}: later"))),
                ["a.rs:1: work that was put off names its issue: #12"]
            );
            assert!(promises(&file("a.rs", &format!("// {word}(#12): later"))).is_empty());
        }
        assert!(promises(&file("a.rs", "let todos = 1;")).is_empty());
    }

    #[test]
    fn a_path_of_a_machine_is_caught() {
        for folder in MACHINE_FOLDERS {
            let found = machine_folders(&file("docs/a.md", &format!("see\n`{folder}x`")));
            assert_eq!(found, ["docs/a.md:2: a path of one machine"]);
            assert!(machine_folders(&file("docs/a.md", &format!("see docs{folder}x"))).is_empty());
        }
    }

    #[test]
    fn a_crate_that_lets_unsafe_code_in_is_caught() {
        let bare = "[package]\nname = \"anita-new\"\n";
        assert_eq!(unsafe_code(&file("crates/anita-new/Cargo.toml", bare)).len(), 1);
        assert!(unsafe_code(&file("crates/anita-uring/Cargo.toml", bare)).is_empty());
        let inheriting = format!("{bare}[lints]\nworkspace = true\n");
        assert!(unsafe_code(&file("crates/anita-new/Cargo.toml", &inheriting)).is_empty());
        let own = format!("{bare}[lints.rust]\nunsafe_code = \"forbid\"\n");
        assert!(unsafe_code(&file("fuzz/Cargo.toml", &own)).is_empty());
    }

    #[test]
    fn a_registry_is_caught() {
        assert_eq!(registries(&file(".npmrc", "registry=https://packages.example/")).len(), 1);
        assert_eq!(
            registries(&file("package-lock.json", "  \"resolved\": \"https://packages.example/a.tgz\","))
                .len(),
            1
        );
        assert!(registries(&file("README.md", "https://packages.example/")).is_empty());
    }
}
