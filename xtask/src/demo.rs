//! `cargo xtask demo`: from a clone to moving tags.

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use crate::fault::{Fault, Outcome};
use crate::{process, tools, workspace};

/// Builds the program with its dashboard, and becomes it.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Outcome {
    tools::check(&[tools::NODE, tools::NPM, tools::CC])?;
    if workspace::needs_npm_ci(root) {
        println!("installing what the dashboard is built with");
        process::run(&mut workspace::npm(root, &["ci"]))?;
    }
    workspace::build_web(root)?;
    println!("building the server (a few minutes the first time)");
    process::run(&mut workspace::cargo(root, &["build", "--release", "--package", "anita"]))?;
    let program = workspace::target_folder(root)?.join("release/anita");
    let error = workspace::command(root, &program.to_string_lossy()).arg("demo").args(arguments).exec();
    Err(Fault::io("start", &program, error))
}
