//! `anita restore`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anita::config::{AUDIT_LINES, Config};
use anita_model::Timestamp;
use anita_sources::chain;
use anita_sqlite::SqliteStore;
use anita_store::audit::{Chain, RESTORED_STORE, end_of_files, files_of};
use anita_store::{AuditHead, AuditRecord, OpenError, Record, Store as _, Told};
use clap::Args;

use super::backup::{CopyTold, embedded};
use super::{ConfigFile, Failure, block_on};

/// The files of a store: itself, and what SQLite keeps beside it. They belong together.
const ENDS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

#[derive(Debug, Args)]
#[command(after_help = "Example, while no server runs:
  anita restore --config /etc/anita/anita.toml --from /backup/anita-2026-03-01.db --force")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The copy, as `anita backup` made it.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Take the place of the store that is there. That one is kept under another name.
    #[arg(long)]
    force: bool,
}

/// Puts a copy in the place of the store.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.file.config)?;
    let path = embedded(&config.storage.backend)?;
    let from = arguments.from.as_path();
    if !from.is_file() {
        return Err(format!("there is no file {}", from.display()).into());
    }
    if is_same(from, path) {
        return Err(format!("{} is the store itself, not a copy of it", from.display()).into());
    }
    let checked = anita_sqlite::check(from)?;
    if let Some(fault) = checked.faults.first() {
        return Err(format!("{} is damaged, and nothing was changed: {fault}", from.display()).into());
    }
    // Held to the end: no server starts in between.
    let _alone = Told::open(&with_end(path, "-told")).map_err(|error| -> Failure {
        match error {
            OpenError::InUse { .. } => {
                format!("a server runs on the store {}; stop it first, nothing was changed", path.display())
                    .into()
            }
            other @ (OpenError::Newer { .. } | OpenError::Backend { .. }) => other.into(),
        }
    })?;
    let is_there = ENDS.iter().any(|end| with_end(path, end).exists());
    if is_there && !arguments.force {
        return Err(format!(
            "there is a store at {}, and nothing was changed; with --force the copy takes its place, and the old one is \
             kept under another name",
            path.display()
        )
        .into());
    }
    let restored = copied(from, path)?;
    let kept = kept_suffix();
    if is_there {
        keep_old(path, &kept)?;
    }
    put_in_place(path)?;
    let lines = config.audit_file.as_ref().map(|settings| settings.path.as_path());
    let end = lines.and_then(end_of_files);
    if let Some(lines) = lines {
        keep_lines(lines, &kept_lines(path, lines, &kept))?;
    }
    block_on(enter(path, from, end)).map_err(|error| {
        format!("restored, but the audit trail could not say so: {}", chain(error.as_ref()))
    })?;
    println!(
        "restored {}: {} devices and {} fixes (schema version {}) of {}",
        path.display(),
        restored.devices,
        restored.fixes,
        restored.schema_version,
        from.display()
    );
    Ok(())
}

/// Whether both names are of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).ok().zip(fs::canonicalize(b).ok()).is_some_and(|(a, b)| a == b)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// Where the copy waits until it is whole.
fn waiting(path: &Path) -> PathBuf {
    with_end(path, ".restoring")
}

/// Copies beside the store, and checks what was copied.
fn copied(from: &Path, path: &Path) -> Result<anita_sqlite::Checked, Failure> {
    let waiting = waiting(path);
    if waiting.exists() {
        // Of a restore that was interrupted. No other one is under way: the store is ours.
        fs::remove_file(&waiting).map_err(|error| format!("cannot remove {}: {error}", waiting.display()))?;
    }
    let mut told = CopyTold::new();
    let copied = anita_sqlite::backup(from, &waiting, &mut |done, all| told.say(done, all))?;
    told.end();
    Ok(copied)
}

/// What is appended to the names of files that are kept.
fn kept_suffix() -> String {
    let now: String = Timestamp::now().to_string().chars().filter(|it| !matches!(it, '-' | ':')).collect();
    format!(".before-restore-{}", now.replace('.', "-"))
}

/// What the files of the audit trail are called then: those beside the store stay beside the old one, and are found there
/// when that is opened.
fn kept_lines(store: &Path, lines: &Path, suffix: &str) -> PathBuf {
    if lines == with_end(store, AUDIT_LINES) {
        with_end(&with_end(store, suffix), AUDIT_LINES)
    } else {
        with_end(lines, suffix)
    }
}

/// Moves the files of the audit trail aside: what they end with is not in the copy, and the next start begins another one.
fn keep_lines(path: &Path, kept: &Path) -> Result<(), Failure> {
    for old in files_of(path) {
        // `.1`, `.2`, … stay at the end, so that they can be verified there together.
        let number = old.as_os_str().as_encoded_bytes().strip_prefix(path.as_os_str().as_encoded_bytes());
        let number = number.map(String::from_utf8_lossy).unwrap_or_default();
        let new = with_end(kept, &number);
        fs::rename(&old, &new).map_err(|error| format!("cannot rename {}: {error}", old.display()))?;
        println!("audit lines of before are kept as {}", new.display());
    }
    Ok(())
}

/// Enters into the trail of the copy that it took the place of a store whose trail was longer, or another one.
async fn enter(path: &Path, from: &Path, end: Option<AuditHead>) -> Result<(), Failure> {
    let store = SqliteStore::open(path)?;
    let mut chain = Chain::after(store.load(0).await?.audit_head);
    let before = end.map_or_else(String::new, |end| format!("; the audit file of before ends with {end}"));
    let record = AuditRecord {
        at: Timestamp::now(),
        subject: String::new(),
        issuer: None,
        action: RESTORED_STORE.to_owned(),
        object: format!("{}{before}", from.display()),
        outcome: "done".to_owned(),
        address: None,
    };
    store.commit(Arc::new(vec![Record::Audit(chain.add(record.bounded()))])).await?;
    Ok(store.close().await?)
}

/// Moves the old store aside, with all that belongs to it, so that it can be opened there.
fn keep_old(path: &Path, suffix: &str) -> Result<(), Failure> {
    let kept = with_end(path, suffix);
    println!("the old store is kept as {}", kept.display());
    for end in ENDS {
        let (old, new) = (with_end(path, end), with_end(&kept, end));
        if old.exists() {
            fs::rename(&old, &new).map_err(|error| format!("cannot rename {}: {error}", old.display()))?;
        }
    }
    Ok(())
}

/// Gives the copy the name of the store, for good.
fn put_in_place(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    fs::rename(waiting(path), path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}
