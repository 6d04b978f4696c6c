//! Where one suite runs: its log, its time, and how its commands are started.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::counts::{Counts, Exit};
use crate::fault::{Fault, Outcome};
use crate::process::{Ending, Interrupt, Running};
use crate::workspace;

/// What a suite came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) counts: Counts,
    /// Why it was skipped, or why it failed where no test says so.
    pub(crate) note: Option<String>,
}

impl Report {
    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self { counts: Counts::SKIPPED, note: Some(reason.into()) }
    }

    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self { counts: Counts::FAILED, note: Some(reason.into()) }
    }
}

impl From<Counts> for Report {
    fn from(counts: Counts) -> Self {
        Self { counts, note: None }
    }
}

/// What the suites of a run have built for one another. One of them builds at a time.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// Where the program is, once it is built.
    program: Mutex<Option<PathBuf>>,
}

/// The bench of one suite.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    /// The file that takes what its commands print.
    pub(crate) log: PathBuf,
    pub(crate) deadline: Instant,
    pub(crate) interrupt: Interrupt,
    /// Whether only what is quick should run.
    pub(crate) is_fast: bool,
    pub(crate) built: Arc<Built>,
}

impl Bench {
    /// Runs a command to its end; its output goes to the log.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Exit, Fault> {
        let mut running = Running::start(command, &self.log)?;
        match running.wait(self.deadline, &self.interrupt)? {
            Ending::Succeeded => Ok(Exit::Good),
            Ending::Failed => Ok(Exit::Bad),
            Ending::TimedOut => Err(Fault::new("took too long and was ended")),
            Ending::Interrupted => Err(Fault::new("interrupted")),
        }
    }

    /// Runs a command that is one check.
    pub(crate) fn check(&self, command: &mut Command) -> Result<Counts, Fault> {
        Ok(match self.run(command)? {
            Exit::Good => Counts::PASSED,
            Exit::Bad => Counts::FAILED,
        })
    }

    /// Runs a command that others need.
    pub(crate) fn prepare(&self, command: &mut Command, what: &str) -> Outcome {
        match self.run(command)? {
            Exit::Good => Ok(()),
            Exit::Bad => Err(Fault::new(format!("{what} failed"))),
        }
    }

    /// Runs a command and gives back what it printed.
    pub(crate) fn capture(&self, command: &mut Command) -> Result<(Exit, String), Fault> {
        let start = self.text()?.len();
        let exit = self.run(command)?;
        Ok((exit, self.text()?.split_off(start)))
    }

    /// Waits until a question is answered with yes, looking ten times a second.
    pub(crate) fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> Result<bool, Fault>) -> Outcome {
        let deadline = self.deadline.min(Instant::now() + Duration::from_secs(60));
        while !is_so()? {
            if self.interrupt.came() || Instant::now() >= deadline {
                return Err(Fault::new(format!("waited in vain until {what}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Says something in the log.
    pub(crate) fn note(&self, text: &str) -> Outcome {
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.log);
        file.and_then(|mut file| writeln!(file, "{text}"))
            .map_err(|error| Fault::io("write", &self.log, error))
    }

    /// The log so far. Not every program prints UTF-8.
    pub(crate) fn text(&self) -> Result<String, Fault> {
        let bytes = fs::read(&self.log).map_err(|error| Fault::io("read", &self.log, error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An empty folder of this run, under `build/`.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, Fault> {
        let folder = self.root.join("build/test").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| Fault::io("empty", &folder, error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| Fault::io("create", &folder, error))?;
        Ok(folder)
    }

    /// Builds the parts of the web that are not up to date.
    pub(crate) fn build_web(&self, wanted: &[&str]) -> Outcome {
        let _building = self.building();
        self.build_stale(wanted)
    }

    /// No other suite builds or installs what they share while this is held.
    pub(crate) fn building(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.built.program.lock()
    }

    fn build_stale(&self, wanted: &[&str]) -> Outcome {
        for part in workspace::WEB_PARTS.into_iter().filter(|part| wanted.contains(&part.folder)) {
            if part.is_stale(&self.root) {
                self.prepare(&mut part.build(&self.root), &format!("building {}", part.folder))?;
            }
        }
        Ok(())
    }

    /// Builds the program, with its dashboard in it, unless this run has it, and says where it is.
    pub(crate) fn build_program(&self) -> Result<PathBuf, Fault> {
        self.program_of(&["build", "--package", "anita"])
    }

    /// Builds the program and every Rust test, which are one build: what both use is compiled once.
    pub(crate) fn build_all(&self) -> Result<PathBuf, Fault> {
        self.program_of(&["test", "--workspace", "--no-run"])
    }

    fn program_of(&self, build: &[&str]) -> Result<PathBuf, Fault> {
        let mut program = self.building();
        if let Some(program) = &*program {
            return Ok(program.clone());
        }
        self.build_stale(&["sdk", "dashboard"])?;
        self.prepare(&mut workspace::cargo(&self.root, build), "building the program")?;
        // Not where the compiler puts it: another build may replace it there while suites use it.
        let place = self.scratch("program")?.join("anita");
        let fresh = workspace::target_folder(&self.root)?.join("debug/anita");
        fs::copy(&fresh, &place).map_err(|error| Fault::io("copy", &fresh, error))?;
        Ok(program.insert(place).clone())
    }

    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        workspace::cargo(&self.root, arguments)
    }

    /// A command in a folder of the project.
    pub(crate) fn command_in(&self, folder: &Path, program: &str) -> Command {
        workspace::command(&self.root.join(folder), program)
    }
}
