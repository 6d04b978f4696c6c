//! Rules for the protocol: every code has its golden example, every limit its line in the page of limits.

use anita_wire::{CloseCode, ErrorCode, limits};

use super::SourceFile;

const GOLDEN: &str = "conformance/wire";
const LIMITS_PAGE: &str = "docs/LIMITS.md";

pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    let mut violations = error_codes(files);
    violations.extend(close_codes(files));
    violations.extend(limits_page(files));
    violations
}

fn text_of<'a>(files: &'a [SourceFile], path: &str) -> Option<&'a str> {
    files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
}

fn error_codes(files: &[SourceFile]) -> Vec<String> {
    let without = ErrorCode::ALL.iter().filter(|code| {
        let path = format!("{GOLDEN}/valid/error.{}.json", code.as_str());
        text_of(files, &path).is_none()
    });
    without.map(|code| format!("the error code {} has no example in {GOLDEN}/valid", code.as_str())).collect()
}

fn close_codes(files: &[SourceFile]) -> Vec<String> {
    let text = text_of(files, &format!("{GOLDEN}/close_codes.json")).unwrap_or_default();
    let without =
        CloseCode::ALL.iter().filter(|code| !text.contains(&format!("\"code\": {},", code.number())));
    without
        .map(|code| format!("the close code {} is not in {GOLDEN}/close_codes.json", code.number()))
        .collect()
}

fn limits_page(files: &[SourceFile]) -> Vec<String> {
    let Some(page) = text_of(files, LIMITS_PAGE) else { return vec![format!("there is no {LIMITS_PAGE}")] };
    let without = limits::all().into_iter().filter(|limit| !page.contains(&format!("`{}`", limit.name)));
    without.map(|limit| format!("{LIMITS_PAGE} does not name {}", limit.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_code_without_an_example_is_caught() {
        let files = [file("conformance/wire/valid/error.forbidden.json", "{}")];
        let found = error_codes(&files);
        assert_eq!(found.len(), ErrorCode::ALL.len() - 1);
        assert!(
            found.contains(&"the error code not_found has no example in conformance/wire/valid".to_owned())
        );
    }

    #[test]
    fn a_close_code_without_an_example_is_caught() {
        let files = [file("conformance/wire/close_codes.json", "[{ \"code\": 4401, \"meaning\": \"\" }]")];
        let found = close_codes(&files);
        assert_eq!(found.len(), CloseCode::ALL.len() - 1);
        assert!(
            found.contains(&"the close code 4509 is not in conformance/wire/close_codes.json".to_owned())
        );
    }

    #[test]
    fn a_limit_that_no_page_names_is_caught() {
        assert_eq!(limits_page(&[]), ["there is no docs/LIMITS.md"]);
        let found = limits_page(&[file(LIMITS_PAGE, "`NESTING_DEPTH_MAX`")]);
        assert_eq!(found.len(), limits::all().len() - 1);
        assert!(found.contains(&"docs/LIMITS.md does not name MESSAGE_BYTES_MAX_DEFAULT".to_owned()));
    }
}
