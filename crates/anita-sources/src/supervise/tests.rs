use super::*;
use crate::{State, Unavailable};
use anita_model::{Report, SourceName, Timestamp};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

/// An intake that takes everything and whose clock is the runtime's.
struct Sink(Instant);

impl Intake for Sink {
    fn submit(&self, _reports: Vec<Report>) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus(self.0.elapsed())
    }
}

/// A source that lives for as long as its script says, and notes when it was run.
struct Scripted {
    name: SourceName,
    stable_for: Vec<Duration>,
    runs: Arc<Mutex<Vec<Instant>>>,
    on_stop: OnStop,
}

#[derive(Clone, Copy, PartialEq)]
enum OnStop {
    Ends,
    GoesOn,
}

impl Source for Scripted {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn run(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            self.runs.lock().push(Instant::now());
            if self.stable_for.is_empty() {
                if self.on_stop == OnStop::Ends {
                    stop.cancelled().await;
                    return Ok(());
                }
                std::future::pending::<()>().await;
            }
            health.connected(intake.now());
            tokio::time::sleep(self.stable_for.remove(0)).await;
            Err(Fault::Closed { address: "there".into() })
        })
    }
}

struct Supervised {
    health: Arc<Health>,
    runs: Arc<Mutex<Vec<Instant>>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn supervised(stable_for: Vec<Duration>, on_stop: OnStop) -> Supervised {
    let name = SourceName::parse("scripted").unwrap();
    let intake = Arc::new(Sink(Instant::now()));
    let health = Health::new(name.clone(), intake.now());
    let runs = Arc::default();
    let stop = CancellationToken::new();
    let source = Box::new(Scripted { name, stable_for, runs: Arc::clone(&runs), on_stop });
    let task = tokio::spawn(supervise(source, intake, Arc::clone(&health), stop.clone()));
    Supervised { health, runs, stop, task }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_faults_is_run_again_after_a_growing_wait() {
    let supervised = supervised(vec![Duration::ZERO; 20], OnStop::Ends);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let snapshot = supervised.health.snapshot();
    assert_eq!((snapshot.state, snapshot.restarts), (State::Starting, 20));
    assert_eq!(snapshot.last_error.as_deref(), Some("there closed the connection"));
    let runs = supervised.runs.lock().clone();
    for (index, pair) in runs.windows(2).enumerate() {
        let bound =
            Duration::from_millis(500).saturating_mul(1 << index.min(10)).min(Duration::from_secs(30));
        assert!(
            pair[1] - pair[0] <= bound + Duration::from_millis(2),
            "wait {index}: {:?}",
            pair[1] - pair[0]
        );
    }
    assert!(runs[20] - runs[0] > Duration::from_secs(30), "it does not hammer");
}

#[tokio::test(start_paused = true)]
async fn a_stable_run_begins_the_waits_anew() {
    let mut script = vec![Duration::ZERO; 10];
    script.push(Duration::from_secs(31));
    let supervised = supervised(script, OnStop::Ends);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let runs = supervised.runs.lock().clone();
    let run_and_wait = runs[11] - runs[10];
    assert!(run_and_wait <= Duration::from_millis(31_502), "{run_and_wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_source_ends_at_once_and_says_so() {
    let supervised = supervised(Vec::new(), OnStop::Ends);
    tokio::task::yield_now().await;
    supervised.stop.cancel();
    let asked_at = Instant::now();
    supervised.task.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_millis(10));
    assert_eq!(supervised.health.snapshot().state, State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_the_next_attempt() {
    let supervised = supervised(vec![Duration::ZERO; 50], OnStop::Ends);
    while supervised.health.snapshot().state != State::Waiting {
        tokio::task::yield_now().await;
    }
    supervised.stop.cancel();
    let asked_at = Instant::now();
    supervised.task.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_hear_is_given_a_second() {
    let supervised = supervised(Vec::new(), OnStop::GoesOn);
    tokio::task::yield_now().await;
    supervised.stop.cancel();
    let asked_at = Instant::now();
    supervised.task.await.unwrap();
    assert!(asked_at.elapsed() <= GOODBYE_MAX + Duration::from_millis(2));
    assert_eq!(supervised.health.snapshot().state, State::Stopped);
}
