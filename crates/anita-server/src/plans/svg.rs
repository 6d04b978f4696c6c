//! What an SVG may be, and how large it is. Pure.
//!
//! Two things keep an SVG harmless whatever it holds: pages show it as an image, where nothing of it runs and nothing is
//! fetched, and it is served with a policy that allows nothing but its own styles. What could do something elsewhere
//! (scripts, handlers, foreign content, references to other places) is refused here all the same, since plans are copied
//! and opened by programs that are less careful.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// The deepest that elements may be nested: programs that draw them go down as far.
const DEPTH_MAX: usize = 256;

/// The most attributes of an element: each is compared with those before it.
const ATTRIBUTES_MAX: usize = 256;

/// The namespace, without which browsers show nothing.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// Elements that run something or bring something that is no drawing, in small letters, in whatever namespace.
const DENIED: [&str; 10] = [
    "script",
    "foreignobject",
    "iframe",
    "object",
    "embed",
    "audio",
    "video",
    "canvas",
    "handler",
    "listener",
];

/// Why an SVG is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("is not well formed at byte {at}: {reason}")]
    Malformed { at: u64, reason: String },
    #[error("is not UTF-8 text")]
    Encoding,
    #[error("has an element that is not `svg` of the namespace {NAMESPACE} as its root")]
    Root,
    #[error("does not say its size: it needs width and height, or a viewBox, from 1 to 1,000,000")]
    Size,
    #[error("is nested deeper than {DEPTH_MAX} elements at byte {at}")]
    Deep { at: u64 },
    #[error("has an element with more than {ATTRIBUTES_MAX} attributes at byte {at}")]
    Attributes { at: u64 },
    #[error("declares entities or a style sheet of its own at byte {at}")]
    Declaration { at: u64 },
    #[error("holds the element `{name}` at byte {at}, which is no drawing")]
    Element { name: String, at: u64 },
    #[error("holds the handler `{name}` at byte {at}")]
    Handler { name: String, at: u64 },
    #[error("refers to another place in `{name}` at byte {at}")]
    Reference { name: String, at: u64 },
}

impl Fault {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::Encoding => "Save it again as SVG in UTF-8, and send all of it.",
            Self::Root | Self::Size => "Save it again as SVG with a viewBox; a drawing program does that.",
            Self::Deep { .. } | Self::Attributes { .. } => "Simplify the drawing, or save it as PNG.",
            Self::Declaration { .. }
            | Self::Element { .. }
            | Self::Handler { .. }
            | Self::Reference { .. } => {
                "Save it as plain SVG, with pictures and styles inside and text as paths, or as PNG."
            }
        }
    }
}

/// Whether it may be an SVG at all.
pub(super) fn is_markup(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(b"<")
}

/// The size of an SVG that is taken, its own units.
pub(super) fn measure(bytes: &[u8]) -> Result<(f64, f64), Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_not_text| Fault::Encoding)?;
    let mut walk = Walk::default();
    let mut reader = Reader::from_str(text);
    loop {
        let at = reader.buffer_position();
        let malformed = |reason: String| Fault::Malformed { at, reason };
        match reader.read_event().map_err(|error| malformed(error.to_string()))? {
            Event::Start(element) => {
                walk.enter(&element, at)?;
                walk.open(&element);
            }
            Event::Empty(element) => walk.enter(&element, at)?,
            Event::End(_) => walk.close(),
            Event::Text(text) => walk.text(&text, at)?,
            Event::CData(text) => walk.text(&text, at)?,
            Event::GeneralRef(name) => {
                let is_known =
                    name.starts_with('#') || matches!(&*name, "amp" | "lt" | "gt" | "apos" | "quot");
                if !is_known {
                    return Err(malformed(format!("the entity &{}; is not known", &*name)));
                }
            }
            // A name of the standard's document type does no harm; what is declared inside does.
            Event::DocType(text) if text.contains('[') => return Err(Fault::Declaration { at }),
            Event::PI(_) => return Err(Fault::Declaration { at }),
            Event::DocType(_) | Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof => return walk.end(at),
        }
    }
}

/// How far the walk through the elements is.
#[derive(Debug, Default)]
struct Walk {
    depth: usize,
    /// Whether what is open last is a style sheet.
    is_style: bool,
    size: Option<Result<(f64, f64), Fault>>,
}

