//! The glob patterns of a token: which devices, which rooms.

use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The most patterns of one list.
const PATTERNS_MAX: usize = 100;
/// The longest pattern, bytes.
const PATTERN_BYTES_MAX: usize = 256;

/// What means something else than itself in a pattern.
const SPECIAL: [char; 8] = ['*', '?', '[', ']', '{', '}', '\\', '!'];

/// Whether a pattern stands for one name, which is itself.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(SPECIAL)
}

/// Why a list of patterns is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A pattern is no glob, or too long.
    #[error("the pattern {pattern:?} is not a glob of at most {PATTERN_BYTES_MAX} bytes")]
    NotAGlob {
        /// The pattern.
        pattern: String,
    },
    /// Too many patterns.
    #[error("{count} patterns, at most {PATTERNS_MAX} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// Which names are visible: all of them, or those that a pattern matches (`*`, `?`, `[ab]`, `{a,b}`).
#[derive(Clone, Default)]
pub struct Patterns(Option<Arc<Globs>>);

struct Globs {
    texts: Vec<String>,
    globs: GlobSet,
}

impl Patterns {
    /// Everything is visible.
    pub fn all() -> Self {
        Self(None)
    }

    /// Nothing is visible.
    pub fn none() -> Self {
        Self(Some(Arc::new(Globs { texts: Vec::new(), globs: GlobSet::empty() })))
    }

    /// What any of these patterns matches is visible; with an empty list, nothing is.
    ///
    /// # Errors
    /// [`InvalidPattern`] for a pattern that is no glob, or too many of them.
    pub fn parse(texts: &[String]) -> Result<Self, InvalidPattern> {
        if texts.len() > PATTERNS_MAX {
            return Err(InvalidPattern::TooMany { count: texts.len() });
        }
        let not_a_glob =
            |text: &String| InvalidPattern::NotAGlob { pattern: text.chars().take(80).collect() };
        let mut builder = GlobSetBuilder::new();
        for text in texts {
            let glob =
                Some(text).filter(|it| it.len() <= PATTERN_BYTES_MAX).and_then(|it| Glob::new(it).ok());
            builder.add(glob.ok_or_else(|| not_a_glob(text))?);
        }
        let globs = builder.build().map_err(|_too_large| InvalidPattern::TooMany { count: texts.len() })?;
        Ok(Self(Some(Arc::new(Globs { texts: texts.to_vec(), globs }))))
    }

    /// Whether a name is visible.
    pub fn allow(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|some| some.globs.is_match(name))
    }

    /// Whether everything is visible.
    pub fn allow_all(&self) -> bool {
        self.0.is_none()
    }

    /// The patterns as they were written; `None` where everything is visible.
    pub fn texts(&self) -> Option<&[String]> {
        self.0.as_ref().map(|some| some.texts.as_slice())
    }

    /// Whether certainly all that the others make visible is visible by these. What only a comparison of two globs could
    /// tell is not certain: a pattern counts that is one of these, a name that these allow, and one that begins as one of
    /// these does that is a beginning and `*`.
    pub fn cover(&self, others: &Self) -> bool {
        let (Some(mine), Some(theirs)) = (&self.0, &others.0) else { return self.0.is_none() };
        let starts = || mine.texts.iter().filter_map(|text| text.strip_suffix('*')).filter(|it| is_plain(it));
        theirs.texts.iter().all(|text| {
            let beginning = text.split(SPECIAL).next().unwrap_or_default();
            mine.texts.contains(text)
                || (is_plain(text) && self.allow(text))
                || starts().any(|start| beginning.starts_with(start))
        })
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(this), Some(that)) => this.texts == that.texts,
            _ => false,
        }
    }
}

impl Eq for Patterns {}

impl std::hash::Hash for Patterns {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_ref().map(|some| &some.texts).hash(state);
    }
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("all"),
            Some(some) => some.texts.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], name: &str) -> bool {
        Patterns::parse(&patterns.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()).unwrap().allow(name)
    }

    #[test]
    fn a_name_is_visible_when_a_pattern_matches_it() {
        assert!(Patterns::all().allow("anything"));
        assert!(!allows(&[], "anything"));
        let cases = [
            ("tag-*", "tag-7", true),
            ("tag-*", "tag-", true),
            ("tag-*", "atag-7", false),
            ("A01/*", "A01/010-000-024-033", true),
            ("*", "A01/b", true),
            ("tag-?", "tag-10", false),
            ("{a,b}", "b", true),
            ("6934", "6934", true),
            ("6934", "16934", false),
        ];
        for (pattern, name, is_visible) in cases {
            assert_eq!(allows(&[pattern], name), is_visible, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_cover_what_is_certainly_within_them() {
        let parse = |texts: &[&str]| {
            Patterns::parse(&texts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let cases: [(&[&str], &[&str], bool); 15] = [
            (&["tag-*"], &["tag-*"], true),
            (&["tag-*"], &["tag-7"], true),
            (&["tag-*"], &["tag-1*", "tag-2?", "tag-{3,4}"], true),
            (&["*"], &["a", "b*", "?", "[ab]"], true),
            (&["tag-?"], &["tag-7"], true),
            (&["tag-*"], &[], true),
            (&["tag-*"], &["tag-7", "anchor-1"], false),
            (&["tag-*"], &["tag*"], false),
            (&["tag-*"], &["*"], false),
            (&["tag-*"], &["{tag-1,anchor}"], false),
            (&["tag-?"], &["tag-*"], false),
            (&["tag-[1-3]"], &["tag-[1-4]"], false),
            (&["t*-*"], &["tag-1*"], false),
            (&[], &["a"], false),
            // A backslash is no part of the name that it stands in.
            (&["tag-*"], &["tag\\-1"], false),
        ];
        for (mine, theirs, expected) in cases {
            assert_eq!(parse(mine).cover(&parse(theirs)), expected, "{mine:?} {theirs:?}");
        }
        assert!(Patterns::all().cover(&parse(&["*"])) && Patterns::all().cover(&Patterns::all()));
        assert!(!parse(&["*"]).cover(&Patterns::all()));
        assert!(parse(&[]).cover(&Patterns::none()));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        assert!(Patterns::parse(&["[a".to_owned()]).is_err());
        assert!(Patterns::parse(&["x".repeat(257)]).is_err());
        assert!(Patterns::parse(&vec!["x".to_owned(); 101]).is_err());
    }
}
