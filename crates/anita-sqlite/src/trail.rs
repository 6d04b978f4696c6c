//! The audit trail, and the tokens that are not accepted any more.

use anita_model::{Revocation, RevocationId, Revoked, Timestamp};
use anita_store::{AuditEntry, AuditHash, AuditHead, AuditLink, AuditRecord};
use rusqlite::{Connection, Row, params};

use crate::codec::Damaged;
use crate::fault::{Fault, sound};

/// The room that an entry takes beside its texts, bytes.
const OVERHEAD_BYTES: i64 = 64;

fn time(us: i64) -> Result<Timestamp, Damaged> {
    Timestamp::from_micros(us).map_err(|_out_of_range| Damaged)
}

/// Adds an entry. Says how many bytes it takes; `None` when the chain is that far already.
pub(crate) fn add_audit(db: &Connection, entry: &AuditEntry) -> Result<Option<i64>, Fault> {
    let AuditRecord { at, subject, issuer, action, object, outcome, address } = &entry.record;
    let seq = entry.seq().map(i64::try_from).transpose().map_err(|_too_large| Fault::TooLarge)?;
    let sql =
        "INSERT INTO audit (at_us, subject, issuer, action, object, outcome, address, seq, previous, hash)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
               WHERE ?8 IS NULL OR NOT EXISTS (SELECT 1 FROM audit WHERE seq >= ?8)";
    let added = db.prepare_cached(sql)?.execute(params![
        at.as_micros(),
        subject,
        issuer,
        action,
        object,
        outcome,
        address,
        seq,
        entry.link.map(|link| link.previous.0),
        entry.link.map(|link| link.hash.0),
    ])?;
    if added == 0 {
        return Ok(None);
    }
    let (issuer, address) = (issuer.as_deref().unwrap_or_default(), address.as_deref().unwrap_or_default());
    let texts = [subject.as_str(), issuer, action, object, outcome, address];
    Ok(Some(texts.map(|text| text.len().cast_signed() as i64).iter().sum::<i64>() + OVERHEAD_BYTES))
}

/// The bytes of an entry, as [`add_audit`] says them.
pub(crate) const AUDIT_BYTES: &str =
    "octet_length(subject) + coalesce(octet_length(issuer), 0) + octet_length(action)
     + octet_length(object) + octet_length(outcome) + coalesce(octet_length(address), 0) + 64";

/// The columns of an entry, in the order of [`audit`].
pub(crate) const AUDIT_COLUMNS: &str =
    "ordinal, at_us, subject, issuer, action, object, outcome, address, seq, previous, hash";

pub(crate) fn audit(row: &Row<'_>) -> Result<(u64, AuditEntry), Fault> {
    let record = AuditRecord {
        at: time(row.get(1)?)?,
        subject: row.get(2)?,
        issuer: row.get(3)?,
        action: row.get(4)?,
        object: row.get(5)?,
        outcome: row.get(6)?,
        address: row.get(7)?,
    };
    Ok((row.get::<_, i64>(0)?.cast_unsigned(), AuditEntry { record, link: link(row, 8)? }))
}

/// The place of an entry. Hashes that are none become zeros: whoever verifies the chain finds them, and nobody else is kept
/// from reading.
fn link(row: &Row<'_>, first: usize) -> Result<Option<AuditLink>, Fault> {
    let Some(seq) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
    let hash = |column| -> Result<AuditHash, Fault> {
        let bytes = row.get_ref(column)?.as_blob().unwrap_or_default();
        Ok(AuditHash::of_bytes(bytes).unwrap_or(AuditHash::NONE))
    };
    Ok(Some(AuditLink { seq: seq.cast_unsigned(), previous: hash(first + 1)?, hash: hash(first + 2)? }))
}

/// The end of the chain.
pub(crate) fn audit_head(db: &Connection) -> Result<Option<AuditHead>, Fault> {
    let sql = "SELECT seq, previous, hash FROM audit WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(link(row, 0)?.map(|link| link.head()))
}

/// How many entries were removed from the end: SQLite counts the ordinals that it gave, a transaction that is rolled back
/// gives none, and retention leaves the last entry.
pub(crate) fn audit_removed(db: &Connection) -> Result<u64, Fault> {
    let sql = "SELECT max(0, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)
                          - coalesce((SELECT max(ordinal) FROM audit), 0))";
    let removed: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(removed.cast_unsigned())
}

pub(crate) fn revoke(db: &Connection, revocation: &Revocation) -> Result<(), Fault> {
    let Revocation { id, revoked, issuer, made_at, until, made_by, reason } = revocation;
    let (kind, value, issued_before) = match revoked {
        Revoked::Token(id) => ("token", &**id, None),
        Revoked::Subject { subject, issued_before } => ("subject", &**subject, *issued_before),
        Revoked::IssuedBefore(moment) => ("everybody", "", Some(*moment)),
    };
    let sql = "INSERT INTO revocation (id, kind, value, issued_before_us, issuer, made_us, until_us, made_by, reason)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING";
    db.prepare_cached(sql)?.execute(params![
        id.as_str(),
        kind,
        value,
        issued_before.map(Timestamp::as_micros),
        issuer.as_deref(),
        made_at.as_micros(),
        until.map(Timestamp::as_micros),
        &**made_by,
        &**reason,
    ])?;
    Ok(())
}

pub(crate) fn unrevoke(db: &Connection, id: &RevocationId) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM revocation WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

pub(crate) fn revocations(db: &Connection) -> Result<Vec<Revocation>, Fault> {
    let sql =
        "SELECT id, kind, value, issued_before_us, issuer, made_us, until_us, made_by, reason FROM revocation
               ORDER BY made_us, id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut revocations = Vec::new();
    while let Some(row) = rows.next()? {
        revocations.extend(sound(revocation(row), "revocation")?);
    }
    Ok(revocations)
}

fn revocation(row: &Row<'_>) -> Result<Revocation, Fault> {
    let value: String = row.get(2)?;
    let issued_before = row.get::<_, Option<i64>>(3)?.map(time).transpose()?;
    let revoked = match (row.get_ref(1)?.as_str().map_err(|_no_text| Damaged)?, issued_before) {
        ("token", _) => Revoked::Token(value.into()),
        ("subject", issued_before) => Revoked::Subject { subject: value.into(), issued_before },
        ("everybody", Some(moment)) => Revoked::IssuedBefore(moment),
        _ => return Err(Damaged.into()),
    };
    Ok(Revocation {
        id: RevocationId::parse(&row.get::<_, String>(0)?).map_err(|_invalid| Damaged)?,
        revoked,
        issuer: row.get::<_, Option<String>>(4)?.map(Into::into),
        made_at: time(row.get(5)?)?,
        until: row.get::<_, Option<i64>>(6)?.map(time).transpose()?,
        made_by: row.get::<_, String>(7)?.into(),
        reason: row.get::<_, String>(8)?.into(),
    })
}
