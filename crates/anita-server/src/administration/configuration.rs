//! `/api/v1/configuration`: every value as it was loaded, and where it came from.

use std::sync::Arc;

use anita_auth::Permission;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::caller::Caller;
use crate::problem::Problem;
use crate::server::Server;

/// The configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownConfiguration {
    /// Every value, in the order of the keys.
    values: Vec<ShownValue>,
}

/// A value of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownValue {
    /// Its key with its section: `heartbeat.interval_secs`.
    key: String,
    /// The value; `"…"` where it is secret, and in place of the passwords of addresses.
    value: serde_json::Value,
    /// Where it came from: `default`, `file`, or `environment` with the variable.
    origin: String,
}

/// `GET /api/v1/configuration`: as `anita check-config` prints it, when the server started.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    caller: Caller,
) -> Result<Json<ShownConfiguration>, Problem> {
    caller.require(Permission::ConfigurationRead)?;
    caller.require_all("read configuration", "The configuration may name any device and room")?;
    caller.audit("read configuration", "", "done");
    let values = server.desk.configuration.iter().map(|it| ShownValue {
        key: it.key.clone(),
        value: it.value.clone(),
        origin: it.origin.clone(),
    });
    Ok(Json(ShownConfiguration { values: values.collect() }))
}
