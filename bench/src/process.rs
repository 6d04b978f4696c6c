//! Servers as child processes, and what `/proc` says of them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::fault::{Outcome, While as _};

/// Becomes another program, which the kernel kills when the parent ends. Returns only when that fails.
pub(crate) fn become_child(program: &Path, arguments: &[OsString]) -> Outcome {
    set_parent_process_death_signal(Some(Signal::KILL)).to("follow the parent")?;
    Err(Command::new(program).args(arguments).exec()).to(format!("start {}", program.display()))
}

/// A child process that ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

/// CPU time used so far, by thread, nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu(HashMap<u32, u64>);

/// Memory in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) rss_kib: u64,
    /// Resident at most, since the start or the last [`Server::forget_peak`].
    pub(crate) peak_kib: u64,
}

impl Server {
    /// Starts a program that is killed when this one ends, however it ends.
    pub(crate) fn spawn(program: &Path, set_up: impl FnOnce(&mut Command)) -> Outcome<Self> {
        let own = std::env::current_exe().to("find this program")?;
        let mut command = Command::new(own);
        command.arg("child").arg(program);
        set_up(&mut command);
        Ok(Self { child: command.spawn().to(format!("start {}", program.display()))? })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to stop, as an operator does.
    pub(crate) fn terminate(&self) -> Outcome {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        id.map_or(Ok(()), |id| kill_process(id, Signal::TERM)).to("stop the server")
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// The CPU time of its threads.
    pub(crate) fn cpu(&self) -> Cpu {
        let Ok(threads) = fs::read_dir(self.path("task")) else { return Cpu::default() };
        let mut times = HashMap::new();
        for thread in threads.flatten() {
            let spent = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let id = thread.file_name().to_string_lossy().parse();
            if let (Ok(id), Some(Ok(ns))) = (id, spent.split_whitespace().next().map(str::parse)) {
                times.insert(id, ns);
            }
        }
        Cpu(times)
    }

    /// CPU time since then, nanoseconds. What a thread used that has ended since then is not in it.
    pub(crate) fn cpu_ns_since(&self, before: &Cpu) -> f64 {
        let now = self.cpu();
        let spent = now.0.iter().map(|(id, ns)| ns.saturating_sub(before.0.get(id).copied().unwrap_or(0)));
        spent.sum::<u64>() as f64
    }

    /// Ticks (hundredths of a second) in its own code and in the kernel.
    pub(crate) fn user_and_kernel_ticks(&self) -> (u64, u64) {
        let stat = fs::read_to_string(self.path("stat")).unwrap_or_default();
        // The name in parentheses may hold spaces.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let mut ticks = fields.split(' ').skip(11).map(|field| field.parse().unwrap_or(0));
        (ticks.next().unwrap_or(0), ticks.next().unwrap_or(0))
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.path("status")).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Memory { rss_kib: kib("VmRSS:"), peak_kib: kib("VmHWM:") }
    }

    /// Lets the peak of the memory begin anew, where the kernel allows it.
    pub(crate) fn forget_peak(&self) {
        fs::write(self.path("clear_refs"), "5").ok();
    }
}

impl Server {
    /// Kills it, if it still runs.
    pub(crate) fn end(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && self.is_alive()
        {
            kill_process(id, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
