//! The audit trail, and the tokens that are not accepted any more.

use anita_model::{Revocation, RevocationId, Revoked};
use anita_store::{
    AuditEntry, AuditHash, AuditHead, AuditLink, AuditPage, AuditQuery, AuditRecord, Order, StoreError,
};
use deadpool_postgres::GenericClient;
use tokio_postgres::{Error, Row, Transaction};

use crate::commit::{Attempt, Value, each};
use crate::day::Moment;
use crate::fault::{Fault, store_error};
use crate::messages::{get, one_more, times, unsigned};

/// An entry of the chain is known by its number: numbers only grow. One from before the chain has nothing to be known by:
/// where it may be there already, the same words at the same time are the same one.
const AUDIT: &str = "WITH added AS (
        INSERT INTO audit (at, subject, action, object, outcome, address, issuer, seq, previous, hash)
        SELECT $1, $2, $3, $4, $5, $6, $8, $9, $10, $11 WHERE CASE WHEN $9::bigint IS NULL THEN $7 OR NOT EXISTS (
            SELECT FROM audit WHERE at = $1 AND subject = $2 AND action = $3 AND object = $4 AND outcome = $5
                AND address IS NOT DISTINCT FROM $6
        ) ELSE NOT EXISTS (SELECT FROM audit WHERE seq >= $9) END
        RETURNING octet_length(subject || action || object || outcome || coalesce(address, '')
            || coalesce(issuer, '')) + 120 AS bytes
    )
    UPDATE kept SET count = kept.count + 1, bytes = kept.bytes + added.bytes FROM added WHERE kind = 'audit'";

pub(crate) async fn keep_audit(
    transaction: &Transaction<'_>,
    entries: &[&AuditEntry],
    attempt: Attempt,
) -> Result<(), Error> {
    let rows = entries.iter().map(|entry| -> Vec<Value> {
        let AuditRecord { at, subject, issuer, action, object, outcome, address } = &entry.record;
        let hash = |of: fn(&AuditLink) -> AuditHash| entry.link.as_ref().map(|link| of(link).0.to_vec());
        vec![
            Box::new(Moment(*at)),
            Box::new(subject.clone()),
            Box::new(action.clone()),
            Box::new(object.clone()),
            Box::new(outcome.clone()),
            Box::new(address.clone()),
            Box::new(attempt == Attempt::First),
            Box::new(issuer.clone()),
            Box::new(entry.seq().map(u64::cast_signed)),
            Box::new(hash(|link| link.previous)),
            Box::new(hash(|link| link.hash)),
        ]
    });
    each(transaction, AUDIT, rows.collect()).await
}

/// The place of an entry. Hashes that are none become zeros: whoever verifies the chain finds them, and nobody else is kept
/// from reading.
fn link(row: &Row, first: usize) -> Result<Option<AuditLink>, StoreError> {
    let Some(seq) = get::<Option<i64>>(row, first)? else { return Ok(None) };
    let hash = |column| -> Result<AuditHash, StoreError> {
        let bytes: Option<&[u8]> = get(row, column)?;
        Ok(bytes.and_then(AuditHash::of_bytes).unwrap_or(AuditHash::NONE))
    };
    Ok(Some(AuditLink { seq: seq.cast_unsigned(), previous: hash(first + 1)?, hash: hash(first + 2)? }))
}

/// The end of the chain.
pub(crate) async fn audit_head<C: GenericClient>(client: &C) -> Result<Option<AuditHead>, StoreError> {
    let sql = "SELECT seq, previous, hash FROM audit WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let row = client.query_opt(sql, &[]).await.map_err(store_error)?;
    let link = row.map(|row| link(&row, 0)).transpose()?.flatten();
    Ok(link.map(|link| link.head()))
}

