//! The parameters of queries: one constant each, with what it means, its form and its limits.

use anita_session::past::{
    DENSITY_BUCKETS_DEFAULT, DENSITY_BUCKETS_MAX, GAP_DEFAULT_SECS, GAP_MAX_SECS, SNAPSHOT_PER_PAGE_MAX,
    TOLERANCE_DEFAULT_M, TOLERANCE_MAX_M, TRAIL_PER_PAGE_DEFAULT, TRAIL_PER_PAGE_MAX, VISITS_DEVICES_DEFAULT,
    VISITS_DEVICES_MAX,
};
use anita_wire::limits::{DEVICES_PER_PAGE_MAX, HISTORY_PER_PAGE_DEFAULT, HISTORY_PER_PAGE_MAX};
use anita_wire::view::Area;
use serde_json::{Value, json};

use crate::administration::connections::CONNECTIONS_PER_PAGE;
use crate::administration::rooms::ROOMS_PER_PAGE;
use crate::administration::tokens::TOKENS_PER_PAGE;
use crate::revocations::REVOCATIONS_PER_PAGE;

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// One sentence or two, for people, with the unit.
    about: &'static str,
    form: Form,
    is_required: bool,
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    /// RFC 3339.
    Time,
    /// A whole number from 1 on.
    Count {
        max: usize,
        default: usize,
    },
    Number {
        min: f64,
        max: f64,
        default: Option<f64>,
    },
    /// One of these.
    Word(&'static [&'static str]),
    /// Several of these, by comma or by repeating.
    Words(&'static [&'static str]),
    /// Several texts, by comma or by repeating.
    Texts,
    /// An area, as JSON.
    Area,
    /// Only there to be refused with a reason of its own.
    Refused,
    /// What the server says to itself by way of a browser.
    Own,
    /// Whatever else somebody may say, of which the server knows only a part.
    Whatever,
}

impl Parameter {
    /// Whether it may be there several times.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.form, Form::Words(_) | Form::Texts)
    }

    /// Whether the document says it: what is always refused is none of its business.
    pub(super) fn is_documented(&self) -> bool {
        !matches!(self.form, Form::Refused | Form::Own | Form::Whatever)
    }

    /// Whether it stands for all that is not known.
    pub(super) fn is_whatever(&self) -> bool {
        matches!(self.form, Form::Whatever)
    }

    /// Its object in the document.
    pub(super) fn document(&self) -> Value {
        let mut parameter = json!({
            "name": self.name,
            "in": "query",
            "description": self.about,
            "required": self.is_required,
        });
        let Some(fields) = parameter.as_object_mut() else { return parameter };
        if let Some(example) = example_of(self.name) {
            fields.insert("example".to_owned(), json!(example));
        }
        if let Form::Area = self.form {
            let area = anita_wire::schema::read::<Area>();
            fields.insert("content".to_owned(), json!({ "application/json": { "schema": area } }));
        } else {
            fields.insert("schema".to_owned(), self.form.schema());
        }
        if self.is_list() {
            fields.insert("style".to_owned(), json!("form"));
            fields.insert("explode".to_owned(), json!(false));
        }
        parameter
    }
}

impl Form {
    fn schema(self) -> Value {
        match self {
            Self::Text | Self::Area | Self::Refused | Self::Own | Self::Whatever => {
                json!({ "type": "string" })
            }
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Count { max, default } => {
                json!({ "type": "integer", "minimum": 1, "maximum": max, "default": default })
            }
            Self::Number { min, max, default: None } => {
                json!({ "type": "number", "minimum": min, "maximum": max })
            }
            Self::Number { min, max, default: Some(default) } => {
                json!({ "type": "number", "minimum": min, "maximum": max, "default": default })
            }
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Words(words) => {
                json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": words } })
            }
            Self::Texts => json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
        }
    }
}

/// A value to begin with, which makes a question that can be answered.
fn example_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "start_time" => "2026-03-01T00:00:00Z",
        "end_time" => "2026-03-02T00:00:00Z",
        "at" => "2026-03-01T12:00:00Z",
        "zone" => "Storage",
        _ => return None,
    })
}

