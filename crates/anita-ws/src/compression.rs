//! The negotiation of `permessage-deflate` (RFC 7692 sections 5 and 7.1): which of a client's offers to take.
//!
//! Messages are compressed each on its own, without the context of the ones before it, in both directions: a frame that
//! many connections hear is compressed once, and a connection that waits keeps nothing.

use std::fmt;

/// The extension's name (section 7).
const NAME: &str = "permessage-deflate";

/// The most bits that a window can have, and what it has when nothing is said (section 7.1.2).
const WINDOW_BITS_MAX: u8 = 15;

/// The fewest bits of a window that DEFLATE without a header can be made with. The standard's 8 are declined, as section
/// 7.1.2.1 allows.
const WINDOW_BITS_MIN: u8 = 9;

/// What the server wants of compression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Every offer is declined.
    #[default]
    Off,
    /// `permessage-deflate` without context takeover.
    Deflate {
        /// Offers that want the server to use a smaller window than so many bits are declined, 8 to 15. Each size that
        /// is agreed to is a form of its own of every compressed frame. Less than 9 is the same as 9.
        window_bits_min: u8,
        /// The window that the server uses if the client does not ask for a smaller one, bits, 9 to 15. A client needs
        /// as much memory to inflate: 2 to this power, bytes.
        window_bits_max: u8,
    },
}

/// What client and server have agreed on: the parameters of [`Deflater`](crate::Deflater).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Agreed {
    window_bits: u8,
    /// Whether the client has asked for a window, and must be told which it gets.
    is_asked: bool,
}

// === impl Compression ===

impl Compression {
    /// Windows of any size, 32 KiB unless the client asks for less.
    pub const DEFLATE: Self =
        Self::Deflate { window_bits_min: WINDOW_BITS_MIN, window_bits_max: WINDOW_BITS_MAX };

    /// The first of the offers, in the client's order of preference, that can be taken. `offers` are the values of
    /// `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).
    pub(crate) fn agree<'a>(self, offers: impl Iterator<Item = &'a str>) -> Option<Agreed> {
        let Self::Deflate { window_bits_min, window_bits_max } = self else { return None };
        let window_bits_max = clamped(window_bits_max);
        offers.flat_map(|list| parts(list, ',')).find_map(|offer| {
            let asked_bits = asked_window_bits(offer).ok()?;
            let window_bits = asked_bits.map_or(window_bits_max, |asked| asked.min(window_bits_max));
            let is_possible = asked_bits.is_none_or(|asked| asked >= window_bits_min.max(WINDOW_BITS_MIN));
            is_possible.then_some(Agreed { window_bits, is_asked: asked_bits.is_some() })
        })
    }
}

// === impl Agreed ===

impl Agreed {
    /// The window of what the server compresses, bits, 9 to 15.
    pub const fn window_bits(self) -> u8 {
        self.window_bits
    }
}

impl fmt::Display for Agreed {
    /// The value of `Sec-WebSocket-Extensions` in the answer. Both sides may be told to take over no context without
    /// having offered it (sections 7.1.1.1 and 7.1.1.2); a window is confirmed when it was asked for.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{NAME}; server_no_context_takeover; client_no_context_takeover")?;
        if self.is_asked {
            write!(formatter, "; server_max_window_bits={}", self.window_bits)?;
        }
        Ok(())
    }
}

/// The bits of a window that can be made.
pub(crate) fn clamped(window_bits: u8) -> u8 {
    window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX)
}

/// An offer is of another extension, or has what makes the server decline (section 7.1): a parameter that is unknown,
/// repeated, or has a value that it cannot have.
struct Declined;

/// The window that an offer asks the server to use, bits, if it asks for one.
fn asked_window_bits(offer: &str) -> Result<Option<u8>, Declined> {
    let mut parameters = parts(offer, ';');
    if parameters.next() != Some(NAME) {
        return Err(Declined);
    }
    let mut server_takes_over_nothing = None;
    let mut client_takes_over_nothing = None;
    let mut server_window = None;
    let mut client_window = None;
    for parameter in parameters {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()).ok_or(Declined)?)),
            None => (parameter, None),
        };
        let (seen, is_valid) = match name {
            "server_no_context_takeover" => (&mut server_takes_over_nothing, value.is_none()),
            "client_no_context_takeover" => (&mut client_takes_over_nothing, value.is_none()),
            "server_max_window_bits" => (&mut server_window, value.is_some_and(is_window_bits)),
            "client_max_window_bits" => (&mut client_window, value.is_none_or(is_window_bits)),
            _ => return Err(Declined),
        };
        if !is_valid || seen.replace(value).is_some() {
            return Err(Declined);
        }
    }
    Ok(server_window.flatten().and_then(|bits| bits.parse().ok()))
}

