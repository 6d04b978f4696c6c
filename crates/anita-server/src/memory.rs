//! The ceiling of memory: above it nobody new is let in, and the connections that came last are closed, in batches, until
//! there is room again.

use std::fs;
use std::path::Path;

/// Part of the memory that the process may have at all which is the ceiling when the configuration says nothing, percent.
const DEFAULT_PERCENT: u64 = 80;

/// Below this part of the ceiling there is room again, percent.
const ROOM_PERCENT: u64 = 95;

/// The part of all connections that is closed at once.
const SHED_PART: usize = 20;

/// How many are closed at once at the most.
const SHED_MAX: usize = 500;

/// After so many batches without any gain, closing connections is given up for a while: the memory is not theirs.
const FUTILE_MAX: u32 = 10;

/// How many looks long.
const REST_LOOKS: u32 = 60;

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The memory went above the ceiling.
    Above,
    /// There is room again.
    Room,
    /// Closing connections brings nothing; it is left for a while.
    Futile,
}

/// What is to be done after a look at the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// Whether nobody new is let in.
    pub(crate) refuses: bool,
    /// How many of the newest connections are closed.
    pub(crate) shed: usize,
    /// What is new, for the log.
    pub(crate) change: Option<Change>,
}

/// Judges how much memory there is. Pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ceiling {
    bytes_max: u64,
    is_above: bool,
    /// The least memory since it was above.
    lowest: u64,
    /// Batches in a row that brought nothing.
    futile: u32,
    /// Looks until closing connections is tried again.
    rest: u32,
}

impl Ceiling {
    /// With a ceiling.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, is_above: false, lowest: u64::MAX, futile: 0, rest: 0 }
    }

    /// Judges a look, of which there is one every second.
    pub(crate) fn judge(&mut self, bytes: u64, connections: usize) -> Verdict {
        if !self.is_above && bytes <= self.bytes_max {
            return Verdict::default();
        }
        if self.is_above && bytes <= self.bytes_max / 100 * ROOM_PERCENT {
            *self = Self::new(self.bytes_max);
            return Verdict { change: Some(Change::Room), ..Verdict::default() };
        }
        let mut change = (!self.is_above).then_some(Change::Above);
        self.is_above = true;
        // A gain is half a percent.
        if bytes < self.lowest - self.lowest / 200 {
            self.lowest = bytes;
            self.futile = 0;
        } else {
            self.futile += 1;
        }
        if self.futile > FUTILE_MAX {
            (self.futile, self.rest) = (0, REST_LOOKS);
            change = Some(Change::Futile);
        }
        let shed = if self.rest > 0 { 0 } else { connections.div_ceil(SHED_PART).min(SHED_MAX) };
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 {
            self.futile = 0;
        }
        Verdict { refuses: true, shed, change }
    }
}

/// The memory of this process that is resident, bytes; `None` where the system does not say.
pub(crate) fn resident_bytes() -> Option<u64> {
    entry_bytes(Path::new("/proc/self/status"), "VmRSS:")
}

/// The ceiling that is in force: that of the configuration, `Some(0)` for none, or else a part of what the process may
/// have: what the machine has, or less if a control group limits it. `None` as well where the system does not say.
pub(crate) fn ceiling(configured: Option<u64>) -> Option<u64> {
    match configured {
        Some(0) => None,
        Some(bytes) => Some(bytes),
        None => {
            let machine = entry_bytes(Path::new("/proc/meminfo"), "MemTotal:");
            let group = group_bytes_max(Path::new("/sys/fs/cgroup"));
            machine.into_iter().chain(group).min().map(|bytes| bytes / 100 * DEFAULT_PERCENT)
        }
    }
}

/// An entry of a file of `proc` that tells memory in KiB, bytes.
fn entry_bytes(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let entry = text.lines().find_map(|line| line.strip_prefix(name))?;
    entry.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// The limit of the control group of this process or of one above it (cgroup v2), bytes.
fn group_bytes_max(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = root.join(own);
    let limit =
        |folder: &Path| fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse::<u64>().ok();
    path.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn above_the_ceiling_the_newest_go_until_there_is_room() {
        let mut ceiling = Ceiling::new(100 * MIB);
        let above = |change| Verdict { refuses: true, shed: 50, change };
        // Memory in MiB, and what is done about it.
        let table = [
            (90, Verdict::default()),
            (100, Verdict::default()),
            (101, above(Some(Change::Above))),
            (99, above(None)),
            (96, above(None)),
            (95, Verdict { change: Some(Change::Room), ..Verdict::default() }),
            (96, Verdict::default()),
            (100, Verdict::default()),
            (200, above(Some(Change::Above))),
        ];
        for (index, (mib, verdict)) in table.into_iter().enumerate() {
            assert_eq!(ceiling.judge(mib * MIB, 1_000), verdict, "{index}: {mib}");
        }
    }

    #[test]
    fn batches_are_bounded_and_nobody_is_none() {
        for (connections, shed) in [(0, 0), (1, 1), (20, 1), (21, 2), (1_000, 50), (100_000, 500)] {
            assert_eq!(Ceiling::new(1).judge(2, connections).shed, shed, "{connections}");
        }
    }

    #[test]
    fn what_brings_nothing_is_left_for_a_while() {
        let mut ceiling = Ceiling::new(MIB);
        let verdicts: Vec<Verdict> = (0..200).map(|_| ceiling.judge(2 * MIB, 1_000)).collect();
        assert!(verdicts.iter().all(|verdict| verdict.refuses));
        let shed: usize = verdicts.iter().map(|verdict| verdict.shed).sum();
        assert!(shed <= 50 * 36, "{shed} were closed for nothing in 200 looks");
        let futile = verdicts.iter().filter(|verdict| verdict.change == Some(Change::Futile)).count();
        assert!((2..=3).contains(&futile), "{futile}");
        let resting = verdicts.iter().skip(11).take(59).all(|verdict| verdict.shed == 0);
        assert!(resting, "{verdicts:?}");
        assert!(verdicts.iter().skip(71).any(|verdict| verdict.shed > 0), "tried again");
    }

    #[test]
    fn the_configuration_goes_over_what_the_machine_has() {
        assert_eq!(ceiling(Some(0)), None);
        assert_eq!(ceiling(Some(7)), Some(7));
        if cfg!(target_os = "linux") {
            let machine = entry_bytes(Path::new("/proc/meminfo"), "MemTotal:").unwrap();
            assert!((1..=machine / 100 * DEFAULT_PERCENT).contains(&ceiling(None).unwrap()));
        }
    }

    #[test]
    fn a_process_has_some_memory() {
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().unwrap() > MIB);
        }
    }
}