impl Walk {
    /// Judges an element and its attributes; the first one is the root.
    fn enter(&mut self, element: &BytesStart<'_>, at: u64) -> Result<(), Fault> {
        let malformed = |reason: String| Fault::Malformed { at, reason };
        let name = element.local_name().as_ref().to_ascii_lowercase();
        if DENIED.contains(&name.as_str()) {
            return Err(Fault::Element { name, at });
        }
        if self.depth == 0 && self.size.is_some() {
            return Err(malformed("there is something after the root".to_owned()));
        }
        if self.depth >= DEPTH_MAX {
            return Err(Fault::Deep { at });
        }
        let mut root = Root::default();
        let prefix = element.name().prefix();
        let namespace_key = prefix.map_or_else(|| "xmlns".to_owned(), |it| format!("xmlns:{}", it.as_ref()));
        for (number, attribute) in element.attributes().enumerate() {
            if number >= ATTRIBUTES_MAX {
                return Err(Fault::Attributes { at });
            }
            let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
            let key = attribute.key.as_ref();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| malformed(error.to_string()))?;
            if key == namespace_key {
                root.is_svg = value == NAMESPACE;
            }
            judge(key, &value, at)?;
            root.note(key, &value);
        }
        if self.size.is_none() {
            if name != "svg" || !root.is_svg {
                return Err(Fault::Root);
            }
            self.size = Some(root.size().ok_or(Fault::Size));
        }
        Ok(())
    }

    fn open(&mut self, element: &BytesStart<'_>) {
        self.depth += 1;
        self.is_style = element.local_name().as_ref().eq_ignore_ascii_case("style");
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.is_style = false;
    }

    fn text(&self, text: &str, at: u64) -> Result<(), Fault> {
        if self.depth == 0 && !text.trim().is_empty() {
            return Err(Fault::Malformed { at, reason: "there is text outside of the root".to_owned() });
        }
        if self.is_style && refers_elsewhere(text) {
            return Err(Fault::Reference { name: "style".to_owned(), at });
        }
        Ok(())
    }

    fn end(self, at: u64) -> Result<(f64, f64), Fault> {
        if self.depth > 0 {
            return Err(Fault::Malformed { at, reason: "it ends too early".to_owned() });
        }
        self.size.unwrap_or(Err(Fault::Root))
    }
}

/// Judges an attribute.
fn judge(key: &str, value: &str, at: u64) -> Result<(), Fault> {
    if key == "xmlns" || key.starts_with("xmlns:") {
        return Ok(());
    }
    let local = key.rsplit(':').next().unwrap_or(key).to_ascii_lowercase();
    if local.len() > 2 && local.starts_with("on") {
        return Err(Fault::Handler { name: key.to_owned(), at });
    }
    let is_reference = matches!(local.as_str(), "href" | "src" | "base");
    if (is_reference && !is_inside(value)) || refers_elsewhere(value) {
        return Err(Fault::Reference { name: key.to_owned(), at });
    }
    Ok(())
}

/// Whether a reference stays inside: another part of the drawing, or a picture that is written out.
fn is_inside(reference: &str) -> bool {
    const PICTURES: [&str; 4] = ["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"];
    let reference = reference.trim_matches(['\'', '"', ' ', '\t', '\n', '\r']);
    let begins = |start: &str| {
        reference.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
            && reference.get(start.len()..).is_some_and(|rest| rest.starts_with([';', ',']))
    };
    reference.is_empty() || reference.starts_with('#') || PICTURES.into_iter().any(begins)
}

/// Whether styles refer to another place: `@import`, or a `url(…)` that is not inside. A backslash could hide either.
fn refers_elsewhere(styles: &str) -> bool {
    let small = styles.to_ascii_lowercase();
    if small.contains("@import") || (small.contains('\\') && small.contains('(')) {
        return true;
    }
    let mut parts = small.split("url(");
    parts.next();
    parts.any(|part| !is_inside(part.split(')').next().unwrap_or_default()))
}

/// What the root says of itself.
#[derive(Debug, Default)]
struct Root {
    is_svg: bool,
    width: Option<f64>,
    height: Option<f64>,
    view: Option<(f64, f64)>,
}

impl Root {
    fn note(&mut self, key: &str, value: &str) {
        match key {
            "width" => self.width = length(value),
            "height" => self.height = length(value),
            "viewBox" => self.view = view_box(value),
            _other => {}
        }
    }

    /// As browsers have it (SVG 2 §8.2): one side and the proportion of the view are enough.
    fn size(&self) -> Option<(f64, f64)> {
        match (self.width, self.height, self.view) {
            (Some(width), Some(height), _) => Some((width, height)),
            (Some(width), None, Some((wide, high))) => Some((width, width * high / wide)),
            (None, Some(height), Some((wide, high))) => Some((height * wide / high, height)),
            (None, None, Some(view)) => Some(view),
            (_, _, None) => None,
        }
    }
}

/// A length in pixels of CSS; `None` for a part of something, and for what is none.
fn length(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] = [
        ("px", 1.0),
        ("in", 96.0),
        ("cm", 96.0 / 2.54),
        ("mm", 9.6 / 2.54),
        ("pt", 96.0 / 72.0),
        ("pc", 16.0),
        ("", 1.0),
    ];
    let text = text.trim();
    let (number, factor) =
        UNITS.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let length = number.trim_end().parse::<f64>().ok()? * factor;
    (length.is_finite() && length > 0.0).then_some(length)
}

/// Width and height of a view.
fn view_box(text: &str) -> Option<(f64, f64)> {
    let numbers = text.split([' ', ',', '\t', '\n', '\r']).filter(|it| !it.is_empty());
    let numbers: Vec<f64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [_x, _y, width, height] = numbers[..] else { return None };
    (width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0).then_some((width, height))
}

#[cfg(test)]
mod tests;
