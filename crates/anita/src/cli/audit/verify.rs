//! `anita audit verify`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anita::config::{Backend, Config};
use anita_sqlite::SpooledAudit;
use anita_store::AuditQuery;
use anita_store::audit::{
    AuditEntry, AuditHead, AuditLine, Broken, STOP_SERVER, Verification, Whole, each_line, end_of_files,
    files_of,
};
use clap::Args;

use super::super::{Failure, block_on};
use super::{Reader, Told, head};

/// What the start of another trail in the next file may mean.
const ANOTHER_TRAIL: &str = ", or an older copy of the store was restored and this file begins anew: keep the files of \
     before apart, and verify them with --file";

/// How long the last words of a server that ends may be in the store and not in the file: as long as it waits for that.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  anita audit verify --config /etc/anita/anita.toml
      the store, and the files of audit.file if there are any
  anita audit verify --config /etc/anita/anita.toml --head 52000:9f86d081…
      and that its end was not cut off, nor written anew, since that head was noted
  anita audit verify --file audit.ndjson.1 --file audit.ndjson
      copies of the files, wherever they are

\"123 entries, seq 1 to 123, head 123:…, whole\" says that they are as they were written. \"seq 1001 to …\": retention took
those before. \"given up\" entries could not be stored, because the store was away for too long; a later entry says so. The
store and the files are both verified, also when one of them is broken, or audit.file is named and not there. Entries that wait
for PostgreSQL in storage.spool_file are verified with it.

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
    // Heads are looked for in the store, which has what the files have not any more.
    let of_files = config.audit_file.as_ref().map(|settings| files(expected(&settings.path)?, &[]));
    // What is in a file was in the store, or in its spool, first.
    let end = of_files.as_ref().and_then(|files| files.as_ref().ok()).and_then(|whole| whole.head);
    let store = block_on(store(&config, Noted { heads: arguments.head.clone(), end }));
    let of_files = config.audit_file.as_ref().zip(of_files).map(|(settings, files)| {
        files.and_then(|whole| followed(&settings.path, whole, store.as_ref().ok()))
    });
    said(store, of_files)
}

/// That the files have the last words of a server, where the store has them: they are written before it ends. And that they
/// have anything, where the store has.
fn followed(path: &Path, whole: Whole, store: Option<&Verified>) -> Result<Whole, Failure> {
    let Some((store, last)) = store.and_then(|store| Some((store, store.whole.head?))) else {
        return Ok(whole);
    };
    let wanted = if store.is_ended { last.seq } else { 1 };
    let seq = |end: Option<AuditHead>| end.map_or(0, |end| end.seq);
    let (end, started) = (seq(whole.head), Instant::now());
    let mut now = end;
    // A server that starts or ends right now writes them within a moment.
    while now < wanted && started.elapsed() < LAST_WORDS_MAX {
        std::thread::sleep(Duration::from_millis(50));
        now = seq(end_of_files(path));
    }
    if now >= wanted {
        return Ok(whole);
    }
    let mended = "the next start writes them again";
    Err(if end == 0 {
        format!("it is empty, and the store is not: its lines were removed; {mended}")
    } else {
        format!(
            "entries {} to {} are in the store and not in the file, though the server ended in good order: the file's end was \
             cut off, or could not be written; {mended}",
            end + 1,
            last.seq
        )
    }
    .into())
}

/// The files that the server of a configuration writes.
fn expected(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.exists() {
        return Ok(files_of(path));
    }
    let older = files_of(path).len();
    let others = if older == 0 { String::new() } else { format!(" ({older} older ones are)") };
    Err(format!(
        "{} is not there{others}, though the configuration has it: it was removed or moved, or no server was started since \
         it has; verify it where it is now with --file",
        path.display()
    )
    .into())
}

