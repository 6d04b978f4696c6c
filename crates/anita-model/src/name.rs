//! Names that come from outside: checked once, cheap to copy, impossible to hold when invalid.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name has no characters.
    #[error("{what} must not be empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// The name is longer than its limit.
    #[error("{what} has {len_bytes} bytes, at most {len_bytes_max} are allowed")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// How long it is, UTF-8 bytes.
        len_bytes: usize,
        /// The limit, UTF-8 bytes.
        len_bytes_max: usize,
    },
    /// The name holds a character that is not allowed.
    #[error("{what} must not contain {character:?} ({allowed})")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first character that is not allowed.
        character: char,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

/// Letters, digits and `. _ - : /`: what room, site and source names are made of.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | ':' | '/')
}

/// Letters, digits, `_` and `-`: what stays one part of an address, whatever reads it.
fn is_slug(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// Anything printable: gateways choose the ids of their tags, not we.
fn is_printable(character: char) -> bool {
    !character.is_control() && !character.is_whitespace() || character == ' '
}

fn check(
    text: &str,
    what: &'static str,
    len_bytes_max: usize,
    is_allowed: fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty { what });
    }
    if text.len() > len_bytes_max {
        return Err(InvalidName::TooLong { what, len_bytes: text.len(), len_bytes_max });
    }
    match text.chars().find(|&character| !is_allowed(character)) {
        Some(character) => Err(InvalidName::Character { what, character, allowed }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $len_bytes_max:literal, $is_allowed:path, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest name, UTF-8 bytes.
            pub const LEN_BYTES_MAX: usize = $len_bytes_max;

            /// Checks a text and makes the name of it.
            ///
            /// # Errors
            /// [`InvalidName`] when the text is empty, too long, or holds a character that is not allowed.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                check(text, $what, $len_bytes_max, $is_allowed, $allowed)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The id of a device: the gateway's own id of the tag, unprefixed. Any printable text.
    DeviceId, "a device id", 128, is_printable, "printable characters only"
}
name! {
    /// The name of a room.
    RoomName, "a room name", 64, is_plain, "letters, digits and . _ - : / only"
}
name! {
    /// The name of a site. Coordinates are in the frame of their site.
    SiteName, "a site name", 64, is_plain, "letters, digits and . _ - : / only"
}
name! {
    /// The name of a source of fixes: one of the configuration's, or `http` or `websocket`.
    SourceName, "a source name", 64, is_plain, "letters, digits and . _ - : / only"
}

name! {
    /// The id of a revocation.
    RevocationId, "a revocation id", 64, is_plain, "letters, digits and . _ - : / only"
}

name! {
    /// The id of a floor plan; it is part of an address.
    PlanId, "a plan id", 64, is_slug, "letters, digits, _ and - only"
}

impl RoomName {
    /// The room that hears every location: `uwb`.
    pub fn uwb() -> Self {
        Self("uwb".into())
    }
}

impl SourceName {
    /// What clients report over their sockets: `websocket`.
    pub fn websocket() -> Self {
        Self("websocket".into())
    }

    /// What is reported by `POST /api/v1/locations`: `http`.
    pub fn http() -> Self {
        Self("http".into())
    }
}

impl SiteName {
    /// The site of whoever names none: `main`.
    pub fn main() -> Self {
        Self("main".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_reason() {
        let cases = [
            ("", "a room name must not be empty"),
            ("a b", "a room name must not contain ' ' (letters, digits and . _ - : / only)"),
            ("näh", "a room name must not contain 'ä' (letters, digits and . _ - : / only)"),
        ];
        for (text, reason) in cases {
            assert_eq!(RoomName::parse(text).unwrap_err().to_string(), reason);
        }
        let long = "x".repeat(65);
        assert_eq!(
            RoomName::parse(&long).unwrap_err().to_string(),
            "a room name has 65 bytes, at most 64 are allowed"
        );
    }

    #[test]
    fn device_ids_are_whatever_the_gateway_prints() {
        for text in ["6934", "A01/010-000-024-033", "dwm 0d13", "Gerät-7", "00:11:22:33"] {
            assert_eq!(DeviceId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a\nb", "a\u{0}b", "tab\tbed", &"x".repeat(129)] {
            assert!(DeviceId::parse(text).is_err(), "{text:?}");
        }
    }
}
