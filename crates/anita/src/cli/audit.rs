//! `anita audit`.

mod show;
mod verify;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anita::config::{Backend, Config};
use anita_store::audit::{AuditEntry, AuditHead};
use anita_store::{AuditPage, AuditQuery, Order, StoreError};
use clap::Subcommand;

use super::Failure;

/// How many entries are read at once.
const PAGE: usize = 1_000;

/// The time between two lines of progress where nobody watches a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verifies that nothing was changed, removed or inserted in the audit trail.
    ///
    /// Each entry has a number and a hash over itself and the hash of the one before it, so a change anywhere shows. Works
    /// while the server runs; reads only. Exits with 0 when the trail is whole, and with 1, naming the first place, when it
    /// is not.
    ///
    /// That its end was cut off shows against the file of audit.file, and in the embedded store by what SQLite counts. What
    /// shows in neither is that somebody who may write both wrote all of it anew. So note its head (the server logs it, this
    /// command prints it, `GET /api/v1/audit` has it) at a place that whoever can write the store can't, and give it with
    /// --head.
    Verify(verify::Arguments),
    /// Prints the audit trail, one JSON a line, oldest first.
    Show(show::Arguments),
}

/// Does what was typed.
pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Show(arguments) => show::run(arguments),
    }
}

/// The audit trail of a store, to read.
#[derive(Debug)]
enum Reader {
    Sqlite(anita_sqlite::AuditReader),
    Postgres(anita_postgres::AuditReader),
}

impl Reader {
    async fn open(config: &Config) -> Result<Self, Failure> {
        match &config.storage.backend {
            Backend::Sqlite { path, .. } if !path.exists() => Err(format!(
                "there is no store at {} yet: no server ran with this configuration",
                path.display()
            )
            .into()),
            Backend::Sqlite { path, .. } => Ok(Self::Sqlite(anita_sqlite::AuditReader::open(path)?)),
            Backend::Postgres { url, password_file, .. } => {
                let open = anita_postgres::AuditReader::open(url, password_file.clone());
                Ok(Self::Postgres(open.await?))
            }
            Backend::Memory { .. } => Err("storage.url is \"memory\": the trail is in the server alone; \
                 ask GET /api/v1/audit, or verify the file of audit.file with --file"
                .into()),
        }
    }

    /// How many entries there were at first.
    fn entries(&self) -> u64 {
        match self {
            Self::Sqlite(reader) => reader.entries(),
            Self::Postgres(reader) => reader.entries(),
        }
    }

    /// The number of the oldest entry that is there now; `None` when there is none, or it is from before the chain.
    async fn first(&self) -> Result<Option<u64>, StoreError> {
        let query = AuditQuery { order: Order::OldestFirst, limit: 1, ..AuditQuery::default() };
        let oldest = self.page(&query).await?.entries.into_iter().next();
        Ok(oldest.and_then(|(_ordinal, entry)| entry.seq()))
    }

    /// How many entries were removed from the end, where the store knows.
    fn removed(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(reader) => reader.removed(),
            // What was rolled back is counted there, too.
            Self::Postgres(_reader) => Ok(0),
        }
    }

    /// Whether it gives each entry the place after the one before.
    fn has_places(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        match self {
            Self::Sqlite(reader) => reader.page(query),
            Self::Postgres(reader) => reader.page(query).await,
        }
    }

    /// Shows all that a question finds, oldest first, each with its place. Returns after which the next ones would be.
    async fn each(
        &self,
        question: AuditQuery,
        mut see: impl FnMut(u64, AuditEntry) -> Result<(), Failure>,
    ) -> Result<Option<u64>, Failure> {
        let mut query = AuditQuery { order: Order::OldestFirst, limit: PAGE, ..question };
        loop {
            let page = self.page(&query).await?;
            for (ordinal, entry) in page.entries {
                query.after = Some(ordinal);
                see(ordinal, entry)?;
            }
            if page.next.is_none() {
                return Ok(query.after);
            }
        }
    }
}

/// A head, as it was noted.
fn head(text: &str) -> Result<AuditHead, String> {
    text.parse().map_err(|invalid: anita_store::audit::InvalidHead| invalid.to_string())
}

/// Says how far it is.
struct Told {
    is_terminal: bool,
    has_said: bool,
    last: Instant,
    all: u64,
    done: u64,
}

impl Told {
    fn new(all: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, has_said: false, last: Instant::now(), all, done: 0 }
    }

    /// One more is done.
    fn step(&mut self) {
        self.done += 1;
        let pause = if self.is_terminal { Duration::from_millis(200) } else { LINE_EVERY };
        if !self.done.is_multiple_of(PAGE as u64) || self.last.elapsed() < pause {
            return;
        }
        (self.last, self.has_said) = (Instant::now(), true);
        let of = if self.all > 0 { format!(" of {}", self.all) } else { String::new() };
        if self.is_terminal {
            eprint!("\r\x1b[K{}{of} entries", self.done);
        } else {
            eprintln!("{}{of} entries", self.done);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.is_terminal && self.has_said {
            eprint!("\r\x1b[K");
        }
    }
}
