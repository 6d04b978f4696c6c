//! What waits in the spool and must not be missed at a start: the tokens that are not accepted any more, and how far the audit
//! chain is.

use anita_model::{Revocation, RevocationId};
use anita_store::{AuditHead, Record, Remembered};

/// What is said of a revocation.
#[derive(Debug)]
enum Word {
    Revoke(Revocation),
    Unrevoke(RevocationId),
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    words: Vec<Word>,
    audit_head: Option<AuditHead>,
}

impl Waiting {
    /// Takes a record of the spool; they come in their order.
    pub(crate) fn see(&mut self, record: &Record) {
        match record {
            Record::Audit(entry) => self.audit_head = entry.link.map(|link| link.head()).or(self.audit_head),
            Record::Revoke(revocation) => self.words.push(Word::Revoke(revocation.clone())),
            Record::Unrevoke(id) => self.words.push(Word::Unrevoke(id.clone())),
            Record::Fix(_) | Record::Save(_) | Record::Remove(_) | Record::State(_) | Record::Event(_) => {}
        }
    }

    /// Adds it to what the database has, which may have some of it already.
    pub(crate) fn add_to(self, remembered: &mut Remembered) {
        let revocations = &mut remembered.revocations;
        for word in self.words {
            match word {
                Word::Revoke(revocation) => {
                    if revocations.iter().all(|known| known.id != revocation.id) {
                        revocations.push(revocation);
                    }
                }
                Word::Unrevoke(id) => revocations.retain(|known| known.id != id),
            }
        }
        revocations.sort_by(|a, b| (a.made_at, &a.id).cmp(&(b.made_at, &b.id)));
        let seq = |head: &Option<AuditHead>| head.map_or(0, |head| head.seq);
        if seq(&self.audit_head) > seq(&remembered.audit_head) {
            remembered.audit_head = self.audit_head;
        }
    }
}
