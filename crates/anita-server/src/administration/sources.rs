//! `/api/v1/sources`: how everything is that reports locations.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_auth::Permission;
use anita_metrics::{FixLabels, Metrics};
use anita_wire::Time;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::caller::Caller;
use crate::problem::Problem;
use crate::server::{Server, SourceReport};

/// The ways in that are always there, and what they are.
const ALWAYS: [(&str, &str); 2] = [("http", "/api/v1/locations"), ("websocket", "report_location")];

/// How the sources are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownSources {
    /// The moment of the counts: two of these answers give rates.
    at: Time,
    /// Those of the configuration in its order, then `http` and `websocket`, which are always there.
    sources: Vec<ShownSource>,
}

/// A source.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownSource {
    /// Its name, as in `anita_fixes_total{source}`.
    name: String,
    /// `mqtt`, `line`, `simulator`; `http`, `websocket`; `embedded` for one of the application that embeds the server.
    r#type: &'static str,
    /// What is understood there, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    /// Where it connects, without user names and passwords.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// `starting`, `connected`, `waiting` for its next attempt, or `stopped`; `listening` for `http` and `websocket`.
    state: &'static str,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// Messages or lines that arrived; not counted for `http` and `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    /// What became of the fixes that it reported.
    fixes: ShownFixes,
    /// Items that were not understood, by reason; only reasons that occurred.
    malformed: BTreeMap<&'static str, u64>,
    /// Reports that are lost, because nothing took them in time.
    dropped: u64,
    /// How often it was started anew.
    restarts: u64,
    /// Its last fault; it stays when the source is well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<ShownFault>,
}

/// What became of fixes.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownFixes {
    /// They became the live location.
    newest: u64,
    /// They are older than the live location, and kept for the history.
    late: u64,
    /// They were there already.
    duplicate: u64,
    /// Measurements without a position.
    no_position: u64,
    /// They were refused: from the future, of an unknown device, of one too many, or not readable.
    refused: u64,
}

impl ShownFixes {
    fn of(metrics: &Metrics, source: &str) -> Self {
        let count = |outcome| {
            let labels = FixLabels { source: source.to_owned(), outcome };
            metrics.fixes.get(&labels).map_or(0, |count| count.get())
        };
        let refusals =
            ["refused_future", "refused_unknown_device", "refused_too_many_devices", "refused_item"];
        Self {
            newest: count("newest"),
            late: count("late"),
            duplicate: count("duplicate"),
            no_position: count("no_position"),
            refused: refusals.into_iter().map(count).sum(),
        }
    }
}

/// A fault of a source.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownFault {
    /// What happened, with its causes.
    message: String,
    /// When.
    at: Time,
    /// What to do about it.
    remedy: &'static str,
}

impl ShownSource {
    fn of(report: SourceReport, metrics: &Metrics) -> Self {
        let last_error = report.last_fault.map(|fault| ShownFault {
            message: fault.message,
            at: Time(fault.at),
            remedy: fault.remedy,
        });
        Self {
            fixes: ShownFixes::of(metrics, &report.name),
            name: report.name,
            r#type: report.kind,
            format: report.format,
            address: report.address,
            state: report.state,
            since: Some(Time(report.since)),
            messages: Some(report.messages),
            malformed: report.malformed.into_iter().collect(),
            dropped: report.dropped,
            restarts: report.restarts,
            last_error,
        }
    }

    fn always((name, address): (&'static str, &str), metrics: &Metrics) -> Self {
        Self {
            name: name.to_owned(),
            r#type: name,
            format: Some("json"),
            address: Some(address.to_owned()),
            state: "listening",
            since: None,
            messages: None,
            fixes: ShownFixes::of(metrics, name),
            malformed: BTreeMap::new(),
            dropped: 0,
            restarts: 0,
            last_error: None,
        }
    }
}

/// `GET /api/v1/sources`: how the sources are.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
) -> Result<Json<ShownSources>, Problem> {
    caller.require(Permission::SourcesRead)?;
    let metrics = server.context.hub.metrics();
    let configured = server.sources.reports().into_iter().map(|report| ShownSource::of(report, metrics));
    let always = ALWAYS.into_iter().map(|it| ShownSource::always(it, metrics));
    let at = Time(server.clock.now().wall);
    Ok(Json(ShownSources { at, sources: configured.chain(always).collect() }))
}
