//! Writes what is made from the message types of `anita-wire`, or checks that it is up to date: the TypeScript types,
//! the published schemas, and the tables in the documents, that of the metrics among them.

mod markdown;
mod shapes;
mod typescript;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anita_wire::schema::{self, Catalogue};
use serde_json::Value;

use crate::fault::{Fault, Outcome};

/// The documents that may hold generated tables.
const DOCUMENTS: [&str; 3] = ["docs/PROTOCOL.md", "docs/LIMITS.md", "docs/OPERATIONS.md"];

/// A file that is generated, wholly or between its markers.
#[derive(Debug, PartialEq, Eq)]
struct Generated {
    /// Relative to the root.
    path: PathBuf,
    text: String,
}

/// Writes what has changed.
pub(crate) fn write(root: &Path) -> Outcome {
    for file in stale(root)? {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Fault::io("create", folder, error))?;
        }
        fs::write(&path, &file.text).map_err(|error| Fault::io("write", &path, error))?;
        println!("wrote {}", file.path.display());
    }
    Ok(())
}

/// Names every file that `write` would change.
pub(crate) fn check(root: &Path) -> Outcome {
    let stale: Vec<String> =
        stale(root)?.iter().map(|file| format!("{} is not up to date", file.path.display())).collect();
    Fault::unless_empty(&stale, "run `cargo xtask codegen`")
}

/// The generated files that are not as they should be.
fn stale(root: &Path) -> Result<Vec<Generated>, Fault> {
    let mut stale = Vec::new();
    for file in generate(root)? {
        if read(&root.join(&file.path))?.as_deref() != Some(file.text.as_str()) {
            stale.push(file);
        }
    }
    Ok(stale)
}

fn generate(root: &Path) -> Result<Vec<Generated>, Fault> {
    let catalogue = Catalogue::all();
    let mut files = vec![
        Generated { path: "sdk/src/wire.gen.ts".into(), text: typescript::module(&catalogue) },
        Generated { path: "schema/anita.v1.schema.json".into(), text: pretty(&schema::document()) },
        Generated { path: "schema/asyncapi.json".into(), text: pretty(&schema::asyncapi()) },
    ];
    for document in DOCUMENTS {
        if let Some(text) = read(&root.join(document))? {
            let text = markdown::fill(&text, &catalogue)
                .map_err(|reason| Fault::new(format!("{document}: {reason}")))?;
            files.push(Generated { path: document.into(), text });
        }
    }
    Ok(files)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The text of a file; `None` when it is not there.
fn read(path: &Path) -> Result<Option<String>, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io("read", path, error)),
    }
}
