//! What a commit has to do, in which order.

use std::collections::HashMap;
use std::sync::Arc;

use anita_model::{DeviceId, Fix, Revocation, Revoked};
use anita_store::{AuditEntry, AuditRecord, DeviceRecord, DeviceState, EventRecord, Record};

use crate::fault::Fault;
use crate::trail::Word;

/// A commit, sorted by kinds: devices are removed first, since of a removed device only what comes later counts.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) removes: Vec<&'a DeviceId>,
    pub(crate) saves: Vec<&'a DeviceRecord>,
    pub(crate) states: Vec<&'a DeviceState>,
    pub(crate) fixes: Vec<&'a Arc<Fix>>,
    pub(crate) events: Vec<&'a EventRecord>,
    pub(crate) audit: Vec<&'a AuditEntry>,
    /// In their order, which counts.
    pub(crate) revocations: Vec<Word<'a>>,
}

impl<'a> Plan<'a> {
    /// Sorts records.
    ///
    /// # Errors
    /// What PostgreSQL can't keep.
    pub(crate) fn of(records: &'a [Record]) -> Result<Self, Fault> {
        let mut plan = Self::default();
        let mut removed: HashMap<&DeviceId, usize> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            if let Record::Remove(id) = record {
                removed.insert(id, place);
            }
        }
        let counts = |id: &DeviceId, place: usize| removed.get(id).is_none_or(|last| *last < place);
        for (place, record) in records.iter().enumerate() {
            match record {
                Record::Fix(fix) if counts(&fix.device, place) => plan.fixes.push(fix),
                Record::Save(device) => {
                    check("the name of a device", device.name.as_deref().unwrap_or_default())?;
                    if counts(&device.id, place) {
                        plan.saves.push(device);
                    }
                }
                Record::State(state) if counts(&state.id, place) => plan.states.push(state),
                Record::Fix(_) | Record::State(_) | Record::Remove(_) => {}
                Record::Event(event) => {
                    check_event(event)?;
                    plan.events.push(event);
                }
                Record::Audit(entry) => {
                    check_audit(entry)?;
                    plan.audit.push(entry);
                }
                Record::Revoke(revocation) => {
                    check_revocation(revocation)?;
                    plan.revocations.push(Word::Revoke(revocation));
                }
                Record::Unrevoke(id) => plan.revocations.push(Word::Unrevoke(id)),
            }
        }
        plan.removes = removed.into_keys().collect();
        Ok(plan)
    }

    /// Whether there is nothing but fixes.
    pub(crate) fn has_only_fixes(&self) -> bool {
        self.removes.is_empty()
            && self.saves.is_empty()
            && self.states.is_empty()
            && self.events.is_empty()
            && self.audit.is_empty()
            && self.revocations.is_empty()
    }
}

fn check_event(event: &EventRecord) -> Result<(), Fault> {
    for text in [&*event.text, &*event.epoch, event.from.as_deref().unwrap_or_default()] {
        check("an event", text)?;
    }
    if i64::try_from(event.ordinal.max(event.seq)).is_err() {
        return Err(Fault::TooLarge("the number of an event"));
    }
    Ok(())
}

fn check_audit(entry: &AuditEntry) -> Result<(), Fault> {
    let AuditRecord { at: _, subject, issuer, action, object, outcome, address } = &entry.record;
    let others = [issuer.as_ref(), address.as_ref()];
    for text in [subject, action, object, outcome].into_iter().chain(others.into_iter().flatten()) {
        check("an audit entry", text)?;
    }
    match entry.seq().map(i64::try_from) {
        Some(Err(_too_large)) => Err(Fault::TooLarge("the number of an audit entry")),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn check_revocation(revocation: &Revocation) -> Result<(), Fault> {
    let Revocation { id: _, revoked, issuer, made_at: _, until: _, made_by, reason } = revocation;
    let value = match revoked {
        Revoked::Token(text) | Revoked::Subject { subject: text, .. } => Some(text),
        Revoked::IssuedBefore(_) => None,
    };
    for text in [Some(made_by), Some(reason), issuer.as_ref(), value].into_iter().flatten() {
        check("a revocation", text)?;
    }
    Ok(())
}

fn check(what: &'static str, text: &str) -> Result<(), Fault> {
    if text.contains('\0') { Err(Fault::Nul(what)) } else { Ok(()) }
}
