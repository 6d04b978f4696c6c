//! All issuers, and the one place where a token is judged.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anita_auth::{
    Authority, IdTokenRules, IssuerReport, IssuerRules, Judgement, KeySet, KeysAwaited, KeysState, Principal,
    Roles, TokenError, Verifier,
};
use anita_metrics::{IssuerLabels, Metrics};
use anita_model::Timestamp;
use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::fetch::TrustFault;
use crate::files::{KeyFault, KeyFiles};
use crate::published::{KEYS_WAIT_MAX, Published, PublishedSettings};

/// How many tokens may wait for keys at a time. Others are told to come back.
pub const TOKENS_WAITING_MAX: usize = 1_000;

/// When those come back for whom there is no place to wait.
const NO_PLACE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// From what the operator names; as it was read at the start.
    Given(KeyFiles, KeySet),
    /// From where the issuer publishes them.
    Published(PublishedSettings),
}

/// An issuer of a configuration.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// What is demanded of its tokens.
    pub rules: IssuerRules,
    /// Where its keys come from.
    pub source: KeySource,
}

/// The verifier that is in force.
#[derive(Debug, Clone)]
pub(crate) struct Current(Arc<ArcSwap<Verifier>>);

impl Current {
    pub(crate) fn load(&self) -> Arc<Verifier> {
        self.0.load_full()
    }

    /// From now on, these are the keys of an issuer.
    pub(crate) fn put(&self, issuer: &str, keys: &KeySet) {
        self.0.rcu(|verifier| verifier.with_keys(issuer, keys.clone()));
    }
}

/// Who hears of keys in files that changed: whose they are, and why they can't be used, if they can't.
type Heard = dyn Fn(&str, Result<(), &KeyFault>) + Send + Sync;

/// Where that is said.
#[derive(Default)]
struct Ear(OnceLock<Box<Heard>>);

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

impl Ear {
    fn tell(&self, issuer: &str, outcome: Result<(), &KeyFault>) {
        if let Some(heard) = self.0.get() {
            heard(issuer, outcome);
        }
    }
}

/// Whose tokens are believed, by keys that are kept fresh.
#[derive(Debug)]
pub struct Issuers {
    current: Current,
    published: Vec<Published>,
    given: Vec<(String, KeyFiles)>,
    /// The order of the configuration.
    names: Vec<String>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    ear: Ear,
}

