//! `anita audit show`.

use std::io::{ErrorKind, Write};

use anita::config::Config;
use anita_model::Timestamp;
use anita_store::AuditQuery;
use anita_store::audit::{AuditEntry, AuditHead, line};
use clap::Args;

use super::super::{ConfigFile, Failure, block_on};
use super::Reader;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  anita audit show --config /etc/anita/anita.toml --since 2026-03-01T00:00:00Z
  anita audit show --subject alice --action 'remove device' | jq -r '.at + \" \" + .object'
  anita audit show > copy.ndjson && anita audit verify --file copy.ndjson")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Not before this: 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Not after this.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only what this one did; "" for nobody who was known, and for the server itself.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only this: `authenticate`, `remove device`, …
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|invalid| invalid.to_string())
}

/// Prints the entries.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.file.config)?;
    let query = AuditQuery {
        subject: arguments.subject.clone(),
        action: arguments.action.clone(),
        start: arguments.since,
        end: arguments.until,
        ..AuditQuery::default()
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut before = None;
    let mut print = |entry: AuditEntry| -> Result<(), std::io::Error> {
        out.write_all(text(&entry, before).as_bytes())?;
        before = entry.link.map(|link| link.head());
        Ok(())
    };
    let done = block_on(async {
        let reader = Reader::open(&config).await?;
        reader.each(query, |_ordinal, entry| print(entry).map_err(Into::into)).await.map(drop)
    });
    let done = done.and_then(|()| Ok(out.flush()?));
    // Whoever reads may have seen enough.
    let is_enough = |failure: &Failure| {
        failure.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    done.or_else(|failure| if is_enough(&failure) { Ok(()) } else { Err(failure) })
}

/// As the file of the trail has it; one from before the chain has no number and no hash.
fn text(entry: &AuditEntry, before: Option<AuditHead>) -> String {
    line(entry, before).unwrap_or_else(|| {
        let record = &entry.record;
        let value = serde_json::json!({
            "at": record.at.to_string(),
            "subject": record.subject,
            "action": record.action,
            "object": record.object,
            "outcome": record.outcome,
            "address": record.address,
        });
        format!("{value}\n")
    })
}
