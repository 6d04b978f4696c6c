//! Who comes in: issuers, tickets, sessions of pages.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Which issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IssuerLabels {
    /// `iss` of its tokens, from the configuration.
    pub issuer: String,
}

/// Which issuer, and how asking for its keys ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchLabels {
    /// `iss` of its tokens, from the configuration.
    pub issuer: String,
    /// `done` or `failed`.
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

    pub(crate) fn register(&self, it: &mut Registry) {
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
    }
}
