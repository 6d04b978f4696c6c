//! What metrics are told apart by.

use prometheus_client::encoding::EncodeLabelSet;

/// Which source, and what became of the fix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FixLabels {
    /// The source's name.
    pub source: String,
    /// `newest`, `late`, `duplicate`, `no_position`, or why it was refused; `refused_item` for one that could not be read.
    pub outcome: &'static str,
}

/// Which type of message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TypeLabels {
    /// The type on the wire; `unknown` for what the protocol does not have, `domain` for applications' own.
    pub r#type: &'static str,
}

/// Which code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code of an error or a close.
    pub code: &'static str,
}

/// Why a connection was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Which limit was reached, or what was wrong; from a closed list.
    pub reason: &'static str,
}

/// Which part of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabels {
    /// `tls`, `header`, `request`, `message` or `write`.
    pub stage: &'static str,
}

/// Which lane of delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LaneLabels {
    /// `reply`, `event` or `position`.
    pub lane: &'static str,
}

/// Which lane of delivery, and which class of views.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// `event`, `position` or `every`.
    pub lane: &'static str,
    /// `room`, `tracking`, `single`, `batch`, `columns` or `every`.
    pub class: &'static str,
}

/// Which status of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabels {
    /// `connected`, `stale` or `disconnected`.
    pub status: &'static str,
}

/// Which source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    /// The source's name.
    pub source: String,
}

/// Which state the store is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabels {
    /// `well`, `spooling`, `slow`, `full` or `away`.
    pub state: &'static str,
}

/// Which kind of thing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabels {
    /// `fixes`, `events` or `audit`; of what was removed also `fixes_thinned`.
    pub kind: &'static str,
}

/// Which source, and why a message of it was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MalformedLabels {
    /// The source's name.
    pub source: String,
    /// The reason, from a closed list.
    pub reason: &'static str,
}

/// Which class of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabels {
    /// `report`, `read`, `past`, `say`, `change`, `auth` or `domain`; `all` for the rate of all together.
    pub class: &'static str,
}

/// Where something happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlaceLabels {
    /// The part of the server, from a closed list.
    pub r#where: &'static str,
}
