//! What the server lets in, by its own count, looked at ten times a second.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::now_us;
use crate::fault::{Fault, Outcome, While as _};
use crate::server::counter;

/// What the server calls the number of WebSocket handshakes that it let in.
const COUNTER: &str = "anita_handshakes_total";

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long one look may take; a server that is busy with thousands answers late.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A stretch of this length is a second, microseconds.
const SECOND_US: i64 = 1_000_000;

/// One look: the number was read at some moment between these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    from_us: i64,
    until_us: i64,
    count: u64,
}

/// How many were let in, over time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accepts(Vec<Look>);

/// Looks until it is told to stop.
#[derive(Debug)]
pub(super) struct Watch {
    is_over: Arc<AtomicBool>,
    looking: Option<JoinHandle<Accepts>>,
}

impl Watch {
    /// Begins before the server is started: until then it has let in nobody.
    pub(super) fn begin(server: SocketAddr) -> Outcome<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let began_us = now_us();
        let look = move || {
            let mut looks = vec![Look { from_us: began_us, until_us: began_us, count: 0 }];
            // The last look begins after the end was said: whoever was let in before that is in it.
            loop {
                let is_last = over.load(Ordering::Acquire);
                looks.extend(Look::take(server));
                if is_last {
                    return Accepts(looks);
                }
                thread::sleep(LOOK_EVERY);
            }
        };
        let looking = thread::Builder::new().name("accepts".to_owned()).spawn(look).to("start a thread")?;
        Ok(Self { is_over, looking: Some(looking) })
    }

    /// What was seen. All of those that came in must be in it.
    pub(super) fn finish(mut self, came_in: usize) -> Outcome<Accepts> {
        self.is_over.store(true, Ordering::Release);
        let looking = self.looking.take().ok_or_else(|| Fault::new("nobody looks"))?;
        let seen =
            looking.join().map_err(|_panic| Fault::new("the thread that looks at the metrics ended"))?;
        let counted = seen.0.last().map_or(0, |look| look.count);
        if counted < came_in as u64 {
            return Err(Fault::new(format!("{came_in} came in, and {COUNTER} says {counted}")));
        }
        Ok(seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

impl Look {
    /// `None` while the server does not answer.
    fn take(server: SocketAddr) -> Option<Self> {
        let from_us = now_us();
        let mut stream = TcpStream::connect_timeout(&server, ANSWER_MAX).ok()?;
        stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        let is_whole = page.starts_with("HTTP/1.1 200") && page.contains(COUNTER);
        is_whole.then(|| Self { from_us, until_us: now_us(), count: counter(&page, COUNTER, "") as u64 })
    }
}

impl Accepts {
    /// How many a second were let in, in the fullest stretch of a second or a little more.
    pub(super) fn fullest_second(&self) -> f64 {
        let stretches = self.stretches().filter(|(us, _count)| *us >= SECOND_US);
        let rates = stretches.map(|(us, count)| count as f64 / (us as f64 / SECOND_US as f64));
        rates.fold(0.0, f64::max)
    }

    /// The most by which any stretch, short or long, is above what a bucket of so many a second lets through that was
    /// full when it began; 0 where the bucket was kept to. No load of the machine can make it more than it was: a stretch
    /// is as long as it may have been at most.
    pub(super) fn above(&self, per_second: u32) -> f64 {
        let allowed = |us: i64| f64::from(per_second) * (1.0 + us as f64 / SECOND_US as f64);
        self.stretches().map(|(us, count)| count as f64 - allowed(us)).fold(0.0, f64::max)
    }

    /// From each look to each later one: the longest time that may have gone by, microseconds, and how many came.
    fn stretches(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().enumerate().flat_map(|(index, first)| {
            let later = self.0.iter().skip(index + 1);
            later.map(|last| (last.until_us - first.from_us, last.count.saturating_sub(first.count)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(looks: &[(i64, u64)]) -> Accepts {
        let look = |&(ms, count): &(i64, u64)| Look { from_us: ms * 1_000, until_us: ms * 1_000, count };
        Accepts(looks.iter().map(look).collect())
    }

    #[test]
    fn a_bucket_that_is_full_at_first_is_kept_to() {
        let kept = accepts(&[(0, 0), (100, 2_000), (1_000, 4_000), (2_000, 6_000), (3_000, 8_000)]);
        assert!(kept.above(2_000).abs() < 1e-9);
        assert!((kept.fullest_second() - 4_000.0).abs() < 1e-9);
    }

    #[test]
    fn more_than_the_bucket_holds_is_seen_in_short_stretches_and_in_long_ones() {
        let at_once = accepts(&[(0, 0), (900, 0), (1_000, 2_500), (2_000, 2_500)]);
        assert!((at_once.above(2_000) - 300.0).abs() < 1e-6, "{}", at_once.above(2_000));
        let slowly = accepts(&[(0, 0), (1_000, 2_500), (2_000, 5_000), (3_000, 7_500), (5_000, 12_500)]);
        assert!(slowly.above(2_000) > 400.0);
    }

    #[test]
    fn a_look_that_took_long_makes_a_stretch_longer_and_never_shorter() {
        let slow = Look { from_us: 1_000_000, until_us: 3_000_000, count: 7_000 };
        let seen = Accepts(vec![Look { from_us: 0, until_us: 0, count: 0 }, slow]);
        assert!(seen.above(2_000).abs() < 1e-9, "7,000 in three seconds are within 2,000 and 2,000 a second");
    }

    #[test]
    fn who_came_in_and_was_not_counted_is_a_fault() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let watch = Watch::begin(listener.local_addr().unwrap()).unwrap();
        drop(listener);
        let fault = watch.finish(1).unwrap_err().to_string();
        assert_eq!(fault, "1 came in, and anita_handshakes_total says 0");
    }
}
