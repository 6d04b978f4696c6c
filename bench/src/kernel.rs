//! What is asked of the operating system: open files, cores, and what its sockets hold.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::fault::{Outcome, While as _};

/// Raises the limit of open files as far as it goes, for this process and its children, and returns it.
pub(crate) fn raise_open_files() -> Outcome<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).to("raise the limit of open files")?;
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// The cores that this process may use.
fn cores() -> Outcome<(CpuSet, Vec<usize>)> {
    let set = sched_getaffinity(None).to("read which cores may be used")?;
    Ok((set, (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()))
}

/// Which cores servers and clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// All, together.
    Shared,
    /// Servers the first, clients the others.
    Apart,
}

/// Puts children that are started while it lives on the first core, and this process on the others.
#[derive(Debug)]
pub(crate) struct Pin {
    all: CpuSet,
    is_on: bool,
}

impl Pin {
    /// Begins: children started from now on are on the first core. Where there is one core only, nothing is done.
    pub(crate) fn begin(cores_kept: Cores) -> Outcome<Self> {
        let (all, list) = cores()?;
        let is_on = cores_kept == Cores::Apart && list.len() > 1;
        if let (true, Some(first)) = (is_on, list.first()) {
            let mut set = CpuSet::new();
            set.set(*first);
            sched_setaffinity(None, &set).to("choose a core")?;
        }
        Ok(Self { all, is_on })
    }

    /// The children are started: this thread takes the other cores.
    pub(crate) fn take_others(&self) -> Outcome {
        if !self.is_on {
            return Ok(());
        }
        let mut set = self.all;
        if let Some(first) = (0..CpuSet::MAX_CPU).find(|core| set.is_set(*core)) {
            set.unset(first);
        }
        sched_setaffinity(None, &set).to("choose the other cores")
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // At the worst the next scenario keeps to fewer cores.
        sched_setaffinity(None, &self.all).ok();
    }
}

/// Bytes that the kernel holds for connections of this machine, by the client's port, on the way from the server.
pub(crate) fn bytes_in_kernel(server_port: u16) -> HashMap<u16, u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let mut held = HashMap::new();
    for line in table.lines().skip(1) {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(local), Some(remote), Some(_state), Some(queues)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap_or_default(), 16);
        let bytes = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
        let (Ok(local), Ok(remote)) = (port(local), port(remote)) else { continue };
        let Some((sending, receiving)) = queues.split_once(':') else { continue };
        if local == server_port {
            *held.entry(remote).or_insert(0) += bytes(sending);
        } else if remote == server_port {
            *held.entry(local).or_insert(0) += bytes(receiving);
        }
    }
    held
}
