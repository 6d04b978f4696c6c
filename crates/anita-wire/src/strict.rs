//! What plain JSON parsers let through and this protocol refuses: a key that stands twice in one object, and nesting
//! deeper than it may be. One pass over the text, before any of it becomes a value.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads one whole JSON text, nested so deep at most, and keeps nothing of it.
///
/// # Errors
/// The parser's own faults, a key that stands twice, or nesting that is too deep; each with line and column.
pub(crate) fn check(text: &str, nesting_max: usize) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Checked { depth: 0, depth_max: nesting_max }.deserialize(&mut deserializer)?;
    deserializer.end()
}

#[derive(Clone, Copy)]
struct Checked {
    depth: usize,
    depth_max: usize,
}

impl Checked {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= self.depth_max {
            return Err(E::custom(format_args!("nested deeper than {} levels", self.depth_max)));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            if let Some(twice) = keys.insert(key) {
                return Err(A::Error::custom(format_args!("the key {twice:?} stands twice in one object")));
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// A key, borrowed from the text where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The keys of one object: compared one by one while they are few, as they are in every message of ours, and hashed
/// beyond that, so that an object of many keys costs no more than its length.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    const FEW: usize = 16;

    /// Remembers a key; gives it back if it was there.
    fn insert(&mut self, key: Cow<'de, str>) -> Option<Cow<'de, str>> {
        if self.few.contains(&key) || self.many.contains(&key) {
            return Some(key);
        }
        if self.few.len() < Self::FEW {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NESTING_DEPTH_MAX;
    use proptest::prelude::*;

    fn check_all(text: &str) -> Result<(), serde_json::Error> {
        check(text, NESTING_DEPTH_MAX)
    }

    #[test]
    fn nesting_is_as_deep_as_it_may_be() {
        for most in [1, 8, 16] {
            let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert!(check(&nested(most), most).is_ok());
            let error = check(&nested(most + 1), most).unwrap_err().to_string();
            assert!(error.contains(&format!("nested deeper than {most} levels")), "{error}");
        }
    }

    #[test]
    fn texts_are_refused_with_the_reason() {
        let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
        let cases = [
            (r#"{"a":1,"a":2}"#, "the key \"a\" stands twice"),
            (r#"{"a":{"b":1,"b":1}}"#, "the key \"b\" stands twice"),
            (r#"{"a":1,"\u0061":2}"#, "the key \"a\" stands twice"),
            (r#"{"a":1} x"#, "trailing characters"),
            (&deep, "nested deeper than 16 levels"),
            ("{", "EOF"),
        ];
        for (text, reason) in cases {
            let error = check_all(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for text in ["{}", "[[[[]]]]", r#"[{"a":1},{"a":1}]"#, "null", "1e3", r#""x""#, " {} "] {
            assert!(check_all(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_found_among_many() {
        let keys: Vec<String> = (0..1_000).map(|key| format!("\"{key}\":0")).collect();
        assert!(check_all(&format!("{{{}}}", keys.join(","))).is_ok());
        assert!(check_all(&format!("{{{},\"999\":0}}", keys.join(","))).is_err());
        assert!(check_all(&format!("{{{},\"0\":0}}", keys.join(","))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            std::hint::black_box(check_all(&text)).ok();
        }
    }
}
