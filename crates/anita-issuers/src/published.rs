//! The keys of an issuer that publishes them: asked for again and again, and when a token needs it.

use std::path::PathBuf;
use std::time::Duration;

use anita_auth::{IssuerReport, KeySet, KeysAwaited, KeysState, LEEWAY, TokenError};
use anita_metrics::{FetchLabels, Metrics};
use anita_model::Timestamp;
use parking_lot::Mutex;
use rand::Rng;
use reqwest::Client;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::address::KeyAddress;
use crate::fetch::{FetchFault, TrustFault, client, fetch};
use crate::issuers::Current;

/// How long a token waits for a key that is being asked for.
pub const KEYS_WAIT_MAX: Duration = Duration::from_secs(5);

/// However many tokens want it: an issuer is asked again only after this time.
pub const DEMAND_INTERVAL: Duration = Duration::from_secs(10);

/// What an issuer may say of how long its keys hold.
const MAX_AGE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// The first pause after an issuer did not answer; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How keys are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSettings {
    /// Where.
    pub address: KeyAddress,
    /// How often, where the issuer does not say for how long its keys hold.
    pub refresh: Duration,
    /// The shortest time between two questions, however many tokens want one: [`DEMAND_INTERVAL`].
    pub demand_interval: Duration,
    /// Whose certificates are trusted; those of the system when absent.
    pub ca_file: Option<PathBuf>,
}

/// How the last look ended.
#[derive(Debug, Clone, Copy)]
struct Looked {
    begun_at: Instant,
    is_well: bool,
}

#[derive(Debug, Default)]
struct Status {
    begun_at: Option<Instant>,
    /// When the issuer is asked again by itself.
    due_at: Option<Instant>,
    /// When the last look began that was well, by the wall clock.
    well_at: Option<Timestamp>,
    known_at: Option<Instant>,
    failures: u32,
}

/// An issuer that publishes its keys.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) issuer: String,
    settings: PublishedSettings,
    client: Client,
    status: Mutex<Status>,
    /// A token wants keys that are not known.
    wanted: Notify,
    looked: watch::Sender<Option<Looked>>,
}

impl Published {
    pub(crate) fn new(issuer: String, settings: PublishedSettings) -> Result<Self, TrustFault> {
        let client = client(settings.ca_file.as_deref())?;
        let (looked, _nobody) = watch::channel(None);
        Ok(Self { issuer, settings, client, status: Mutex::default(), wanted: Notify::new(), looked })
    }

    /// How the issuer is.
    pub(crate) fn report(&self, keys: usize) -> IssuerReport {
        let status = self.status.lock();
        let state = match (status.known_at, status.failures) {
            (None, _) => KeysState::Missing,
            (Some(_), 0) => KeysState::Fresh,
            (Some(_), _) => KeysState::Kept,
        };
        let age = status.known_at.map(|known_at| known_at.elapsed());
        IssuerReport { issuer: self.issuer.clone(), state, keys, age }
    }

    /// Whether a key that is not known could have been published since: not if the token is older than the last look, for
    /// its key was there before it.
    pub(crate) fn may_have_published_since(&self, issued_at: Option<Timestamp>) -> bool {
        let well_at = self.status.lock().well_at;
        well_at.zip(issued_at).is_none_or(|(well_at, issued_at)| issued_at.plus(LEEWAY) >= well_at)
    }