impl Issuers {
    /// The issuers of a configuration. Nothing is asked yet: that is [`Issuers::keep_fresh`].
    ///
    /// # Errors
    /// [`TrustFault`] when certificates of issuers could not be checked.
    pub fn new(
        settings: Vec<IssuerSettings>,
        roles: Roles,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, TrustFault> {
        let (mut demands, mut published, mut given) = (Vec::new(), Vec::new(), Vec::new());
        let names = settings.iter().map(|it| it.rules.issuer.clone()).collect();
        for IssuerSettings { rules: demanded, source } in settings {
            let name = demanded.issuer.clone();
            match source {
                KeySource::Given(files, keys) => {
                    given.push((name, files));
                    demands.push((demanded, keys));
                }
                KeySource::Published(settings) => {
                    published.push(Published::new(name, settings)?);
                    demands.push((demanded, KeySet::not_yet()));
                }
            }
        }
        let verifier = Verifier::with_issuers(demands, roles);
        Ok(Arc::new(Self {
            current: Current(Arc::new(ArcSwap::from_pointee(verifier))),
            published,
            given,
            names,
            places: Arc::new(Semaphore::new(TOKENS_WAITING_MAX)),
            metrics,
            ear: Ear::default(),
        }))
    }

    /// Says from now on when keys in files changed: whose they are, and why they can't be used, if they can't. The first
    /// one who asks is told.
    pub fn on_changed_files(&self, heard: impl Fn(&str, Result<(), &KeyFault>) + Send + Sync + 'static) {
        drop(self.ear.0.set(Box::new(heard)));
    }

    /// Keeps all keys fresh until it is told to stop.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..self.published.len() {
            let (issuers, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move {
                if let Some(published) = issuers.published.get(index) {
                    published.keep_fresh(&issuers.current, &issuers.metrics, &stop).await;
                }
            });
        }
        if !self.given.is_empty() {
            let (issuers, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move { issuers.watch_files(&stop).await });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the keys of an issuer are not kept fresh any more");
            }
        }
    }

    /// Looks at the files again and again, and takes keys that changed. What can't be used is said once, and the old
    /// keys stay in force.
    async fn watch_files(&self, stop: &CancellationToken) {
        // They may have changed since the configuration was read: the first look is at what they hold.
        let mut seen = vec![None; self.given.len()];
        loop {
            for ((issuer, files), seen) in self.given.iter().zip(&mut seen) {
                let found = Some(files.signs());
                if found == *seen {
                    continue;
                }
                let is_first = std::mem::replace(seen, found).is_none();
                match files.read() {
                    Ok(keys) => {
                        if !is_first {
                            tracing::info!(
                                issuer,
                                keys = keys.len(),
                                "changed keys were read and are in force"
                            );
                        }
                        self.current.put(issuer, &keys);
                        if !is_first {
                            self.ear.tell(issuer, Ok(()));
                        }
                    }
                    Err(fault) => self.refuse_files(issuer, &fault),
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Whose ID token it is, as [`Authority::judge`] says it of other tokens, and after waiting for a key that is not known
    /// yet.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(crate) async fn verify_id_token(
        &self,
        token: &str,
        demanded: &IdTokenRules<'_>,
        now: Timestamp,
    ) -> Result<Principal, TokenError> {
        let verifier = self.current.load();
        let given = verifier.verify_id_token(token, demanded, now);
        if given != Err(TokenError::UnknownKey) {
            return given;
        }
        self.ask_for_key(&verifier, token)?.await?;
        self.current.load().verify_id_token(token, demanded, now)
    }

    /// Asks an issuer for the key of a token that it has not published until now.
    ///
    /// # Errors
    /// Why that has no sense: [`TokenError::UnknownKey`] when it will not be published, either.
    fn ask_for_key(&self, verifier: &Verifier, token: &str) -> Result<KeysAwaited, TokenError> {
        let issuer = verifier.misses_key_of(token);
        let published = self.published.iter().find(|it| Some(it.issuer.as_str()) == issuer);
        let published = published.ok_or(TokenError::UnknownKey)?;
        if !published.may_have_published_since(Verifier::claimed_issue_time(token)) {
            return Err(TokenError::UnknownKey);
        }
        let asked_in = published.want();
        if asked_in >= KEYS_WAIT_MAX {
            return Err(TokenError::KeysUnavailable { retry_after: asked_in });
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place =
            place.map_err(|_none| TokenError::KeysUnavailable { retry_after: NO_PLACE_RETRY_AFTER })?;
        Ok(published.awaited(self.current.clone(), token.to_owned(), place))
    }

    fn refuse_files(&self, issuer: &str, fault: &KeyFault) {
        self.metrics.identity.count_key_fault(&IssuerLabels { issuer: issuer.to_owned() });
        self.ear.tell(issuer, Err(fault));
        let cause = std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default();
        tracing::error!(issuer, %fault, %cause, "the changed keys cannot be used; the old ones stay in force");
    }
}

impl Authority for Issuers {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        self.current.load().verify(token, now)
    }

    fn judge(&self, token: &str, now: Timestamp) -> Judgement {
        let verifier = self.current.load();
        let given = verifier.verify(token, now);
        if given != Err(TokenError::UnknownKey) {
            return Judgement::Given(given);
        }
        match self.ask_for_key(&verifier, token) {
            Ok(keys) => Judgement::Awaited(keys),
            Err(error) => Judgement::Given(Err(error)),
        }
    }

    fn reports(&self) -> Vec<IssuerReport> {
        let waiting = TOKENS_WAITING_MAX.saturating_sub(self.places.available_permits());
        self.metrics.identity.tokens_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let verifier = self.current.load();
        let report = |issuer: &String| {
            let keys = verifier.keys_of(issuer).map_or(0, KeySet::len);
            let published = self.published.iter().find(|it| it.issuer == *issuer);
            published.map_or_else(
                || IssuerReport { issuer: issuer.clone(), state: KeysState::Given, keys, age: None },
                |published| published.report(keys),
            )
        };
        self.names.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests;
