//! Records of all kinds as bytes that need nothing else to be read: what the spool keeps.
//!
//! The format's number; the devices and the origins that fixes name, each once; then the records.

use std::collections::HashMap;
use std::sync::Arc;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, Fix, Position, Revocation, RevocationId, Revoked, RoomName, SiteName,
    SourceName, Timestamp,
};
use anita_store::{
    AuditEntry, AuditHash, AuditLink, AuditRecord, DeviceRecord, DeviceState, EventRecord, Record,
};

use crate::codec::{Damaged, Reader, put_signed, put_text, put_unsigned};
use crate::words::{kind_of, kind_word, status_of, status_word};

/// The number of the present format.
const FORMAT: u8 = 2;

/// The first one: its audit entries are in no chain, and there are no revocations.
const FORMAT_1: u8 = 1;

const FIX: u8 = 0;
const SAVE: u8 = 1;
const REMOVE: u8 = 2;
const STATE: u8 = 3;
const EVENT: u8 = 4;
const AUDIT: u8 = 5;
const REVOKE: u8 = 6;
const UNREVOKE: u8 = 7;

/// Texts that come again and again, each once.
#[derive(Debug, Default)]
struct Texts<'a> {
    numbers: HashMap<&'a str, u64>,
    texts: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u64 {
        let next = self.texts.len() as u64;
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            next
        })
    }
}

/// Packs records.
pub(crate) fn write(records: &[Record]) -> Vec<u8> {
    let mut texts = Texts::default();
    let mut body = Vec::with_capacity(64 + records.len() * 48);
    put_unsigned(records.len() as u64, &mut body);
    let mut before_us = 0;
    for record in records {
        match record {
            Record::Fix(fix) => {
                body.push(FIX);
                put_fix(fix, &mut before_us, &mut texts, &mut body);
            }
            Record::Save(device) => {
                body.push(SAVE);
                put_device(device, &mut body);
            }
            Record::Remove(id) => {
                body.push(REMOVE);
                put_text(id.as_str(), &mut body);
            }
            Record::State(state) => {
                body.push(STATE);
                put_text(state.id.as_str(), &mut body);
                put_text(status_word(state.status), &mut body);
                put_option(state.last_seen, &mut body, |at, out| put_signed(at.as_micros(), out));
                put_option(state.battery_percent, &mut body, put_float);
                let has_newest = state.newest.as_ref();
                put_option(has_newest, &mut body, |fix, out| put_fix(fix, &mut before_us, &mut texts, out));
            }
            Record::Event(event) => {
                body.push(EVENT);
                put_event(event, &mut body);
            }
            Record::Audit(entry) => {
                body.push(AUDIT);
                put_audit(entry, &mut body);
            }
            Record::Revoke(revocation) => {
                body.push(REVOKE);
                put_revocation(revocation, &mut body);
            }
            Record::Unrevoke(id) => {
                body.push(UNREVOKE);
                put_text(id.as_str(), &mut body);
            }
        }
    }
    let mut out = Vec::with_capacity(body.len() + texts.texts.len() * 16);
    out.push(FORMAT);
    put_unsigned(texts.texts.len() as u64, &mut out);
    for text in texts.texts {
        put_text(text, &mut out);
    }
    out.append(&mut body);
    out
}

fn put_option<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

fn put_float(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Coordinates are kept in every bit here: the real store decides how exact it is.
fn put_fix<'a>(fix: &'a Fix, before_us: &mut i64, texts: &mut Texts<'a>, out: &mut Vec<u8>) {
    for text in [fix.device.as_str(), fix.site.as_str(), fix.source.as_str()] {
        put_unsigned(texts.number(text), out);
    }
    put_position(fix.position, out);
    for value in [fix.accuracy_m, fix.floor, fix.battery_percent] {
        put_option(value, out, put_float);
    }
    let taken_us = fix.taken_at.as_micros();
    put_signed(taken_us.wrapping_sub(*before_us), out);
    put_signed(fix.received_at.as_micros().wrapping_sub(taken_us), out);
    *before_us = taken_us;
    put_option(fix.sequence, out, put_unsigned);
}

fn put_position(position: Position, out: &mut Vec<u8>) {
    for metres in [position.x_m(), position.y_m(), position.z_m()] {
        put_float(metres, out);
    }
}

fn put_device(device: &DeviceRecord, out: &mut Vec<u8>) {
    put_text(device.id.as_str(), out);
    put_option(device.name.as_deref(), out, put_text);
    put_text(kind_word(device.kind), out);
    put_text(device.site.as_str(), out);
    put_option(device.mounted_at, out, put_position);
    put_option(device.floor, out, put_float);
}