    /// Asks for keys because of a token, and says how long it will be until the issuer is asked.
    pub(crate) fn want(&self) -> Duration {
        self.wanted.notify_one();
        let (begun_at, due_at) = {
            let status = self.status.lock();
            (status.begun_at, status.due_at)
        };
        if begun_at.is_some() && due_at.is_none() {
            // It is being asked: what it says is soon here.
            return Duration::ZERO;
        }
        let next = begun_at.map(|begun_at| begun_at + self.settings.demand_interval);
        let next = next.map(|next| due_at.map_or(next, |due_at| next.min(due_at)));
        next.map(|next| next.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    /// Done when the issuer was asked after this moment, or has published the key of the token before.
    pub(crate) fn awaited(
        &self,
        current: Current,
        token: String,
        place: OwnedSemaphorePermit,
    ) -> KeysAwaited {
        let asked_at = Instant::now();
        let mut looked = self.looked.subscribe();
        let unavailable = TokenError::KeysUnavailable { retry_after: KEYS_WAIT_MAX };
        let settled = async move {
            loop {
                let last = *looked.borrow_and_update();
                if current.load().misses_key_of(&token).is_none() {
                    return Ok(());
                }
                match last.filter(|last| last.begun_at >= asked_at) {
                    Some(Looked { is_well: true, .. }) => return Ok(()),
                    Some(Looked { is_well: false, .. }) => return Err(unavailable),
                    None => {}
                }
                // Never gone: whoever waits holds the server, and that the issuers.
                if looked.changed().await.is_err() {
                    return Err(unavailable);
                }
            }
        };
        Box::pin(async move {
            let _place = place;
            tokio::time::timeout(KEYS_WAIT_MAX, settled).await.unwrap_or(Err(unavailable))
        })
    }

    /// Asks the issuer again and again.
    pub(crate) async fn keep_fresh(&self, current: &Current, metrics: &Metrics, stop: &CancellationToken) {
        loop {
            let (begun_at, wall) = (Instant::now(), Timestamp::now());
            {
                let mut status = self.status.lock();
                (status.begun_at, status.due_at) = (Some(begun_at), None);
            }
            let look = fetch(&self.client, &self.issuer, &self.settings.address);
            let Some(fetched) = stop.run_until_cancelled(look).await else { return };
            let is_well = fetched.is_ok();
            let outcome = if is_well { "done" } else { "failed" };
            metrics.identity.count_fetch(&FetchLabels { issuer: self.issuer.clone(), outcome });
            let pause = match fetched {
                Ok(fetched) => {
                    self.take(current, &fetched.keys);
                    self.status.lock().well_at = Some(wall);
                    fetched.max_age.map_or(self.settings.refresh, |it| it.clamp(MAX_AGE.0, MAX_AGE.1))
                }
                Err(fault) => self.bear(&fault),
            };
            self.status.lock().due_at = Some(begun_at + pause);
            self.looked.send_replace(Some(Looked { begun_at, is_well }));
            let demanded = async {
                self.wanted.notified().await;
                tokio::time::sleep_until(begun_at + self.settings.demand_interval).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(begun_at + pause) => {}
                () = demanded => {}
            }
        }
    }

    fn take(&self, current: &Current, keys: &KeySet) {
        tracing::debug!(issuer = self.issuer, keys = keys.len(), "the issuer's keys were read");
        let was_failing = {
            let mut status = self.status.lock();
            status.known_at = Some(Instant::now());
            std::mem::take(&mut status.failures) > 0
        };
        if was_failing {
            tracing::info!(issuer = self.issuer, "the issuer publishes its keys again");
        }
        current.put(&self.issuer, keys);
    }

    /// Says once that an issuer does not answer; how long to wait before it is asked again.
    fn bear(&self, fault: &FetchFault) -> Duration {
        let failures = {
            let mut status = self.status.lock();
            status.failures = status.failures.saturating_add(1);
            status.failures
        };
        let cause = std::error::Error::source(fault).map(chain).unwrap_or_default();
        if failures == 1 {
            tracing::warn!(issuer = self.issuer, %fault, %cause, "the keys of an issuer cannot be had; those that are known go on");
        } else {
            tracing::debug!(issuer = self.issuer, %fault, %cause, failures, "the keys of an issuer cannot be had");
        }
        let longest = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
        longest.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// An error and what it comes from, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += ": ";
        text += &cause.to_string();
        source = cause.source();
    }
    text
}