pub(crate) async fn audit<C: GenericClient>(client: &C, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    // Where nothing is asked, nothing is said: an index is only used for a value.
    let of_subject = if query.subject.is_some() { "subject = $5" } else { "$5::text IS NULL" };
    let (after, order, from) = match query.order {
        Order::NewestFirst => ("<", "DESC", query.after.unwrap_or(u64::MAX)),
        Order::OldestFirst => (">", "ASC", query.after.unwrap_or(0)),
    };
    let sql = format!(
        "SELECT ordinal, at, subject, issuer, action, object, outcome, address, seq, previous, hash FROM audit \
         WHERE ordinal {after} $1 AND at >= $2 AND at <= $3 AND {of_subject} \
         AND ($6::text IS NULL OR action = $6) ORDER BY ordinal {order} LIMIT $4"
    );
    let (start, end) = times(query.start, query.end);
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(&sql).await.map_err(store_error)?;
    let rows = client
        .query(&statement, &[&from, &start, &end, &one_more(query.limit), &query.subject, &query.action])
        .await
        .map_err(store_error)?;
    let entry = |row: &Row| -> Result<(u64, AuditEntry), StoreError> {
        let at: Moment = get(row, 1)?;
        let record = AuditRecord {
            at: at.0,
            subject: get(row, 2)?,
            issuer: get(row, 3)?,
            action: get(row, 4)?,
            object: get(row, 5)?,
            outcome: get(row, 6)?,
            address: get(row, 7)?,
        };
        Ok((unsigned(row, 0)?, AuditEntry { record, link: link(row, 8)? }))
    };
    let entries: Vec<(u64, AuditEntry)> =
        rows.iter().take(query.limit).map(entry).collect::<Result<_, _>>()?;
    let next = entries.last().map(|(ordinal, _entry)| *ordinal).filter(|_last| rows.len() > query.limit);
    Ok(AuditPage { entries, next })
}

const REVOKE: &str = "INSERT INTO revocation \
     (id, kind, value, issued_before, issuer, made_at, until, made_by, reason) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";

/// What is said of a revocation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word<'a> {
    Revoke(&'a Revocation),
    Unrevoke(&'a RevocationId),
}

/// Does what is said, one after the other.
pub(crate) async fn keep_revocations(transaction: &Transaction<'_>, words: &[Word<'_>]) -> Result<(), Error> {
    if words.is_empty() {
        return Ok(());
    }
    let unrevoke = "DELETE FROM revocation WHERE id = $1";
    for some in words.chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b)) {
        let (mut added, mut removed): (Vec<Vec<Value>>, Vec<Vec<Value>>) = (Vec::new(), Vec::new());
        for word in some {
            match word {
                Word::Revoke(revocation) => added.push(row(revocation)),
                Word::Unrevoke(id) => removed.push(vec![Box::new(id.as_str().to_owned())]),
            }
        }
        each(transaction, REVOKE, added).await?;
        each(transaction, unrevoke, removed).await?;
    }
    Ok(())
}

fn row(revocation: &Revocation) -> Vec<Value> {
    let Revocation { id, revoked, issuer, made_at, until, made_by, reason } = revocation;
    let (kind, value, issued_before) = match revoked {
        Revoked::Token(id) => ("token", &**id, None),
        Revoked::Subject { subject, issued_before } => ("subject", &**subject, *issued_before),
        Revoked::IssuedBefore(moment) => ("everybody", "", Some(*moment)),
    };
    vec![
        Box::new(id.as_str().to_owned()),
        Box::new(kind),
        Box::new(value.to_owned()),
        Box::new(issued_before.map(Moment)),
        Box::new(issuer.as_deref().map(ToOwned::to_owned)),
        Box::new(Moment(*made_at)),
        Box::new(until.map(Moment)),
        Box::new(made_by.to_string()),
        Box::new(reason.to_string()),
    ]
}

pub(crate) async fn revocations<C: GenericClient>(client: &C) -> Result<Vec<Revocation>, StoreError> {
    let sql = "SELECT id, kind, value, issued_before, issuer, made_at, until, made_by, reason FROM revocation \
               ORDER BY made_at, id";
    let rows = client.query(sql, &[]).await.map_err(store_error)?;
    rows.iter().map(revocation).collect()
}

fn revocation(row: &Row) -> Result<Revocation, StoreError> {
    let broken = |reason: String| Fault::Row("revocation", reason);
    let issued_before: Option<Moment> = get(row, 3)?;
    let value: &str = get(row, 2)?;
    let revoked = match (get(row, 1)?, issued_before) {
        ("token", _) => Revoked::Token(value.into()),
        ("subject", before) => {
            Revoked::Subject { subject: value.into(), issued_before: before.map(|it| it.0) }
        }
        ("everybody", Some(moment)) => Revoked::IssuedBefore(moment.0),
        (kind, _) => return Err(broken(format!("there is no kind {kind}, or it lacks its moment")).into()),
    };
    let (made_at, until): (Moment, Option<Moment>) = (get(row, 5)?, get(row, 6)?);
    Ok(Revocation {
        id: RevocationId::parse(get(row, 0)?).map_err(|reason| broken(reason.to_string()))?,
        revoked,
        issuer: get::<Option<&str>>(row, 4)?.map(Into::into),
        made_at: made_at.0,
        until: until.map(|it| it.0),
        made_by: get::<&str>(row, 7)?.into(),
        reason: get::<&str>(row, 8)?.into(),
    })
}