fn put_event(event: &EventRecord, out: &mut Vec<u8>) {
    put_unsigned(event.ordinal, out);
    put_text(event.room.as_str(), out);
    put_text(&event.epoch, out);
    put_unsigned(event.seq, out);
    put_signed(event.at.as_micros(), out);
    put_unsigned(event.devices.len() as u64, out);
    for device in &event.devices {
        put_text(device.as_str(), out);
    }
    put_option(event.from.as_deref(), out, put_text);
    put_text(&event.text, out);
}

fn put_audit(entry: &AuditEntry, out: &mut Vec<u8>) {
    let AuditRecord { at, subject, issuer, action, object, outcome, address } = &entry.record;
    put_signed(at.as_micros(), out);
    for text in [subject, action, object, outcome] {
        put_text(text, out);
    }
    put_option(address.as_deref(), out, put_text);
    put_option(issuer.as_deref(), out, put_text);
    put_option(entry.link, out, |link, out| {
        put_unsigned(link.seq, out);
        out.extend_from_slice(&link.previous.0);
        out.extend_from_slice(&link.hash.0);
    });
}

fn put_time(at: Timestamp, out: &mut Vec<u8>) {
    put_signed(at.as_micros(), out);
}

fn put_revocation(revocation: &Revocation, out: &mut Vec<u8>) {
    let Revocation { id, revoked, issuer, made_at, until, made_by, reason } = revocation;
    put_text(id.as_str(), out);
    match revoked {
        Revoked::Token(id) => {
            out.push(0);
            put_text(id, out);
        }
        Revoked::Subject { subject, issued_before } => {
            out.push(1);
            put_text(subject, out);
            put_option(*issued_before, out, put_time);
        }
        Revoked::IssuedBefore(moment) => {
            out.push(2);
            put_time(*moment, out);
        }
    }
    put_option(issuer.as_deref(), out, put_text);
    put_time(*made_at, out);
    put_option(*until, out, put_time);
    put_text(made_by, out);
    put_text(reason, out);
}

/// The records.
///
/// # Errors
/// [`Damaged`].
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Record>, Damaged> {
    let mut reader = Reader::new(bytes);
    let format = reader.byte()?;
    if !matches!(format, FORMAT_1 | FORMAT) {
        return Err(Damaged);
    }
    let texts = (0..reader.count(1)?).map(|_| reader.text()).collect::<Result<Vec<&str>, Damaged>>()?;
    let mut source =
        Source { format, reader, texts, devices: HashMap::new(), origins: HashMap::new(), before_us: 0 };
    // A record takes two bytes at least, and much more room in memory: it grows as they come.
    let count = source.reader.count(2)?;
    let mut records = Vec::with_capacity(count.min(4_096));
    for _ in 0..count {
        records.push(source.record()?);
    }
    source.reader.end()?;
    Ok(records)
}

struct Source<'a> {
    format: u8,
    reader: Reader<'a>,
    texts: Vec<&'a str>,
    devices: HashMap<u64, DeviceId>,
    origins: HashMap<(u64, u64), (SiteName, SourceName)>,
    before_us: i64,
}

