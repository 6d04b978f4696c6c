//! `anita backup`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anita::config::{Backend, Config};
use clap::Args;

use super::{ConfigFile, Failure};

/// The time between two lines of progress where nobody watches a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "Example, daily, while the server runs:
  anita backup --config /etc/anita/anita.toml --to /backup/anita-$(date +%F).db
and back again, while it does not:
  anita restore --config /etc/anita/anita.toml --from /backup/anita-2026-03-01.db --force")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The copy; a file that is there is never replaced.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Copies the embedded store, whether or not a server runs on it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.file.config)?;
    let path = embedded(&config.storage.backend)?;
    if !path.exists() {
        return Err(format!(
            "there is no store at {} yet: no server ran with this configuration",
            path.display()
        )
        .into());
    }
    let mut told = CopyTold::new();
    let copied = anita_sqlite::backup(path, &arguments.to, &mut |done, all| told.say(done, all))?;
    told.end();
    println!(
        "{} holds {} devices and {} fixes (schema version {})",
        arguments.to.display(),
        copied.devices,
        copied.fixes,
        copied.schema_version
    );
    Ok(())
}

/// The file of the embedded store; for others, what to do instead.
pub(super) fn embedded(backend: &Backend) -> Result<&Path, Failure> {
    match backend {
        Backend::Sqlite { path, .. } => Ok(path),
        Backend::Postgres { .. } => Err("storage.url is a PostgreSQL database: copy it with its own tools, \
             `pg_dump --format=custom --file=anita.dump DATABASE`, and bring it back with `pg_restore`"
            .into()),
        Backend::Memory { .. } => {
            Err("storage.url is \"memory\": nothing of it is in a file, and nothing outlives the server; \
             use sqlite:FILE"
                .into())
        }
    }
}

/// Says how far a copy is.
pub(super) struct CopyTold {
    is_terminal: bool,
    has_said: bool,
    last: Instant,
}

impl CopyTold {
    pub(super) fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), has_said: false, last: Instant::now() }
    }

    pub(super) fn say(&mut self, done_bytes: u64, all_bytes: u64) {
        let pause = if self.is_terminal { Duration::from_millis(200) } else { LINE_EVERY };
        if self.last.elapsed() < pause {
            return;
        }
        (self.last, self.has_said) = (Instant::now(), true);
        let (done, all) = (done_bytes / 1_000_000, all_bytes / 1_000_000);
        if self.is_terminal {
            eprint!("\r\x1b[K{done} of {all} MB");
        } else {
            eprintln!("{done} of {all} MB");
        }
    }

    pub(super) fn end(&self) {
        if self.is_terminal && self.has_said {
            eprint!("\r\x1b[K");
        }
    }
}
