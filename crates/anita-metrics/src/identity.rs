//! Who comes in: issuers, tickets, sessions of pages.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use crate::book::Book;

/// Which issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IssuerLabels {
    /// `iss` of its tokens, from the configuration.
    pub issuer: String,
}

/// Which issuer, and how asking it for something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchLabels {
    /// `iss` of its tokens, from the configuration.
    pub issuer: String,
    /// `done`, `failed`, or what went wrong: from a closed list.
    pub outcome: &'static str,
}

/// What became of something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// From a closed list.
    pub outcome: &'static str,
}

/// The metrics of who comes in.
#[derive(Debug, Default)]
pub struct IdentityMetrics {
    /// How long ago an issuer said which keys it has, seconds.
    pub issuer_keys_age: Family<IssuerLabels, Gauge>,
    /// How many keys of an issuer are known.
    pub issuer_keys: Family<IssuerLabels, Gauge>,
    /// How often an issuer was asked for its keys.
    pub issuer_fetches: Family<FetchLabels, Counter>,
    /// How often changed key files could not be used.
    pub key_file_faults: Family<IssuerLabels, Counter>,
    /// Tokens that wait for keys of their issuer.
    pub tokens_waiting: Gauge,
    /// Tickets that were not used yet.
    pub tickets: Gauge,
    /// Tickets by what became of them: `issued`, `used`, `refused`.
    pub ticket_outcomes: Family<OutcomeLabels, Counter>,
    /// Sessions of pages.
    pub page_sessions: Gauge,
    /// Browsers that were sent to an issuer and have not come back yet.
    pub sign_ins: Gauge,
    /// Sign-ins at issuers by what became of them: `done`, or the code of what went wrong.
    pub sign_in_outcomes: Family<FetchLabels, Counter>,
    /// Renewals of sessions by what became of them: `done`, `failed` (tried again) or `refused`.
    pub renewals: Family<FetchLabels, Counter>,
}

impl IdentityMetrics {
    /// Counts one question for keys.
    pub fn count_fetch(&self, labels: &FetchLabels) {
        self.issuer_fetches.get_or_create(labels).inc();
    }

    /// Counts one change of key files that could not be used.
    pub fn count_key_fault(&self, labels: &IssuerLabels) {
        self.key_file_faults.get_or_create(labels).inc();
    }

    /// Counts what became of a ticket.
    pub fn count_ticket(&self, outcome: &'static str) {
        self.ticket_outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts what became of a sign-in at an issuer.
    pub fn count_sign_in(&self, issuer: &str, outcome: &'static str) {
        self.sign_in_outcomes.get_or_create(&FetchLabels { issuer: issuer.to_owned(), outcome }).inc();
    }

    /// Counts what became of the renewal of a session.
    pub fn count_renewal(&self, issuer: &str, outcome: &'static str) {
        self.renewals.get_or_create(&FetchLabels { issuer: issuer.to_owned(), outcome }).inc();
    }

    pub(crate) fn register(&self, it: &mut Book) {
        it.register_with_unit(
            "issuer_keys_age",
            "How long ago an issuer said which keys it has",
            Unit::Seconds,
            self.issuer_keys_age.clone(),
        );
        it.register("issuer_keys", "How many keys of an issuer are known", self.issuer_keys.clone());
        it.register(
            "issuer_fetches",
            "How often an issuer was asked for its keys, by outcome",
            self.issuer_fetches.clone(),
        );
        it.register(
            "key_file_faults",
            "How often changed key files could not be used",
            self.key_file_faults.clone(),
        );
        it.register(
            "tokens_waiting",
            "Tokens that wait for keys of their issuer",
            self.tokens_waiting.clone(),
        );
        it.register("tickets", "Tickets that were not used yet", self.tickets.clone());
        it.register("ticket_outcomes", "What became of tickets", self.ticket_outcomes.clone());
        it.register("page_sessions", "Sessions of pages", self.page_sessions.clone());
        it.register(
            "sign_ins",
            "Browsers that were sent to an issuer and have not come back yet",
            self.sign_ins.clone(),
        );
        it.register("sign_in_outcomes", "What became of sign-ins at issuers", self.sign_in_outcomes.clone());
        it.register("session_renewals", "What became of renewals of sessions", self.renewals.clone());
    }
}