impl<'a> Source<'a> {
    fn record(&mut self) -> Result<Record, Damaged> {
        Ok(match self.reader.byte()? {
            FIX => Record::Fix(Arc::new(self.fix()?)),
            SAVE => Record::Save(self.device()?),
            REMOVE => Record::Remove(self.device_id()?),
            STATE => Record::State(DeviceState {
                id: self.device_id()?,
                status: self.status()?,
                last_seen: self.option(Self::time)?,
                battery_percent: self.option(Self::float)?,
                newest: self.option(Self::fix)?.map(Arc::new),
            }),
            EVENT => Record::Event(self.event()?),
            AUDIT => Record::Audit(self.audit()?),
            REVOKE => Record::Revoke(self.revocation()?),
            UNREVOKE => Record::Unrevoke(self.revocation_id()?),
            _ => return Err(Damaged),
        })
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Option<T>, Damaged> {
        match self.reader.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damaged),
        }
    }

    fn text(&mut self) -> Result<&'a str, Damaged> {
        self.reader.text()
    }

    fn float(&mut self) -> Result<f64, Damaged> {
        self.reader.float()
    }

    fn time(&mut self) -> Result<Timestamp, Damaged> {
        Timestamp::from_micros(self.reader.signed()?).map_err(|_out_of_range| Damaged)
    }

    fn device_id(&mut self) -> Result<DeviceId, Damaged> {
        DeviceId::parse(self.text()?).map_err(|_invalid| Damaged)
    }

    fn status(&mut self) -> Result<DeviceStatus, Damaged> {
        status_of(self.text()?).ok_or(Damaged)
    }

    fn kind(&mut self) -> Result<DeviceKind, Damaged> {
        kind_of(self.text()?).ok_or(Damaged)
    }

    fn position(&mut self) -> Result<Position, Damaged> {
        Position::new(self.float()?, self.float()?, self.float()?).map_err(|_invalid| Damaged)
    }

    fn numbered(&self, number: u64) -> Result<&'a str, Damaged> {
        usize::try_from(number).ok().and_then(|number| self.texts.get(number)).copied().ok_or(Damaged)
    }

    fn fix(&mut self) -> Result<Fix, Damaged> {
        let (device, site, source) =
            (self.reader.unsigned()?, self.reader.unsigned()?, self.reader.unsigned()?);
        if !self.devices.contains_key(&device) {
            let id = DeviceId::parse(self.numbered(device)?).map_err(|_invalid| Damaged)?;
            self.devices.insert(device, id);
        }
        if !self.origins.contains_key(&(site, source)) {
            let names = (
                SiteName::parse(self.numbered(site)?).map_err(|_invalid| Damaged)?,
                SourceName::parse(self.numbered(source)?).map_err(|_invalid| Damaged)?,
            );
            self.origins.insert((site, source), names);
        }
        let device = self.devices.get(&device).cloned().ok_or(Damaged)?;
        let (site, source) = self.origins.get(&(site, source)).cloned().ok_or(Damaged)?;
        let position = self.position()?;
        let [accuracy_m, floor, battery_percent] =
            [self.option(Self::float)?, self.option(Self::float)?, self.option(Self::float)?];
        let taken_us = self.before_us.wrapping_add(self.reader.signed()?);
        let received_us = taken_us.wrapping_add(self.reader.signed()?);
        self.before_us = taken_us;
        Ok(Fix {
            device,
            site,
            position,
            accuracy_m,
            floor,
            battery_percent,
            taken_at: Timestamp::from_micros(taken_us).map_err(|_out_of_range| Damaged)?,
            received_at: Timestamp::from_micros(received_us).map_err(|_out_of_range| Damaged)?,
            source,
            sequence: self.option(|this| this.reader.unsigned())?,
        })
    }

    fn device(&mut self) -> Result<DeviceRecord, Damaged> {
        Ok(DeviceRecord {
            id: self.device_id()?,
            name: self.option(Self::text)?.map(ToOwned::to_owned),
            kind: self.kind()?,
            site: SiteName::parse(self.text()?).map_err(|_invalid| Damaged)?,
            mounted_at: self.option(Self::position)?,
            floor: self.option(Self::float)?,
        })
    }

    fn event(&mut self) -> Result<EventRecord, Damaged> {
        Ok(EventRecord {
            ordinal: self.reader.unsigned()?,
            room: RoomName::parse(self.text()?).map_err(|_invalid| Damaged)?,
            epoch: self.text()?.into(),
            seq: self.reader.unsigned()?,
            at: self.time()?,
            devices: (0..self.reader.count(2)?).map(|_| self.device_id()).collect::<Result<_, Damaged>>()?,
            from: self.option(Self::text)?.map(Into::into),
            text: self.text()?.into(),
        })
    }
    fn audit(&mut self) -> Result<AuditEntry, Damaged> {
        let mut record = AuditRecord {
            at: self.time()?,
            subject: self.text()?.to_owned(),
            issuer: None,
            action: self.text()?.to_owned(),
            object: self.text()?.to_owned(),
            outcome: self.text()?.to_owned(),
            address: self.option(Self::text)?.map(ToOwned::to_owned),
        };
        if self.format == FORMAT_1 {
            return Ok(AuditEntry { record, link: None });
        }
        record.issuer = self.option(Self::text)?.map(ToOwned::to_owned);
        Ok(AuditEntry { record, link: self.option(Self::link)? })
    }

    fn link(&mut self) -> Result<AuditLink, Damaged> {
        Ok(AuditLink { seq: self.reader.unsigned()?, previous: self.hash()?, hash: self.hash()? })
    }

    fn hash(&mut self) -> Result<AuditHash, Damaged> {
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            *byte = self.reader.byte()?;
        }
        Ok(AuditHash(bytes))
    }

    fn revocation_id(&mut self) -> Result<RevocationId, Damaged> {
        RevocationId::parse(self.text()?).map_err(|_invalid| Damaged)
    }

    fn revocation(&mut self) -> Result<Revocation, Damaged> {
        Ok(Revocation {
            id: self.revocation_id()?,
            revoked: match self.reader.byte()? {
                0 => Revoked::Token(self.text()?.into()),
                1 => {
                    Revoked::Subject { subject: self.text()?.into(), issued_before: self.option(Self::time)? }
                }
                2 => Revoked::IssuedBefore(self.time()?),
                _ => return Err(Damaged),
            },
            issuer: self.option(Self::text)?.map(Into::into),
            made_at: self.time()?,
            until: self.option(Self::time)?,
            made_by: self.text()?.into(),
            reason: self.text()?.into(),
        })
    }
}
