//! An application around the hub, with message types of its own: `cargo run --example embed -- anita.toml`.
//!
//! It answers `domain.count_devices`, and lets operators start a `domain.alarm` that everybody in the room `uwb` hears.

#![allow(clippy::print_stdout, reason = "an example says where it listens")]

use anita::{App, Config, ErrorCode, Permission, Refusal};
use anita_model::RoomName;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
struct RaiseAlarm {
    zone: String,
}

#[derive(Serialize)]
struct AlarmRaised {
    zone: String,
    seq: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "anita.toml".to_owned());
    let mut app = App::new(Config::load(path.as_ref())?);

    app.on("domain.whoami", None, "domain.you", |caller, _nothing: serde_json::Value| async move {
        Ok(json!({ "user_id": caller.principal.subject(), "connections": caller.manager.connection_count() }))
    })?;

    app.on(
        "domain.raise_alarm",
        Some(Permission::RoomsSend),
        "domain.alarm_raised",
        |caller, RaiseAlarm { zone }: RaiseAlarm| async move {
            let alarm = json!({ "zone": zone, "by": caller.principal.subject() });
            let said = caller.manager.broadcast(&RoomName::uwb(), "domain.alarm", &alarm, caller.now.wall);
            let seq = said.ok_or_else(|| Refusal::saying(ErrorCode::Unavailable, "Nobody listens."))?;
            Ok(AlarmRaised { zone, seq })
        },
    )?;

    let running = app.start().await?;
    println!("listening on {}", running.address());
    running.until_signal().await?;
    Ok(())
}
