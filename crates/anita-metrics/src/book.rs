//! The metrics by their names: what the page shows, and what the documents say of it.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry, Unit};

/// What every name begins with.
const PREFIX: &str = "anita";

/// What is known of a metric before anything is counted. The page says nothing of one that nothing was counted in yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name as queries have it: `anita_errors_total`, and of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it says.
    pub help: String,
}

/// All metrics.
#[derive(Debug)]
pub(crate) struct Book {
    registry: Registry,
    described: Vec<Described>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), described: Vec::new() }
    }

    pub(crate) fn register(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.describe(name, help, metric.metric_type());
        self.registry.register(name, help, metric);
    }

    pub(crate) fn register_with_unit(&mut self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        self.describe(&format!("{name}_{}", unit.as_str()), help, metric.metric_type());
        self.registry.register_with_unit(name, help, unit, metric);
    }

    fn describe(&mut self, name: &str, help: &str, kind: MetricType) {
        let end = if matches!(kind, MetricType::Counter) { "_total" } else { "" };
        let name = format!("{PREFIX}_{name}{end}");
        self.described.push(Described { name, kind: kind.as_str().to_owned(), help: help.to_owned() });
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn described(&self) -> &[Described] {
        &self.described
    }
}