/// Says what became of the store and of the files: what is whole on the standard output, what is not as the failure.
fn said(store: Result<Verified, Failure>, files: Option<Result<Whole, Failure>>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    match store {
        Ok(Verified { whole, waiting, is_ended: _ }) => {
            println!("{}", words(&whole));
            if waiting > 0 {
                println!("{waiting} of them wait in storage.spool_file until the database has them");
            }
        }
        Err(failure) => failures.push(anita_sources::chain(failure.as_ref())),
    }
    match files {
        Some(Ok(whole)) if whole.head.is_some() => println!("audit.file: {}", words(&whole)),
        Some(Err(failure)) => {
            failures.push(format!("audit.file: {}", anita_sources::chain(failure.as_ref())));
        }
        Some(Ok(_empty)) => {}
        None => {}
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\nanita: ").into()) }
}

/// A trail of a store that is whole.
#[derive(Debug)]
struct Verified {
    whole: Whole,
    /// How many of its entries wait in the spool.
    waiting: u64,
    /// Its last entry is that of a server that ended in good order.
    is_ended: bool,
}

/// What a store has to have.
#[derive(Debug, Clone, Default)]
struct Noted {
    heads: Vec<AuditHead>,
    /// The end of the files.
    end: Option<AuditHead>,
}

impl Noted {
    /// A break as a failure, with what else is known of it.
    fn failure(&self, broken: &Broken, removed: u64, spool: Option<&Path>) -> Failure {
        let mut hints = Vec::new();
        if let (Broken::Cut { last, noted }, Some(end)) = (broken, self.end)
            && *noted == end.seq
        {
            hints.push(format!("; audit.file has entries {} to {noted}, which the store has not", last + 1));
        }
        if removed > 0 && !matches!(broken, Broken::Removed { .. }) {
            hints.push(format!(
                "; {removed} entries were removed from the end of the store, which counts what it is given, so it is no older \
                 copy"
            ));
        }
        let is_elsewhere = spool.is_some_and(|spool| !spool.exists());
        if is_elsewhere && matches!(broken, Broken::Cut { .. } | Broken::Missing { .. }) {
            hints.push(
                "; after an outage of the database entries wait in storage.spool_file, which is not here: verify on the \
                 machine of the server"
                    .to_owned(),
            );
        }
        let hints = hints.concat();
        format!("the audit trail is broken: {broken}{hints}").into()
    }
}

async fn store(config: &Config, noted: Noted) -> Result<Verified, Failure> {
    let reader = Reader::open(config).await.map_err(|failure| match noted.end {
        Some(end) => {
            format!("{}; audit.file has entries up to {end}", anita_sources::chain(failure.as_ref())).into()
        }
        None => failure,
    })?;
    let spool = match &config.storage.backend {
        Backend::Postgres { spool_file, .. } => Some(spool_file.as_path()),
        Backend::Sqlite { .. } | Backend::Memory { .. } => None,
    };
    let mut told = Told::new(reader.entries());
    read(&reader, spool, &noted, || told.step()).await
}

/// Verifies what a reader reads, and goes on with what waits in a spool. `seen` is called for each entry.
async fn read(
    reader: &Reader,
    spool: Option<&Path>,
    noted: &Noted,
    mut seen: impl FnMut(),
) -> Result<Verified, Failure> {
    // What somebody gives goes over what the files say.
    let mut verification = Verification::of_store(noted.end.into_iter().chain(noted.heads.iter().copied()));
    let mut is_ended = false;
    let mut take = |verification: &mut Verification, place: Option<u64>, entry: &AuditEntry| {
        seen();
        is_ended = entry.record.subject.is_empty() && entry.record.action == STOP_SERVER;
        let taken = match place {
            Some(place) => verification.step_placed(place, entry),
            None => verification.step(entry),
        };
        taken.map_err(|broken| noted.failure(&broken, 0, spool))
    };
    let place = |ordinal| reader.has_places().then_some(ordinal);
    let all = AuditQuery::default();
    let last = reader.each(all, |ordinal, entry| take(&mut verification, place(ordinal), &entry)).await?;
    let mut waiting = 0;
    if let Some(spool) = spool.filter(|spool| spool.exists()) {
        let spooled = SpooledAudit::open(spool)?;
        // A server that runs brings entries over, and takes them out of the spool only then: what went from the spool since
        // the last page was read is in the database now, and is no gap.
        let rest = AuditQuery { after: last, ..AuditQuery::default() };
        reader.each(rest, |_ordinal, entry| take(&mut verification, None, &entry)).await?;
        spooled.each(|entry| {
            let is_there =
                verification.head().is_some_and(|head| entry.seq().is_none_or(|seq| seq <= head.seq));
            if is_there {
                return Ok(());
            }
            waiting += 1;
            take(&mut verification, None, &entry)
        })?;
    }
    // A server that runs may have taken old entries away between two pages.
    if let Some(first) = reader.first().await? {
        verification.begins_with(first);
    }
    let removed = reader.removed()?;
    let last = verification.head().map_or(0, |head| head.seq);
    let finished = verification.finish().and_then(|whole| match removed {
        0 => Ok(whole),
        count => Err(Broken::Removed { last, count }),
    });
    let whole = finished.map_err(|broken| noted.failure(&broken, removed, spool))?;
    Ok(Verified { whole, waiting, is_ended })
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
            let another = |it: &Broken| number == 1 && matches!(it, Broken::Disordered { .. });
            verification.step_line(line).map_err(|it| {
                let hint = if another(&it) { ANOTHER_TRAIL } else { "" };
                broken(number, format!("{it}{hint}"))
            })
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
    let Whole { entries, older, first, head, given_up, missed, tidied, unchecked } = whole;
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
    if *missed > 0 {
        lines.push(format!(
            "{missed} more are missing since a server was killed or crashed, as the start after it says: given up right before, or removed"
        ));
    }
    if *tidied > 0 {
        lines.push(format!("{tidied} more went by their age or size while the others were read"));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anita_model::Timestamp;
    use anita_sqlite::SqliteStore;
    use anita_store::audit::Chain;
    use anita_store::{AuditRecord, Record, Store};

    use super::super::PAGE;
    use super::*;

    fn record(n: i64) -> AuditRecord {
        AuditRecord {
            at: Timestamp::from_micros(n).unwrap(),
            subject: "alice".to_owned(),
            issuer: None,
            action: "act".to_owned(),
            object: n.to_string(),
            outcome: "done".to_owned(),
            address: None,
        }
    }

    /// Once, what retention took between two pages was taken for a cut.
    #[tokio::test]
    async fn entries_that_go_by_their_age_between_two_pages_are_no_cut_and_others_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anita.db");
        let store = SqliteStore::open(&path).unwrap();
        let mut chain = Chain::default();
        let all = i64::try_from(3 * PAGE).unwrap();
        let records = (0..all).map(|n| Record::Audit(chain.add(record(n))));
        store.commit(Arc::new(records.collect())).await.unwrap();
        let db = rusqlite::Connection::open(&path).unwrap();
        let verified = async |sql: &str| {
            let reader = Reader::Sqlite(anita_sqlite::AuditReader::open(&path).unwrap());
            let mut count = 0;
            let seen = || {
                count += 1;
                if count == PAGE / 2 {
                    db.execute(sql, []).unwrap();
                }
            };
            read(&reader, None, &Noted::default(), seen).await.map(|verified| verified.whole)
        };
        let whole = verified("DELETE FROM audit WHERE seq <= 1500").await.unwrap();
        assert_eq!((whole.tidied, whole.entries, whole.head), (500, 2_500, chain.head()));
        assert_eq!(whole.first, Some(1));
        assert!(words(&whole).contains("500 more went by their age or size"), "{}", words(&whole));
        let removed = verified("DELETE FROM audit WHERE seq BETWEEN 2600 AND 2700").await.unwrap_err();
        assert!(removed.to_string().contains("101 entries are missing"), "{removed}");
    }
}
