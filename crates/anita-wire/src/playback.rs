//! Playing a period of the past back: what is asked, and what is told beside its position updates.
//!
//! Every message of a playback names it twice: `playback` stands beside type and payload, and in the payload. No other
//! message has either.

use std::borrow::Cow;

use anita_model::DeviceId;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::scalar::Time;

/// Plays a period of the past back, beside what is live; a second one replaces the first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PlayHistory {
    /// Where it begins.
    pub start_time: Time,
    /// Where it ends, at most 31 days later; what lies in the future is cut off.
    pub end_time: Time,
    /// Which devices; absent or empty: all that the client may see when it begins.
    #[serde(default, deserialize_with = "device_ids")]
    #[schemars(with = "Option<Vec<String>>")]
    pub device_ids: Option<Vec<DeviceId>>,
    /// How much faster than it was, 0.1 to 100; 1 when absent.
    #[serde(default)]
    pub speed: Option<f64>,
    /// Seconds between two updates, 0.05 to 60; 0.1 when absent.
    #[serde(default)]
    pub update_frequency: Option<f64>,
}

/// Changes a playback; what is absent stays.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdatePlayback {
    /// Whether it stands still.
    #[serde(default)]
    pub paused: Option<bool>,
    /// Goes on from this moment, within the period.
    #[serde(default)]
    pub at: Option<Time>,
    /// How much faster than it was, 0.1 to 100.
    #[serde(default)]
    pub speed: Option<f64>,
}

/// Ends the playback.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StopPlayback {}

/// What a playback does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaybackState {
    /// It goes on.
    Playing,
    /// It stands still because the client wants it so.
    Paused,
    /// It stands still until the store has answered.
    Waiting,
}

/// Why a playback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaybackEnd {
    /// The period is over.
    End,
    /// The client stopped it.
    Stopped,
    /// The client began another one.
    Replaced,
    /// The client may no longer read history, or see any of the devices.
    Forbidden,
    /// The store did not answer for too long. Play on from `at` when it is well again.
    Failed,
}

/// The answer to `play_history`. Where everything was at the start follows, then what moves.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlaybackStarted {
    /// Its name on this connection.
    pub playback: String,
    /// Where it begins.
    pub start_time: Time,
    /// Where it ends.
    pub end_time: Time,
    /// How much faster than it was.
    pub speed: f64,
    /// Seconds between two updates.
    pub update_frequency: f64,
    /// How many devices it is about.
    pub devices: usize,
}

/// The answer to `update_playback`. After a change of `at`, where everything was then follows: forget what was told before.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlaybackUpdated {
    /// Which playback.
    pub playback: String,
    /// The moment of the past.
    pub at: Time,
    /// How much faster than it was.
    pub speed: f64,
    /// What it does now.
    pub state: PlaybackState,
}

/// The answer to `stop_playback`: nothing of the playback comes after it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlaybackStopped {
    /// Which playback; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback: Option<String>,
}

/// Where a playback is: about once a second, and after every change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlaybackPosition {
    /// Which playback.
    pub playback: String,
    /// The moment of the past.
    pub at: Time,
    /// How much faster than it was.
    pub speed: f64,
    /// What it does.
    pub state: PlaybackState,
}

/// A playback is over; once for each that was started.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlaybackEnded {
    /// Which playback.
    pub playback: String,
    /// Why.
    pub reason: PlaybackEnd,
    /// The moment of the past up to which it went.
    pub at: Time,
}

fn device_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<DeviceId>>, D::Error> {
    let texts = Option::<Vec<Cow<str>>>::deserialize(deserializer)?;
    let parse = |texts: Vec<Cow<str>>| {
        texts.iter().map(|text| DeviceId::parse(text).map_err(D::Error::custom)).collect()
    };
    texts.map(parse).transpose()
}
