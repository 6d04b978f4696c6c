//! Commands that are started, watched, and ended with all that they started.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::fault::Fault;

/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a command has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(3);

/// Set by Ctrl-C and SIGTERM.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen for signals.
    pub(crate) fn listen() -> Result<Self, Fault> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .map_err(|error| Fault::new(format!("cannot listen for signals: {error}")))?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    Failed,
    TimedOut,
    Interrupted,
}

/// A running command in a process group of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts a command whose output goes to the end of a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, Fault> {
        let mut file = append(log)?;
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        writeln!(file, "$ {}", shown.join(" ")).map_err(|error| Fault::io("write", log, error))?;
        let errors = file.try_clone().map_err(|error| Fault::io("write", log, error))?;
        command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().map_err(|error| {
            Fault::new(format!("cannot start {}: {error}", command.get_program().to_string_lossy()))
        })?;
        Ok(Self(child))
    }

    /// Waits until the command ends, the time is over, or a signal came.
    pub(crate) fn wait(&mut self, deadline: Instant, interrupt: &Interrupt) -> Result<Ending, Fault> {
        loop {
            if let Some(status) = self.poll()? {
                return Ok(if status.success() { Ending::Succeeded } else { Ending::Failed });
            }
            if interrupt.came() {
                return Ok(Ending::Interrupted);
            }
            if Instant::now() >= deadline {
                return Ok(Ending::TimedOut);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The status, once the command has ended.
    pub(crate) fn poll(&mut self) -> Result<Option<ExitStatus>, Fault> {
        self.0.try_wait().map_err(|error| Fault::new(format!("cannot wait for a command: {error}")))
    }

    /// Sends a signal to the whole group; one that is gone already hears nothing.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.0.id());
        let kill = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
        drop(kill);
    }
}

impl Drop for Running {
    /// Ends the group, and what the command left behind in it.
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal("-TERM");
            let until = Instant::now() + GRACE;
            while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        self.signal("-KILL");
        drop(self.0.wait());
    }
}

fn append(log: &Path) -> Result<File, Fault> {
    OpenOptions::new().create(true).append(true).open(log).map_err(|error| Fault::io("open", log, error))
}

/// Runs a command in this terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Fault> {
    let name = shown(command);
    let status = command.status().map_err(|error| Fault::new(format!("cannot start {name}: {error}")))?;
    match (status.success(), status.signal()) {
        (true, _) => Ok(()),
        (false, Some(signal)) => Err(Fault::new(format!("{name} was ended by signal {signal}"))),
        (false, None) => Err(Fault::new(format!("{name} failed, see above"))),
    }
}

/// What a command prints, when it can be run and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> Result<u16, Fault> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|error| Fault::new(format!("no free port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long anything may take that has to happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn quiet() -> Interrupt {
        Interrupt(Arc::new(AtomicBool::new(false)))
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended_with_its_children() {
        let log = std::env::temp_dir().join(format!("xtask-process-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut running = Running::start(&mut command, &log).unwrap();
        let child = || {
            let text = std::fs::read_to_string(&log).unwrap();
            // The first line is the command; the second is whole when it has its end.
            let line = text.split_inclusive('\n').nth(1).filter(|line| line.ends_with('\n'));
            line.map(|line| line.trim().to_owned())
        };
        let until = Instant::now() + PATIENCE;
        while child().is_none() {
            assert!(Instant::now() < until, "the command starts no child");
            std::thread::sleep(LOOK_EVERY);
        }
        let ending = running.wait(Instant::now() + Duration::from_millis(300), &quiet()).unwrap();
        assert_eq!(ending, Ending::TimedOut);
        drop(running);
        let child = child().unwrap();
        std::fs::remove_file(&log).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let is_gone = |state: &str| state.is_empty() || state.contains(") Z") || state.contains(") X");
        // It was sent the signal, and dies once it gets a turn; by itself it would live for longer than this waits.
        let until = Instant::now() + PATIENCE;
        while !is_gone(&state()) {
            assert!(Instant::now() < until, "the child lives on: {}", state());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn endings_are_told_apart() {
        let log = std::env::temp_dir().join(format!("xtask-endings-{}", std::process::id()));
        let deadline = Instant::now() + PATIENCE;
        for (program, ending) in [("true", Ending::Succeeded), ("false", Ending::Failed)] {
            let mut running = Running::start(&mut Command::new(program), &log).unwrap();
            assert_eq!(running.wait(deadline, &quiet()).unwrap(), ending);
        }
        std::fs::remove_file(&log).unwrap();
        assert!(Running::start(&mut Command::new("no-such-program"), &log).is_err());
        std::fs::remove_file(&log).unwrap();
    }
}