const fn optional(name: &'static str, about: &'static str, form: Form) -> Parameter {
    Parameter { name, about, form, is_required: false }
}

const fn required(name: &'static str, about: &'static str, form: Form) -> Parameter {
    Parameter { name, about, form, is_required: true }
}

const fn limit(about: &'static str, max: usize, default: usize) -> Parameter {
    optional("limit", about, Form::Count { max, default })
}

/// The largest number where nothing else limits it: of floors, and of seconds.
const NUMBER_MAX: f64 = 1e12;

const DEVICES_ON_PAGE: &str = "How many devices at most.";
const DEVICES_LOOKED_AT: &str = "How many devices the page looks at, at most.";
const ENTRIES_ON_PAGE: &str = "How many entries at most.";
const PAGES: &str = "An export has no pages.";

pub(super) const KINDS: Parameter =
    optional("kinds", "Only these kinds.", Form::Words(&["tag", "anchor", "gateway"]));
pub(super) const STATUS: Parameter = optional(
    "status",
    "Only these statuses; connected and stale when absent.",
    Form::Words(&["connected", "stale", "disconnected"]),
);
pub(super) const DEVICES_LIMIT: Parameter =
    limit(DEVICES_ON_PAGE, DEVICES_PER_PAGE_MAX, DEVICES_PER_PAGE_MAX);
pub(super) const HISTORY_LIMIT: Parameter =
    limit(ENTRIES_ON_PAGE, HISTORY_PER_PAGE_MAX, HISTORY_PER_PAGE_DEFAULT);
pub(super) const SNAPSHOT_LIMIT: Parameter =
    limit(DEVICES_LOOKED_AT, SNAPSHOT_PER_PAGE_MAX, SNAPSHOT_PER_PAGE_MAX);
pub(super) const VISITS_LIMIT: Parameter =
    limit(DEVICES_LOOKED_AT, VISITS_DEVICES_MAX, VISITS_DEVICES_DEFAULT);
pub(super) const TRAIL_LIMIT: Parameter = limit(ENTRIES_ON_PAGE, TRAIL_PER_PAGE_MAX, TRAIL_PER_PAGE_DEFAULT);
pub(super) const NO_LIMIT: Parameter = optional("limit", PAGES, Form::Refused);
pub(super) const NO_AFTER: Parameter = optional("after", PAGES, Form::Refused);
pub(super) const AFTER: Parameter =
    optional("after", "The `next` of the previous page, as it was.", Form::Text);
pub(super) const START_TIME: Parameter =
    optional("start_time", "Not before this, by the device's time.", Form::Time);
pub(super) const END_TIME: Parameter =
    optional("end_time", "Not after this, by the device's time.", Form::Time);
pub(super) const VISITS_START_TIME: Parameter =
    required("start_time", "Not before this, by the device's time.", Form::Time);
pub(super) const VISITS_END_TIME: Parameter =
    required("end_time", "Not after this, by the device's time; at most 31 days later.", Form::Time);
pub(super) const FORMAT: Parameter =
    required("format", "How the export is written.", Form::Word(&["csv", "ndjson", "geojson"]));
pub(super) const PAGES_OR_FORMAT: Parameter = optional(
    "format",
    "Pages of JSON when absent or json; else everything, as an export.",
    Form::Word(&["json", "csv", "ndjson", "geojson"]),
);
pub(super) const DEVICES: Parameter = optional(
    "devices",
    "Which devices: ids and patterns (`*`, `?`, `[ab]`, `{a,b}`), at most 1,000 of each; all when absent.",
    Form::Texts,
);
pub(super) const EVERY_SECS: Parameter = optional(
    "every_secs",
    "With a format: fixes less than so many seconds after the one before of the same device are left out.",
    Form::Number { min: 0.0, max: NUMBER_MAX, default: None },
);
pub(super) const TOLERANCE: Parameter = optional(
    "tolerance",
    "How far a fix may be from the line, metres.",
    Form::Number { min: 0.0, max: TOLERANCE_MAX_M, default: Some(TOLERANCE_DEFAULT_M) },
);
pub(super) const AT: Parameter = required("at", "The moment, by the devices' time.", Form::Time);
pub(super) const MAX_AGE_SECS: Parameter = optional(
    "max_age_secs",
    "Fixes that were older than this at the moment don't count, seconds; all count when absent.",
    Form::Number { min: 0.0, max: NUMBER_MAX, default: None },
);
pub(super) const AREA: Parameter =
    optional("area", "Where: an area in the frame of the site, metres; this or `zone`.", Form::Area);