/// 8 to 15 without leading zeros (section 7.1.2).
fn is_window_bits(value: &str) -> bool {
    matches!(value, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

/// The value inside quotation marks, if there are some. What it may be here needs no backslashes, so they stay and make
/// it invalid.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// The parts between separators that are outside of quotation marks, without white space around them. Empty ones, which
/// lists may have, are left out.
fn parts(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let separates = move |character: char| {
        let is_literal = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !is_literal => is_escaped = true,
            '"' if !is_literal => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    };
    list.split(separates).map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(wanted: Compression, offers: &[&str]) -> Option<String> {
        wanted.agree(offers.iter().copied()).map(|agreed| agreed.to_string())
    }

    #[test]
    fn offers_that_can_be_taken_are_answered() {
        let with_bits = |bits: u8| format!("{REST}; server_max_window_bits={bits}");
        let cases: [(&str, String); 15] = [
            ("permessage-deflate", REST.into()),
            ("permessage-deflate; client_max_window_bits", REST.into()),
            ("permessage-deflate; client_max_window_bits=8", REST.into()),
            ("permessage-deflate; client_max_window_bits=\"15\"", REST.into()),
            ("permessage-deflate;server_no_context_takeover;client_no_context_takeover", REST.into()),
            ("permessage-deflate ; server_max_window_bits = 15 ", with_bits(15)),
            ("permessage-deflate; server_max_window_bits=9", with_bits(9)),
            ("permessage-deflate; server_max_window_bits=\"12\"; client_max_window_bits", with_bits(12)),
            ("x-webkit-deflate-frame, permessage-deflate", REST.into()),
            (", ,permessage-deflate,", REST.into()),
            ("permessage-deflate; server_max_window_bits=10, permessage-deflate", with_bits(10)),
            // The standard's own example of a fallback.
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", REST.into()),
            ("permessage-deflate; unknown, permessage-deflate; server_max_window_bits=11", with_bits(11)),
            ("x; y=\"a, permessage-deflate; unknown\\\", \", permessage-deflate", REST.into()),
            ("permessage-deflate; client_max_window_bits; client_no_context_takeover", REST.into()),
        ];
        for (offer, expected) in cases {
            assert_eq!(answer(Compression::DEFLATE, &[offer]), Some(expected), "{offer}");
        }
        let lines = ["permessage-deflate; x", "y", "permessage-deflate"];
        assert_eq!(answer(Compression::DEFLATE, &lines), Some(REST.into()));
        assert_eq!(answer(Compression::Off, &["permessage-deflate"]), None);
    }

    #[test]
    fn offers_with_anything_wrong_are_declined() {
        let parameters = [
            "unknown",
            "=",
            "=9",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"\"",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=\"9",
            "server_max_window_bits=9\"",
            "server_max_window_bits=\"\\9\"",
            "server_max_window_bits=\" 9\"",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=",
            "client_max_window_bits=0",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=1000",
            "client_max_window_bits=x",
            "client_max_window_bits; client_max_window_bits=9",
            "Server_No_Context_Takeover",
        ];
        for parameter in parameters {
            let offer = format!("permessage-deflate; {parameter}");
            assert_eq!(answer(Compression::DEFLATE, &[&offer]), None, "{offer}");
            // The next one is tried.
            let offers = [&offer[..], "permessage-deflate"];
            let is_quote_open = parameter.matches('"').count() % 2 == 1;
            if !is_quote_open {
                assert_eq!(answer(Compression::DEFLATE, &offers), Some(REST.into()), "{offer}");
            }
        }
        assert_eq!(answer(Compression::DEFLATE, &["permessage-deflate-2", "deflate", "", ";"]), None);
    }

    #[test]
    fn the_servers_own_limits_hold() {
        let wanted = Compression::Deflate { window_bits_min: 11, window_bits_max: 12 };
        let bits_for = |offer| wanted.agree(std::iter::once(offer)).map(Agreed::window_bits);
        assert_eq!(bits_for("permessage-deflate"), Some(12));
        assert_eq!(bits_for("permessage-deflate; server_max_window_bits=15"), Some(12));
        assert_eq!(bits_for("permessage-deflate; server_max_window_bits=11"), Some(11));
        assert_eq!(bits_for("permessage-deflate; server_max_window_bits=10"), None);
        let odd = Compression::Deflate { window_bits_min: 0, window_bits_max: 200 };
        assert_eq!(odd.agree(std::iter::once("permessage-deflate")).map(Agreed::window_bits), Some(15));
    }
}
