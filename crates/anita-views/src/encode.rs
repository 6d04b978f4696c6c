//! What a class says, as complete WebSocket frames.

use anita_model::DeviceId;
use anita_wire::limits::VIEW_DEVICES_PER_MESSAGE_MAX;
use anita_wire::message::{PositionColumns, ServerPayload, ViewEntered, ViewLeft, ViewSnapshot};
use anita_wire::view::{Fields, LengthUnit};
use anita_wire::{OfView, Outgoing, Time, compose};
use anita_world::Device;
use bytes::{BufMut, Bytes, BytesMut};

use crate::live::Live;
use crate::payload;
use crate::spec::{ClassKey, Form, Slot};

/// The longest header of a frame to a client (RFC 6455 section 5.2), bytes.
const FRAME_HEADER_BYTES_MAX: usize = 10;

/// A device as a class shows it: its number on the wire, what it is, and the fix that is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) number: u32,
    pub(crate) device: &'a Device,
    pub(crate) live: Option<&'a Live>,
}

/// Which page of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// The first is 1.
    pub(crate) number: u32,
    pub(crate) is_last: bool,
}

/// Writes frames for the members of one class, one after the other.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    key: &'a ClassKey,
    subscription: Option<String>,
    frames: BytesMut,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(key: &'a ClassKey) -> Self {
        Self { key, subscription: key.slot.subscription(), frames: BytesMut::new() }
    }

    pub(crate) fn finish(self) -> Bytes {
        self.frames.freeze()
    }

    fn view(&self) -> OfView<'_> {
        OfView { subscription: self.subscription.as_deref(), place: None }
    }

    fn name(&self) -> String {
        self.subscription.clone().unwrap_or_default()
    }

    fn say<P: ServerPayload>(&mut self, payload: &P) {
        anita_ws::frame::text_into(&mut self.frames, &Outgoing::push(payload).to_text());
    }

    fn refs(&self, shown: &[Shown<'_>]) -> Option<Vec<u32>> {
        let has_refs = matches!(self.key.spec.form, Form::Columns(_));
        has_refs.then(|| shown.iter().map(|it| it.number).collect())
    }

    /// `view.snapshot`: one page, the last one or not.
    pub(crate) fn snapshot(&mut self, shown: &[Shown<'_>], Page { number, is_last }: Page) {
        let devices = shown.iter().map(device).collect();
        let (subscription, refs) = (self.name(), self.refs(shown));
        self.say(&ViewSnapshot { subscription, devices, refs, page: number, complete: is_last });
    }

    /// `view.entered`.
    pub(crate) fn entered(&mut self, shown: &[Shown<'_>]) {
        for shown in shown.chunks(VIEW_DEVICES_PER_MESSAGE_MAX) {
            let devices = shown.iter().map(device).collect();
            let (subscription, refs) = (self.name(), self.refs(shown));
            self.say(&ViewEntered { subscription, devices, refs });
        }
    }

    /// `view.left`.
    pub(crate) fn left(&mut self, ids: &[DeviceId]) {
        for ids in ids.chunks(VIEW_DEVICES_PER_MESSAGE_MAX) {
            let device_ids = ids.iter().map(DeviceId::to_string).collect();
            self.say(&ViewLeft { subscription: self.name(), device_ids });
        }
    }

    /// What moved, in the form of the class.
    pub(crate) fn moved(&mut self, moved: &[(u32, &Live)], now: Time) {
        match self.key.spec.form {
            Form::Single => moved.iter().for_each(|(_number, live)| self.single(live)),
            Form::Batch => {
                moved.chunks(VIEW_DEVICES_PER_MESSAGE_MAX).for_each(|moved| self.batch(moved, now));
            }
            Form::Columns(unit) => {
                moved.chunks(VIEW_DEVICES_PER_MESSAGE_MAX).for_each(|moved| self.columns(moved, unit, now));
            }
        }
    }

    fn single(&mut self, live: &Live) {
        if self.key.slot == Slot::Room {
            self.frames.extend_from_slice(live.frame());
            return;
        }
        let mut location = payload::location(&live.fix);
        if self.key.spec.fields == Fields::Position {
            (location.accuracy, location.floor, location.battery) = (None, None, None);
        }
        let text = Outgoing::of_view(&location, self.view()).to_text();
        anita_ws::frame::text_into(&mut self.frames, &text);
    }

    fn batch(&mut self, moved: &[(u32, &Live)], now: Time) {
        let fields = self.key.spec.fields;
        let mut text = Vec::with_capacity(128 + moved.len() * 64);
        let entries = moved.iter().map(|(_number, live)| live.entry(fields));
        compose::position_update(self.view(), entries, now, &mut text);
        self.frames.reserve(FRAME_HEADER_BYTES_MAX + text.len());
        anita_ws::frame::header_into(&mut self.frames, anita_ws::Opcode::Text, text.len());
        self.frames.put_slice(&text);
    }

    fn columns(&mut self, moved: &[(u32, &Live)], unit: LengthUnit, now: Time) {
        let fixes = || moved.iter().map(|(_number, live)| &live.fix);
        let length = |metres: f64| steps(metres, unit);
        let has_all = self.key.spec.fields == Fields::All;
        let columns = PositionColumns {
            unit,
            timestamp: now,
            refs: moved.iter().map(|&(number, _live)| number).collect(),
            x: fixes().map(|fix| length(fix.position.x_m())).collect(),
            y: fixes().map(|fix| length(fix.position.y_m())).collect(),
            z: fixes().map(|fix| length(fix.position.z_m())).collect(),
            taken_ms_ago: has_all
                .then(|| fixes().map(|fix| (now.0.as_micros() - fix.taken_at.as_micros()) / 1_000).collect()),
            accuracy: has_all.then(|| fixes().map(|fix| fix.accuracy_m.map(length)).collect()),
            floor: has_all.then(|| fixes().map(|fix| fix.floor).collect()),
            battery: has_all.then(|| fixes().map(|fix| fix.battery_percent.map(tenths)).collect()),
        };
        let text = Outgoing::of_view(&columns, self.view()).to_text();
        anita_ws::frame::text_into(&mut self.frames, &text);
    }
}

fn device(shown: &Shown<'_>) -> anita_wire::message::Device {
    payload::device_at(shown.device, shown.live.map(|live| &*live.fix))
}

fn tenths(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

#[expect(clippy::cast_possible_truncation, reason = "coordinates are at most 10,000 km")]
fn steps(metres: f64, unit: LengthUnit) -> i64 {
    let per_metre = match unit {
        LengthUnit::Mm => 1_000.0,
        LengthUnit::Cm => 100.0,
    };
    (metres * per_metre).round() as i64
}