pub(super) const ZONE: Parameter =
    optional("zone", "Where: the name of a zone of `/api/v1/site`; this or `area`.", Form::Text);
pub(super) const FLOOR: Parameter = optional(
    "floor",
    "Only fixes that say they are on this floor.",
    Form::Number { min: -NUMBER_MAX, max: NUMBER_MAX, default: None },
);
pub(super) const SITE: Parameter = optional("site", "Of which site; `main` when absent.", Form::Text);
pub(super) const GAP_SECS: Parameter = optional(
    "gap_secs",
    "After so long without a fix inside, a visit is over, seconds.",
    Form::Number { min: 0.0, max: GAP_MAX_SECS, default: Some(GAP_DEFAULT_SECS) },
);
pub(super) const ROOM: Parameter = optional("room", "Only of this room.", Form::Text);
pub(super) const RETURN: Parameter = optional(
    "return",
    "The path of the page to come back to, with its query and its fragment; the page's beginning when absent.",
    Form::Text,
);
pub(super) const MOVED: Parameter =
    optional("moved", "Whether the browser was sent to the server's public address before.", Form::Own);
pub(super) const OF_ISSUER: Parameter = optional(
    "",
    "What issuers say when they send a browser back; some say more than others.",
    Form::Whatever,
);
pub(super) const LOGOUT_SCOPE: Parameter = optional(
    "scope",
    "What ends: everything of the user when absent, or only what was opened with the session of this page.",
    Form::Word(&["user", "session"]),
);
pub(super) const REVOCATIONS_LIMIT: Parameter =
    limit("How many revocations at most.", REVOCATIONS_PER_PAGE.0, REVOCATIONS_PER_PAGE.1);
pub(super) const CONNECTIONS_LIMIT: Parameter =
    limit("How many connections at most.", CONNECTIONS_PER_PAGE.0, CONNECTIONS_PER_PAGE.1);
pub(super) const ROOMS_LIMIT: Parameter =
    limit("How many rooms at most.", ROOMS_PER_PAGE.0, ROOMS_PER_PAGE.1);
pub(super) const TOKENS_LIMIT: Parameter =
    limit("How many tokens at most.", TOKENS_PER_PAGE.0, TOKENS_PER_PAGE.1);
pub(super) const DENSITY_START_TIME: Parameter =
    required("start_time", "Where the first bucket begins, by the devices' time.", Form::Time);
pub(super) const DENSITY_END_TIME: Parameter =
    required("end_time", "Where the last bucket ends, by the devices' time.", Form::Time);
pub(super) const BUCKETS: Parameter = optional(
    "buckets",
    "In how many equal parts the time is cut.",
    Form::Count { max: DENSITY_BUCKETS_MAX, default: DENSITY_BUCKETS_DEFAULT },
);
pub(super) const DEVICE_ID: Parameter =
    optional("device_id", "Only of this device; of all that may be seen when absent.", Form::Text);
pub(super) const REVISION: Parameter =
    optional("revision", "Which picture, as in the list: the answer is kept if it is that one.", Form::Text);
pub(super) const SUBJECT: Parameter = optional("subject", "Only of this subject.", Form::Text);
pub(super) const ACTION: Parameter = optional(
    "action",
    "Only of this action, as `close connection`. `limit` counts the entries that are looked at, so a page can be short or empty and have a `next`.",
    Form::Text,
);
pub(super) const OUTCOME: Parameter = optional(
    "outcome",
    "Only what ended like this: `done`, `begun`, `forbidden` or `refused`. `limit` counts the entries that are looked at.",
    Form::Text,
);
pub(super) const CLOSE_REASON: Parameter =
    optional("reason", "Why, for the audit trail; at most 256 bytes.", Form::Text);
