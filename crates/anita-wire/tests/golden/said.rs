//! What the server says, made with the server's own types.

use std::collections::BTreeMap;

use anita_model::{Position, Timestamp};
use anita_wire::message::{
    Ages, AuthRequired, Connection, ConnectionStats, Device, DeviceList, DeviceRegistered, DeviceRemoved,
    DeviceStatus, DeviceUpdated, Error, Heartbeat, HistoryEntry, Limits, Location, LocationHistory,
    LocationsReported, Member, Pace, PlaybackEnded, PlaybackPosition, PlaybackStarted, PlaybackStopped,
    PlaybackUpdated, Pong, PositionColumns, PositionUpdate, Proximity, Reconnect, RefusedItem, RoomAdvanced,
    RoomGap, RoomJoined, RoomLeft, RoomMembers, RoomMessage, RoomSent, Sender, ServerPayload, Subscribed,
    SubscriptionStats, SubscriptionUpdated, TokenRefreshed, TrackingStarted, TrackingStopped, Unsubscribed,
    ViewEntered, ViewGap, ViewLeft, ViewSnapshot, Whereabouts,
};
use anita_wire::playback::{PlaybackEnd, PlaybackState};
use anita_wire::view::{Lane, LengthUnit, Mode};
use anita_wire::{
    ErrorCode, Incoming, Kind, Metres, Numbered, OfView, Outgoing, Percent, Place, Refusal, Status, Time,
    limits,
};
use serde_json::json;

/// Every golden message of the server: the file's name → its text.
pub(crate) fn all() -> BTreeMap<String, String> {
    let mut said = Said::default();
    system(&mut said);
    errors(&mut said);
    rooms(&mut said);
    devices(&mut said);
    locations(&mut said);
    views(&mut said);
    positions_of_views(&mut said);
    stats(&mut said);
    playback(&mut said);
    said.0
}

