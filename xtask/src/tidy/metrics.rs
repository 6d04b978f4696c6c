//! Rules for metrics: each is described in the documents, and the documents name none that is not there.

use anita_metrics::{Described, Metrics};

use super::SourceFile;

const PREFIX: &str = "anita_";

/// What a histogram is shown as.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// What has such a name and is no metric: a cookie.
const OTHERS: [&str; 1] = ["anita_sign_in"];

/// What was, may be named there.
const HISTORY: &str = "CHANGELOG.md";

pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    let metrics = Metrics::default();
    let mut violations = unknown(files, metrics.described());
    violations.extend(undescribed(files, metrics.described()));
    violations
}

fn documents(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files.iter().filter(|file| file.is_any(&[".md"]) && file.path != HISTORY)
}

/// The names in a text that may be those of metrics.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.split(move |it: char| !is_part(it)).filter(|word| word.starts_with(PREFIX))
}

fn unknown(files: &[SourceFile], metrics: &[Described]) -> Vec<String> {
    let crates: Vec<String> = files
        .iter()
        .filter_map(|file| file.path.strip_suffix("/Cargo.toml")?.rsplit('/').next())
        .map(|name| name.replace('-', "_"))
        .collect();
    let is_other = |name: &str| OTHERS.contains(&name) || crates.iter().any(|it| it == name);
    let is_metric = |name: &str| {
        metrics.iter().any(|metric| {
            let part = name.strip_prefix(metric.name.as_str());
            part == Some("") || (metric.kind == "histogram" && part.is_some_and(|it| PARTS.contains(&it)))
        })
    };
    let mut violations = Vec::new();
    for file in documents(files) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let found = names(line).filter(|name| !is_other(name) && !is_metric(name));
            violations.extend(found.map(|name| format!("{}:{number}: there is no metric {name}", file.path)));
        }
    }
    violations
}

fn undescribed(files: &[SourceFile], metrics: &[Described]) -> Vec<String> {
    let is_named = |metric: &Described| {
        let mut pages = documents(files).filter(|file| file.path.starts_with("docs/"));
        pages.any(|page| names(&page.text).any(|name| name == metric.name))
    };
    let without = metrics.iter().filter(|metric| !is_named(metric));
    without.map(|metric| format!("no page in docs/ names the metric {}", metric.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_metric_that_is_not_there_is_caught_and_a_crate_is_none() {
        let text = "`anita_errors_total{code}` and\n`anita_error_total`, `anita_session=debug`, anita_ws::Socket,\n\
                    `anita_delivery_age_seconds_bucket` but `anita_connections_bucket`";
        let crates = ["crates/anita-session/Cargo.toml", "crates/anita-ws/Cargo.toml"].map(|it| file(it, ""));
        let mut files = vec![file("docs/LIMITS.md", text), file(HISTORY, "`anita_gone_total`")];
        files.extend(crates);
        let metrics = Metrics::default();
        assert_eq!(
            unknown(&files, metrics.described()),
            [
                "docs/LIMITS.md:2: there is no metric anita_error_total",
                "docs/LIMITS.md:3: there is no metric anita_connections_bucket"
            ]
        );
    }

    #[test]
    fn a_metric_that_no_page_names_is_caught() {
        let metrics = Metrics::default();
        let files = [file("docs/OPERATIONS.md", "`anita_errors_total`"), file("README.md", "`anita_rooms`")];
        let found = undescribed(&files, metrics.described());
        assert_eq!(found.len(), metrics.described().len() - 1);
        assert!(found.contains(&"no page in docs/ names the metric anita_rooms".to_owned()));
    }
}
