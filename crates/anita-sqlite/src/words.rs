//! The words for what the model has as types.

use anita_model::{DeviceKind, DeviceStatus};

pub(crate) fn kind_word(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Tag => "tag",
        DeviceKind::Anchor => "anchor",
        DeviceKind::Gateway => "gateway",
    }
}

pub(crate) fn kind_of(word: &str) -> Option<DeviceKind> {
    match word {
        "tag" => Some(DeviceKind::Tag),
        "anchor" => Some(DeviceKind::Anchor),
        "gateway" => Some(DeviceKind::Gateway),
        _ => None,
    }
}

pub(crate) fn status_word(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Connected => "connected",
        DeviceStatus::Stale => "stale",
        DeviceStatus::Disconnected => "disconnected",
    }
}

pub(crate) fn status_of(word: &str) -> Option<DeviceStatus> {
    match word {
        "connected" => Some(DeviceStatus::Connected),
        "stale" => Some(DeviceStatus::Stale),
        "disconnected" => Some(DeviceStatus::Disconnected),
        _ => None,
    }
}