#[derive(Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    fn push<P: ServerPayload>(&mut self, payload: &P) {
        self.0.insert(P::TYPE.to_owned(), Outgoing::push(payload).to_text());
    }

    /// The answer to a request with this id, as JSON.
    fn answer<P: ServerPayload>(&mut self, id: &str, payload: &P) {
        let request = format!(r#"{{"type":"ping","id":{id}}}"#);
        let id = Incoming::decode(&request).unwrap().id;
        self.0.insert(P::TYPE.to_owned(), Outgoing::answer(payload, id.as_ref()).to_text());
    }

    fn case<P: ServerPayload>(&mut self, case: &str, payload: &P) {
        self.0.insert(format!("{}.{case}", P::TYPE), Outgoing::push(payload).to_text());
    }

    fn numbered<P: ServerPayload>(&mut self, seq: u64, payload: &P) {
        let numbered = Numbered { room: "hall/gate-2", epoch: "4f1c9a", seq };
        self.0.insert(P::TYPE.to_owned(), Outgoing::numbered(payload, numbered).to_text());
    }

    /// A message of a playback: it is named beside type and payload, and in the payload.
    fn of_playback<P: ServerPayload>(&mut self, case: &str, id: Option<&str>, payload: &P) {
        let request = format!(r#"{{"type":"ping","id":{}}}"#, id.unwrap_or("null"));
        let id = Incoming::decode(&request).unwrap().id;
        let text = Outgoing::of_playback(payload, "p1", id.as_ref()).to_text();
        self.0.insert(format!("{}{case}", P::TYPE), text);
    }

    /// What a view says of positions: the subscription stands beside type and payload.
    fn of_view<P: ServerPayload>(&mut self, case: &str, place: Option<(&str, u64)>, payload: &P) {
        let view = OfView { subscription: Some("s1"), place };
        self.0.insert(format!("{}.{case}", P::TYPE), Outgoing::of_view(payload, view).to_text());
    }
}

fn time(text: &str) -> Time {
    Time(Timestamp::parse(text).unwrap())
}

fn place(x: f64, y: f64, z: f64) -> Place {
    Position::new(x, y, z).unwrap().into()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn system(said: &mut Said) {
    said.push(&Connection {
        client_id: "c-7f3a9d20".to_owned(),
        status: "authenticated".to_owned(),
        user_id: "alice".to_owned(),
        roles: words(&["viewer"]),
        permissions: words(&["devices.read", "rooms.join"]),
        expires_at: time("2026-05-04T15:12:33Z"),
        heartbeat_interval_secs: 25.0,
        protocol: "anita.v1".to_owned(),
        limits: Limits {
            message_bytes: limits::MESSAGE_BYTES_MAX_DEFAULT,
            requests_per_second: 50,
            rooms: 100,
            locations_per_report: limits::LOCATIONS_PER_REPORT_MAX,
            devices_per_page: limits::DEVICES_PER_PAGE_MAX,
            history_per_page: limits::HISTORY_PER_PAGE_MAX,
        },
    });
    said.push(&AuthRequired {
        auth_methods: words(&["authenticate", "header", "query", "subprotocol"]),
        message: "Send `authenticate` with a token within 10 seconds.".to_owned(),
    });
    said.answer(
        "1",
        &TokenRefreshed {
            expires_at: time("2026-05-04T23:12:33Z"),
            roles: words(&["viewer", "publisher"]),
            permissions: words(&["devices.read", "locations.report", "rooms.join"]),
        },
    );
    let server_time = time("2026-05-04T07:12:58.000250Z");
    said.push(&Heartbeat { server_time, uptime_seconds: 86_412.75 });
    said.answer(r#""p-1""#, &Pong { server_time });
    said.push(&Reconnect { retry_after_ms: 2_500, message: "The server restarts.".to_owned() });
}

/// One `error` for each code, and one with all its fields.
fn errors(said: &mut Said) {
    for code in ErrorCode::ALL {
        said.case(code.as_str(), &Error::from(&Refusal::new(*code)));
    }
    let refusal = Refusal::new(ErrorCode::RateLimited)
        .with_retry_after_ms(750)
        .with_details(json!({ "limit": 50, "unit": "requests per second" }));
    said.answer("17", &Error::from(&refusal));
}

fn rooms(said: &mut Said) {
    let room = || "hall/gate-2".to_owned();
    let epoch = || "4f1c9a".to_owned();
    said.answer("3", &RoomJoined { room: room(), epoch: epoch(), seq: 1_041, recovered: None });
    said.case("recovered", &RoomJoined { room: room(), epoch: epoch(), seq: 1_044, recovered: Some(true) });
    said.answer("5", &RoomLeft { room: room() });
    let member = |client_id: &str, user_id: &str, since: &str| Member {
        client_id: client_id.to_owned(),
        user_id: user_id.to_owned(),
        since: time(since),
    };
    let members = vec![
        member("c-7f3a9d20", "alice", "2026-05-04T07:12:33.000001Z"),
        member("c-02b94e61", "gate 2", "2026-05-04T07:13:00Z"),
    ];
    said.answer("6", &RoomMembers { room: room(), total: members.len(), members });
    said.answer("7", &RoomSent { room: room(), epoch: epoch(), seq: 1_042 });
    let data =
        serde_json::value::to_raw_value(&json!({ "gate": 2, "seconds": 12.5, "reason": null })).unwrap();
    let from = Sender { client_id: "c-7f3a9d20".to_owned(), user_id: "alice".to_owned() };
    said.numbered(1_042, &RoomMessage { room: room(), name: "gate.open".to_owned(), data, from });
    let proximity =
        Proximity { device1: "27196".to_owned(), device2: "27197".to_owned(), distance: Metres(0.482_31) };
    said.numbered(1_052, &proximity);
    said.push(&RoomGap { room: room(), epoch: epoch(), from_seq: 1_043, to_seq: 1_050 });
    said.push(&RoomAdvanced { room: room(), epoch: epoch(), seq: 1_051 });
}

/// A tag with all that can be known of it.
fn forklift() -> Device {
    Device {
        id: "dwm 0d13".to_owned(),
        name: Some("Forklift 4".to_owned()),
        kind: Kind::Tag,
        status: Status::Connected,
        last_seen: Some(time("2026-05-04T07:12:33.312500Z")),
        location: Some(place(12.5, 3.25, 1.1)),
        accuracy: Some(Metres(0.123_456)),
        floor: Some(1.0),
        battery: Some(Percent(87.5)),
        site: Some("warehouse-2".to_owned()),
        source: Some("hall".to_owned()),
        timestamp: Some(time("2026-05-04T07:12:33.250000Z")),
        received_at: Some(time("2026-05-04T07:12:33.312500Z")),
    }
}

/// An anchor that was registered and never heard of.
fn unheard() -> Device {
    Device {
        id: "A01/010-000".to_owned(),
        name: None,
        kind: Kind::Anchor,
        status: Status::Disconnected,
        last_seen: None,
        location: None,
        accuracy: None,
        floor: None,
        battery: None,
        site: None,
        source: None,
        timestamp: None,
        received_at: None,
    }
}

fn devices(said: &mut Said) {
    let devices = vec![unheard(), forklift()];
    said.answer("2", &DeviceList { devices, total: 7, next: Some("dwm 0d13".to_owned()) });
    said.case("empty", &DeviceList { devices: Vec::new(), total: 0, next: None });
    said.answer(
        "9",
        &DeviceRegistered {
            device_id: "dwm 0d13".to_owned(),
            initial_location: Some(place(12.5, 3.25, 1.1)),
        },
    );
    said.case("nowhere", &DeviceRegistered { device_id: "6934".to_owned(), initial_location: None });
    said.answer("10", &DeviceUpdated { device: forklift() });
    said.answer("11", &DeviceRemoved { device_id: "6934".to_owned() });
    let status = |status, last_seen, battery| DeviceStatus {
        device_id: "6934".to_owned(),
        status,
        last_seen,
        battery,
    };
    said.numbered(
        1_043,
        &status(Status::Stale, Some(time("2026-05-04T07:12:33.312500Z")), Some(Percent(11.04))),
    );
    said.case("never_heard", &status(Status::Disconnected, None, None));
    let proximity =
        Proximity { device1: "6934".to_owned(), device2: "dwm 0d13".to_owned(), distance: Metres(1.234_56) };
    said.numbered(1_044, &proximity);
}

fn locations(said: &mut Said) {
    let timestamp = time("2026-05-04T07:12:33.250000Z");
    let received_at = time("2026-05-04T07:12:33.312500Z");
    let plain = Location {
        device_id: "6934".to_owned(),
        location: place(4.812_345, -1.377_5, 0.0),
        accuracy: None,
        floor: None,
        battery: None,
        site: None,
        timestamp,
        received_at,
    };
    said.push(&plain);
    let everything = Location {
        accuracy: Some(Metres(0.12)),
        floor: Some(-1.5),
        battery: Some(Percent(100.0)),
        site: Some("warehouse-2".to_owned()),
        ..plain
    };
    said.case("everything", &everything);
    let positions = [("6934", place(4.812, -1.377, 0.95)), ("dwm 0d13", place(12.5, 3.25, 1.1))];
    let positions = positions.map(|(id, place)| (id.to_owned(), place.into())).into();
    said.push(&PositionUpdate { positions, timestamp, playback: None });
    said.answer("12", &TrackingStarted { device_ids: words(&["6934", "6935"]), update_frequency: 0.5 });
    said.push(&TrackingStopped {});
    let refused = RefusedItem {
        index: 1,
        code: ErrorCode::InvalidPayload,
        message: "battery: expected a percentage from 0 to 100.".to_owned(),
    };
    said.answer("14", &LocationsReported { accepted: 1, refused: vec![refused], durability: None });
    let entry = HistoryEntry {
        timestamp,
        received_at,
        location: place(4.812, -1.377, 0.95),
        accuracy: Some(Metres(0.12)),
        floor: None,
        source: Some("hall".to_owned()),
    };
    let earlier = HistoryEntry {
        timestamp: time("2026-05-04T07:12:32.750000Z"),
        accuracy: None,
        source: None,
        ..entry.clone()
    };
    said.answer(
        "16",
        &LocationHistory {
            device_id: "6934".to_owned(),
            history: vec![entry, earlier],
            start_time: Some(time("2026-05-04T07:00:00Z")),
            end_time: None,
            next: Some("1777878752750000".to_owned()),
        },
    );
}

fn views(said: &mut Said) {
    let subscription = || "s1".to_owned();
    let epoch = || "9f2c41d0aa17".to_owned();
    let subscribed =
        Subscribed { subscription: subscription(), epoch: epoch(), seq: 70_412, recovered: None };
    said.answer("18", &subscribed);
    said.case("recovered", &Subscribed { recovered: Some(true), ..subscribed.clone() });
    said.case("not_recovered", &Subscribed { recovered: Some(false), ..subscribed });
    said.answer("19", &SubscriptionUpdated { subscription: subscription(), epoch: epoch(), seq: 70_530 });
    said.answer("20", &Unsubscribed { subscription: subscription() });
    let page = ViewSnapshot {
        subscription: subscription(),
        devices: vec![unheard(), forklift()],
        refs: None,
        page: 1,
        complete: true,
    };
    said.push(&page);
    said.case(
        "columns",
        &ViewSnapshot { devices: vec![forklift()], refs: Some(vec![12]), page: 2, complete: false, ..page },
    );
    said.push(&ViewEntered { subscription: subscription(), devices: vec![forklift()], refs: None });
    said.case(
        "columns",
        &ViewEntered { subscription: subscription(), devices: vec![forklift()], refs: Some(vec![12]) },
    );
    said.push(&ViewLeft { subscription: subscription(), device_ids: words(&["6934", "dwm 0d13"]) });
    said.push(&ViewGap { subscription: subscription(), epoch: epoch(), from_seq: 70_413, to_seq: 71_022 });
}

fn positions_of_views(said: &mut Said) {
    let timestamp = time("2026-05-04T07:12:33.320000Z");
    let taken_at = time("2026-05-04T07:12:33.250000Z");
    let positions = [("6934", place(4.812, -1.377, 0.95)), ("dwm 0d13", place(12.5, 3.25, 1.1))];
    let positions = positions.map(|(id, place)| (id.to_owned(), place.into())).into();
    said.of_view("view", None, &PositionUpdate { positions, timestamp, playback: None });
    let everything = Whereabouts {
        place: place(12.5, 3.25, 1.1),
        accuracy: Some(Metres(0.123_456)),
        floor: Some(1.0),
        battery: Some(Percent(87.5)),
        timestamp: Some(taken_at),
    };
    let plain = Whereabouts { timestamp: Some(taken_at), ..place(4.812, -1.377, 0.95).into() };
    let positions = [("6934".to_owned(), plain), ("dwm 0d13".to_owned(), everything)].into();
    said.of_view("everything", None, &PositionUpdate { positions, timestamp, playback: None });
    let location = Location {
        device_id: "6934".to_owned(),
        location: place(4.812_345, -1.377_5, 0.0),
        accuracy: None,
        floor: None,
        battery: None,
        site: None,
        timestamp: taken_at,
        received_at: timestamp,
    };
    said.of_view("view", None, &location);
    said.of_view("every", Some(("9f2c41d0aa17", 70_413)), &location);
    let columns = PositionColumns {
        unit: LengthUnit::Mm,
        timestamp,
        refs: vec![12, 3],
        x: vec![12_500, 4_812],
        y: vec![3_250, -1_377],
        z: vec![1_100, 950],
        taken_ms_ago: None,
        accuracy: None,
        floor: None,
        battery: None,
    };
    said.0.insert(
        PositionColumns::TYPE.to_owned(),
        Outgoing::of_view(&columns, OfView { subscription: Some("s1"), place: None }).to_text(),
    );
    let everything = PositionColumns {
        unit: LengthUnit::Cm,
        x: vec![1_250, 481],
        y: vec![325, -138],
        z: vec![110, 95],
        taken_ms_ago: Some(vec![70, 1_070]),
        accuracy: Some(vec![Some(12), None]),
        floor: Some(vec![Some(1.0), None]),
        battery: Some(vec![Some(87.5), None]),
        ..columns
    };
    said.of_view("everything", None, &everything);
}

fn stats(said: &mut Said) {
    said.push(&Pace { dropped: 1_204, age_ms: 860 });
    let fresh = ConnectionStats {
        client_id: "c-7f3a9d20".to_owned(),
        since: time("2026-05-04T07:12:33Z"),
        received: 3,
        sent: 5_120,
        positions_delivered: 71_300,
        positions_dropped: 1_204,
        queued_bytes: 0,
        age_ms: None,
        added_age_ms: None,
        subscriptions: Vec::new(),
    };
    said.case("first", &fresh);
    let map = SubscriptionStats {
        subscription: "s1".to_owned(),
        mode: Mode::Columns,
        lane: Lane::Newest,
        max_rate_hz: Some(10.0),
        devices: Some(53),
        is_behind: false,
    };
    let recorder = SubscriptionStats {
        subscription: "s2".to_owned(),
        mode: Mode::Single,
        lane: Lane::Every,
        max_rate_hz: None,
        devices: None,
        is_behind: true,
    };
    said.answer(
        "21",
        &ConnectionStats {
            age_ms: Some(Ages { p50: 6, p99: 31, max: 78 }),
            added_age_ms: Some(Ages { p50: 4, p99: 12, max: 14 }),
            subscriptions: vec![map, recorder],
            ..fresh
        },
    );
}

fn playback(said: &mut Said) {
    let playback = || "p1".to_owned();
    let at = time("2026-05-04T06:00:12.400000Z");
    let started = PlaybackStarted {
        playback: playback(),
        start_time: time("2026-05-04T06:00:00Z"),
        end_time: time("2026-05-04T06:30:00Z"),
        speed: 10.0,
        update_frequency: 0.1,
        devices: 12,
    };
    said.of_playback("", Some("22"), &started);
    let positions = [("6934".to_owned(), place(4.812, -1.377, 0.95).into())].into();
    let update = PositionUpdate { positions, timestamp: at, playback: Some(playback()) };
    said.of_playback(".playback", None, &update);
    for (case, state) in [
        ("", PlaybackState::Playing),
        (".paused", PlaybackState::Paused),
        (".waiting", PlaybackState::Waiting),
    ] {
        said.of_playback(case, None, &PlaybackPosition { playback: playback(), at, speed: 10.0, state });
    }
    let state = PlaybackState::Paused;
    said.of_playback("", Some("23"), &PlaybackUpdated { playback: playback(), at, speed: 0.5, state });
    for (case, reason) in [
        ("", PlaybackEnd::End),
        (".stopped", PlaybackEnd::Stopped),
        (".replaced", PlaybackEnd::Replaced),
        (".forbidden", PlaybackEnd::Forbidden),
        (".failed", PlaybackEnd::Failed),
    ] {
        said.of_playback(case, None, &PlaybackEnded { playback: playback(), reason, at });
    }
    said.of_playback("", Some("24"), &PlaybackStopped { playback: Some(playback()) });
    said.case("none", &PlaybackStopped { playback: None });
}
