//! `anita audit verify`.

use std::path::{Path, PathBuf};

use anita::config::{Backend, Config};
use anita_store::AuditQuery;
use anita_store::audit::{AuditHead, AuditLine, Broken, Verification, Whole, each_line, files_of};
use clap::Args;

use super::super::{Failure, block_on};
use super::{Reader, Told, head};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  anita audit verify --config /etc/anita/anita.toml
      the store, and the files of audit.file if there are any
  anita audit verify --config /etc/anita/anita.toml --head 52000:9f86d081…
      and that its end was not cut off, nor written anew, since that head was noted
  anita audit verify --file audit.ndjson.1 --file audit.ndjson
      copies of the files, wherever they are

\"123 entries, seq 1 to 123, head 123:…, whole\" says that they are as they were written. \"seq 1001 to …\": retention took
those before. \"given up\" entries could not be stored, because the store was away for too long; a later entry says so.

When it is broken: stop, keep the store and its backups as they are, and compare with a backup (`anita backup` copies the
trail) and with the files of audit.file. Entries before the place that is named are as they were written.")]
pub(crate) struct Arguments {
    /// The configuration whose store and files are verified. `ANITA__SECTION__KEY` in the environment goes over its values.
    #[arg(long, value_name = "FILE", default_value = "anita.toml")]
    config: PathBuf,
    /// Files of JSON lines instead of a store, one after the other; the order does not matter.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    file: Vec<PathBuf>,
    /// A head that was noted elsewhere; may be repeated.
    #[arg(long, value_name = "SEQ:HASH", value_parser = head)]
    head: Vec<AuditHead>,
}

/// Verifies, and says what there is.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.file.is_empty() {
        println!("{}", words(&files(in_order(&arguments.file)?, &arguments.head)?));
        return Ok(());
    }
    let config = Config::load(&arguments.config)?;
    let mut noted = arguments.head.clone();
    let of_files = match &config.audit_file {
        None => None,
        // Heads are looked for in the store, which has what the files have not any more.
        Some(settings) => Some(files(files_of(&settings.path), &[])?).filter(|whole| whole.head.is_some()),
    };
    let is_embedded = matches!(config.storage.backend, Backend::Sqlite { .. });
    // What is in a file was in the store first. A database may get it later, from the spool.
    noted.extend(of_files.as_ref().and_then(|whole| whole.head).filter(|_head| is_embedded));
    let whole = block_on(store(&config, noted))?;
    println!("{}", words(&whole));
    if let Some(whole) = of_files {
        println!("audit.file: {}", words(&whole));
    }
    Ok(())
}

async fn store(config: &Config, noted: Vec<AuditHead>) -> Result<Whole, Failure> {
    let reader = Reader::open(config).await?;
    let mut verification = Verification::of_store(noted);
    let mut told = Told::new(reader.entries());
    let is_embedded = matches!(reader, Reader::Sqlite(_));
    let broken = |broken: Broken| -> Failure {
        let may_wait = !is_embedded && matches!(broken, Broken::Cut { .. });
        let hint = if may_wait {
            "; while the database was away, entries wait in storage.spool_file until a server brings them over"
        } else {
            ""
        };
        format!("the audit trail is broken: {broken}{hint}").into()
    };
    reader
        .each(AuditQuery::default(), |entry| {
            told.step();
            verification.step(&entry).map_err(broken)
        })
        .await?;
    drop(told);
    verification.finish().map_err(broken)
}

fn files(paths: Vec<PathBuf>, noted: &[AuditHead]) -> Result<Whole, Failure> {
    let mut verification = Verification::of_files(noted.iter().copied());
    let mut told = Told::new(0);
    for path in paths {
        let shown = path.display();
        let broken = |number: u64, why: String| -> Failure {
            format!("the audit trail is broken: {shown}, line {number}: {why}").into()
        };
        let mut take = |number: u64, line: &str| -> Result<(), Failure> {
            told.step();
            let line = AuditLine::parse(line).map_err(|invalid| broken(number, invalid.to_string()))?;
            verification.step_line(line).map_err(|it| broken(number, it.to_string()))
        };
        each_line(&path, |number, line| take(number, line).map_err(Read::Broken)).map_err(
            |error| match error {
                Read::Broken(failure) => failure,
                Read::Failed(error) => format!("cannot read {shown}: {error}").into(),
            },
        )?;
    }
    drop(told);
    verification.finish().map_err(|broken| format!("the audit trail is broken: {broken}").into())
}

/// Why reading a file ended.
enum Read {
    Broken(Failure),
    Failed(std::io::Error),
}

impl From<std::io::Error> for Read {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Files in the order of their first entries; empty ones are left out.
fn in_order(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut begun = Vec::new();
    for path in paths {
        begun.extend(first(path)?.map(|seq| (seq, path.clone())));
    }
    begun.sort();
    Ok(begun.into_iter().map(|(_seq, path)| path).collect())
}

/// The number of the first entry of a file.
fn first(path: &Path) -> Result<Option<u64>, Failure> {
    /// The first line is enough.
    enum Stop {
        At(u64),
        Broken(String),
        Failed(std::io::Error),
    }
    impl From<std::io::Error> for Stop {
        fn from(error: std::io::Error) -> Self {
            Self::Failed(error)
        }
    }
    let read = each_line(path, |_number, line| match AuditLine::parse(line) {
        Ok(line) => Err(Stop::At(line.seq)),
        Err(invalid) => Err(Stop::Broken(invalid.to_string())),
    });
    match read {
        Ok(_empty) => Ok(None),
        Err(Stop::At(seq)) => Ok(Some(seq)),
        Err(Stop::Broken(why)) => {
            Err(format!("the audit trail is broken: {}, line 1: {why}", path.display()).into())
        }
        Err(Stop::Failed(error)) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

fn words(whole: &Whole) -> String {
    let Whole { entries, older, first, head, given_up, unchecked } = whole;
    let mut lines = vec![match (first, head) {
        (Some(first), Some(head)) => {
            format!("{entries} entries, seq {first} to {}, head {head}, whole", head.seq)
        }
        _ => "0 entries, nothing to verify".to_owned(),
    }];
    if *given_up > 0 {
        lines.push(format!(
            "{given_up} more were given up while they could not be stored, as later entries say"
        ));
    }
    if *older > 0 {
        lines.push(format!(
            "{older} older ones are from before there was a chain, and nothing shows a change of them"
        ));
    }
    let unchecked = unchecked.iter();
    lines.extend(
        unchecked
            .map(|seq| format!("head {seq} was noted, and says nothing: that entry is not there any more")),
    );
    lines.join("\n")
}
