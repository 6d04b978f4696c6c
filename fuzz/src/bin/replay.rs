//! Runs every fuzz target on its seeds, and for some seconds on mutations of them: with any compiler, without libFuzzer.
//!
//! ```text
//! cargo run --no-default-features --bin replay -- [--seconds 5] [--seed N] [TARGET…] [FILE…]
//! ```
//! A file that is named is run through the named targets. What fails is kept in `artifacts/`, and its seed is printed.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anita_fuzz::{TARGETS, Target};

/// How many targets run at a time.
const AT_A_TIME: usize = 2;

/// The longest input that mutations make, bytes.
const INPUT_BYTES_MAX: usize = 4096;

struct Options {
    time: Duration,
    seed: u64,
    targets: Vec<Target>,
    files: Vec<PathBuf>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = parse(std::env::args().skip(1))?;
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let run_all = || {
            while let Some(&target) = options.targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome =
                    run(target, &options).unwrap_or_else(|error| Outcome::Failed(error.to_string()));
                let (end, text) = match outcome {
                    Outcome::Fine(text) => ("ok", text),
                    Outcome::Failed(text) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        ("FAILED", text)
                    }
                };
                println!("fuzz target {}: {text} ... {end}", target.name);
            }
        };
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(run_all)).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    });
    Ok(if failed.into_inner() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How a target went, in words.
enum Outcome {
    Fine(String),
    Failed(String),
}

fn run(target: Target, options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let inputs = if options.files.is_empty() { seeds(target)? } else { read(&options.files)? };
    let seed = options.seed;
    Ok(match try_all(target, &inputs, options, &mut Random(seed)) {
        Ok(mutations) => Outcome::Fine(format!("{} seeds, {mutations} mutations from {seed}", inputs.len())),
        Err(input) => Outcome::Failed(format!("{} from {seed}", keep(target, &input)?.display())),
    })
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let seed = RandomState::new().build_hasher().finish();
    let mut options = Options { time: Duration::from_secs(5), seed, targets: Vec::new(), files: Vec::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => options.time = Duration::from_secs(arguments.next().unwrap_or_default().parse()?),
            "--seed" => options.seed = arguments.next().unwrap_or_default().parse()?,
            name => match TARGETS.iter().find(|target| target.name == name) {
                Some(target) => options.targets.push(*target),
                None if Path::new(name).is_file() => options.files.push(name.into()),
                None => return Err(format!("{name} is no target and no file").into()),
            },
        }
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    Ok(options)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn seeds(target: Target) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let folder = folder("seeds").join(target.name);
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.sort();
    read(&files)
}

fn read(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    files
        .iter()
        .map(|file| Ok(fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?))
        .collect()
}

/// How many mutations went well, or the first input that did not.
fn try_all(
    target: Target,
    seeds: &[Vec<u8>],
    options: &Options,
    random: &mut Random,
) -> Result<u64, Vec<u8>> {
    let goes_well = |input: &[u8]| catch_unwind(|| (target.run)(input)).is_ok();
    for input in seeds.iter().map(Vec::as_slice).chain([&b""[..]]) {
        if !goes_well(input) {
            return Err(input.to_vec());
        }
    }
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < options.time && options.files.is_empty() {
        let input = mutated(seeds, random);
        if !goes_well(&input) {
            return Err(input);
        }
        count += 1;
    }
    Ok(count)
}

/// Keeps an input that failed.
fn keep(target: Target, input: &[u8]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = folder("artifacts").join(target.name);
    fs::create_dir_all(&folder)?;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(input);
    let path = folder.join(format!("replay-{:016x}", hasher.finish()));
    fs::write(&path, input)?;
    Ok(path)
}

/// A seed with one to eight changes.
fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        change(&mut input, seeds, random);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// What parsers trip over.
const PIECES: [&[u8]; 16] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"null",
    b"1e999",
    b"-0",
    b"\xff\xfe",
    b"\x00",
];

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let to = (at + random.below(16)).min(input.len());
    match random.below(7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.byte();
            }
        }
        2 => drop(input.drain(at..to)),
        3 => {
            let piece = random.pick(&PIECES).copied().unwrap_or_default();
            drop(input.splice(at..at, piece.iter().copied()));
        }
        4 => {
            let copy = input[at..to].to_vec();
            drop(input.splice(at..at, copy));
        }
        5 => {
            let other = random.pick(seeds).cloned().unwrap_or_default();
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            let bytes: Vec<u8> = (0..random.below(8)).map(|_| random.byte()).collect();
            drop(input.splice(at..at, bytes));
        }
    }
}

/// `SplitMix64`: the same numbers from the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number below a bound; 0 for the bound 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}
