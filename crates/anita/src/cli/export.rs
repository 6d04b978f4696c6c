//! `anita export`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anita_client::{ExportOptions, ExportProgress, Url};
use anita_model::Timestamp;
use clap::{Args, ValueEnum};

use super::client::{ServerArguments, stop_at_ctrl_c};
use super::{Failure, block_on};

/// The time between two lines of progress where nobody watches a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How exports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table with a header, for spreadsheets, GDAL and `anita replay`.
    Csv,
    /// One item of the wire a line, for programs, `anita replay` and `POST /api/v1/locations`.
    Ndjson,
    /// A collection of points, for maps; in metres of the site's frame.
    Geojson,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  anita export --url https://hub.example --token $TOKEN --format csv --output day.csv --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z
  anita export --url https://hub.example --format ndjson --devices 'tag-*,cart-7' | wc -l
  anita export --url https://hub.example --format geojson --gzip --output all.geojson.gz")]
pub(crate) struct Arguments {
    /// The server: https://host:port
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    server: ServerArguments,
    /// Only these: ids, and patterns with * and ?, by comma or by repeating. Without it, all that the token may see.
    #[arg(long, value_name = "ID")]
    devices: Vec<String>,
    /// Not before this, by the devices' time: 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<String>,
    /// Not after this.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<String>,
    /// How it is written.
    #[arg(long, value_enum)]
    format: Form,
    /// The file; without it, standard output. A file that is there is replaced when everything has come.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write gzip, as the server compresses it.
    #[arg(long)]
    gzip: bool,
}

/// A time, checked here so that a slip is told at once.
fn time(text: &str) -> Result<String, String> {
    Timestamp::parse(text).map(|time| time.to_string()).map_err(|invalid| invalid.to_string())
}

/// Writes an export; how far it is goes to standard error.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let format = arguments.format.to_possible_value().map(|it| it.get_name().to_owned());
    block_on(async {
        let options = ExportOptions {
            url: Url(arguments.url.clone()),
            token: arguments.server.token(),
            trust: arguments.server.trust(),
            allow_plain: arguments.server.allow_plain,
            devices: arguments.devices.clone(),
            from: arguments.from.clone(),
            to: arguments.to.clone(),
            format: format.unwrap_or_default(),
            gzip: arguments.gzip,
            stop: stop_at_ctrl_c(),
        };
        let mut told = Told::new();
        let done = match &arguments.output {
            Some(path) => to_file(path, options, &mut told).await?,
            None => anita_client::export(options, tokio::io::stdout(), |progress| told.say(progress)).await?,
        };
        told.end(done);
        Ok(())
    })
}

/// Through a file of another name beside it, so that nothing is ever half there under its own.
async fn to_file(path: &Path, options: ExportOptions, told: &mut Told) -> Result<ExportProgress, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| format!("{} is not the name of a file", path.display()))?;
    let part = folder.join(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let shown = |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", path.display());
    let file = tokio::fs::File::create(&part).await.map_err(|error| shown("write", error))?;
    let mut file = tokio::io::BufWriter::with_capacity(256 * 1024, file);
    let written = async {
        let done = anita_client::export(options, &mut file, |progress| told.say(progress)).await?;
        file.get_ref().sync_all().await.map_err(|error| shown("write", error))?;
        tokio::fs::rename(&part, path).await.map_err(|error| shown("write", error))?;
        Ok::<_, Failure>(done)
    };
    let written = written.await;
    if written.is_err() {
        // What is left of it is of no use.
        tokio::fs::remove_file(&part).await.ok();
    }
    written
}

/// Says how far it is: one line that changes, or one every few seconds where that can't be.
struct Told {
    is_terminal: bool,
    last: Instant,
}

impl Told {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), last: Instant::now() }
    }

    fn say(&mut self, progress: ExportProgress) {
        if self.is_terminal {
            eprint!("\r\x1b[K{}", words(progress));
        } else if self.last.elapsed() >= LINE_EVERY {
            self.last = Instant::now();
            eprintln!("{}", words(progress));
        }
    }

    fn end(&self, progress: ExportProgress) {
        let line = words(progress);
        if self.is_terminal { eprintln!("\r\x1b[K{line}, done") } else { eprintln!("{line}, done") }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn words(progress: ExportProgress) -> String {
    let ExportProgress { bytes, fixes, elapsed } = progress;
    let (megabytes, secs) = (bytes as f64 / 1e6, elapsed.as_secs_f64().max(1e-3));
    let fixes = fixes
        .map_or_else(String::new, |fixes| format!("{fixes} fixes ({:.0} a second), ", fixes as f64 / secs));
    format!("{fixes}{megabytes:.1} MB ({:.1} MB a second)", megabytes / secs)
}
