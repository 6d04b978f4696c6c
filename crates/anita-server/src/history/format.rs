//! How exports are written. Each page of fixes becomes whole lines.

use std::io::Write as _;
use std::sync::Arc;

use anita_model::{Fix, SiteName};
use anita_wire::{Metres, Percent, Place, Time};
use serde::Serialize;

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One item of the wire a line.
    Ndjson,
    /// A `FeatureCollection` of points (RFC 7946, in the frame of the site).
    GeoJson,
}

/// Whether an export is compressed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Plain,
    /// RFC 1952.
    Gzip,
}

/// The columns of CSV. `anita replay` knows them.
const CSV_HEADER: &str =
    "device_id,timestamp,received_at,x_m,y_m,z_m,accuracy_m,floor,battery_percent,source,site,sequence\r\n";

/// The beginning of GeoJSON. RFC 7946 knows only degrees on the Earth; the member `anita` says that these are none.
const GEOJSON_HEAD: &str = "{\"type\":\"FeatureCollection\",\
    \"anita\":{\"frame\":\"site\",\"units\":\"metres\",\"axes\":[\"x east\",\"y north\",\"z up\"]},\"features\":[";

impl Format {
    pub(super) const ALL: [Self; 3] = [Self::Csv, Self::Ndjson, Self::GeoJson];

    /// Its word in a query, and the end of a file's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::GeoJson => "geojson",
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::GeoJson => "application/geo+json",
        }
    }
}

/// An item of the wire, as `POST /api/v1/locations` takes it back.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    said: Said<'a>,
    location: Place,
}

/// What is said of a fix beside its place.
#[derive(Serialize)]
struct Said<'a> {
    device_id: &'a str,
    timestamp: Time,
    received_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<Metres>,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    battery: Option<Percent>,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

#[derive(Serialize)]
struct Feature<'a> {
    r#type: &'static str,
    geometry: Geometry,
    properties: Said<'a>,
}

#[derive(Serialize)]
struct Geometry {
    r#type: &'static str,
    coordinates: [Metres; 3],
}

impl<'a> Said<'a> {
    fn of(fix: &'a Fix) -> Self {
        Self {
            device_id: fix.device.as_str(),
            timestamp: Time(fix.taken_at),
            received_at: Time(fix.received_at),
            accuracy: fix.accuracy_m.map(Metres),
            floor: fix.floor,
            battery: fix.battery_percent.map(Percent),
            source: fix.source.as_str(),
            site: (fix.site != SiteName::main()).then(|| fix.site.as_str()),
            sequence: fix.sequence,
        }
    }
}

/// Writes fixes in a format.
#[derive(Debug)]
pub(super) struct Encoder {
    format: Format,
    is_first: bool,
}

/// Writing into memory fails only where a value is none of JSON; there is none such here.
type Written = std::io::Result<()>;

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self { format, is_first: true }
    }

    /// What comes before all fixes.
    pub(super) fn head(&self) -> &'static str {
        match self.format {
            Format::Csv => CSV_HEADER,
            Format::Ndjson => "",
            Format::GeoJson => GEOJSON_HEAD,
        }
    }

    /// What comes after them.
    pub(super) fn tail(&self) -> &'static str {
        match self.format {
            Format::Csv | Format::Ndjson => "",
            Format::GeoJson => "\n]}\n",
        }
    }

    /// Adds fixes.
    pub(super) fn fixes(&mut self, fixes: &[Arc<Fix>], out: &mut Vec<u8>) -> Written {
        for fix in fixes {
            match self.format {
                Format::Csv => csv(fix, out)?,
                Format::Ndjson => {
                    serde_json::to_writer(
                        &mut *out,
                        &Line { said: Said::of(fix), location: fix.position.into() },
                    )?;
                    out.push(b'\n');
                }
                Format::GeoJson => {
                    out.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
                    let at = fix.position;
                    let coordinates = [at.x_m(), at.y_m(), at.z_m()].map(Metres);
                    let geometry = Geometry { r#type: "Point", coordinates };
                    let feature = Feature { r#type: "Feature", geometry, properties: Said::of(fix) };
                    serde_json::to_writer(&mut *out, &feature)?;
                }
            }
            self.is_first = false;
        }
        Ok(())
    }
}

fn csv(fix: &Fix, out: &mut Vec<u8>) -> Written {
    text(fix.device.as_str(), out)?;
    write!(out, ",{},{}", fix.taken_at, fix.received_at)?;
    let at = fix.position;
    for metres in [at.x_m(), at.y_m(), at.z_m()] {
        write!(out, ",{}", rounded(metres, 1_000.0))?;
    }
    for value in [
        fix.accuracy_m.map(|it| rounded(it, 1_000.0)),
        fix.floor,
        fix.battery_percent.map(|it| rounded(it, 10.0)),
    ] {
        out.push(b',');
        if let Some(value) = value {
            write!(out, "{value}")?;
        }
    }
    out.push(b',');
    text(fix.source.as_str(), out)?;
    out.push(b',');
    text(fix.site.as_str(), out)?;
    out.push(b',');
    if let Some(sequence) = fix.sequence {
        write!(out, "{sequence}")?;
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// As on the wire: to the millimetre, to a tenth of a percent. The sum turns a negative zero into a plain one.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts + 0.0
}

/// A field, in quotes where it needs them (RFC 4180), or where blanks at its ends could be lost.
fn text(value: &str, out: &mut Vec<u8>) -> Written {
    let is_plain = !value.contains([',', '"', '\r', '\n']) && value.trim() == value;
    if is_plain { write!(out, "{value}") } else { write!(out, "\"{}\"", value.replace('"', "\"\"")) }
}
