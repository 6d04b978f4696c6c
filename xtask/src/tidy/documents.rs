//! Rules for Markdown: one title a page, and links that lead somewhere.

use std::path::{Component, Path};

use super::SourceFile;

pub(super) fn violations(files: &[SourceFile], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let pages = files.iter().filter(|file| file.is_any(&[".md"]));
    pages.flat_map(|page| title(page).into_iter().chain(links(page, &exists))).collect()
}

/// A page has exactly one title.
fn title(page: &SourceFile) -> Vec<String> {
    let titles = prose(&page.text).filter(|(_, line)| line.starts_with("# ")).count();
    if titles == 1 { Vec::new() } else { vec![format!("{}: {titles} titles (`# `), not one", page.path)] }
}

/// A relative link leads to a file that is there.
fn links(page: &SourceFile, exists: &impl Fn(&str) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in prose(&page.text) {
        for target in targets(line) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            let is_relative = !path.is_empty() && !path.contains(':') && !path.starts_with('/');
            if is_relative && !exists(&beside(&page.path, path)) {
                violations.push(format!("{}:{number}: the link to {target} leads nowhere", page.path));
            }
        }
    }
    violations
}

/// The lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((index + 1, line))
    })
}

/// What the links of a line lead to: `[text](target)`. Code in backticks is none.
fn targets(line: &str) -> Vec<&str> {
    let outside_code = line.split('`').step_by(2);
    let links = outside_code.flat_map(|text| text.split("](").skip(1));
    let mut targets: Vec<&str> =
        links.filter_map(|rest| rest.split([')', ' ']).next()).filter(|target| !target.is_empty()).collect();
    // A text in backticks divides the link: [`a`](b).
    targets.dedup();
    targets
}

/// A path that is relative to a file, from the root.
fn beside(file: &str, target: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<String> = Vec::new();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_page_without_one_title_is_caught() {
        assert_eq!(title(&file("a.md", "text")), ["a.md: 0 titles (`# `), not one"]);
        assert_eq!(title(&file("a.md", "# One\n# Two")), ["a.md: 2 titles (`# `), not one"]);
        assert!(title(&file("a.md", "# One\n```sh\n# a comment\n```\n## Part")).is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_caught() {
        let page = file(
            "docs/a.md",
            "[x](b.md#part) [`y`](../README.md) [z](missing.md) [w](https://example.com) `[v](code.md)` [u](#here)",
        );
        let found = links(&page, &|path: &str| ["docs/b.md", "README.md"].contains(&path));
        assert_eq!(found, ["docs/a.md:1: the link to missing.md leads nowhere"]);
    }
}
