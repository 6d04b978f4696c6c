//! The list of suites: what each is, what it needs, how long it may take, and the function that runs it.

use std::time::Duration;

use super::bench::{Bench, Report};
use super::needs::Need::{
    self, Chromium, Gdal, Mosquitto, MosquittoClients, Node, NodeModules, Npm, OpenSsl, Postgres, PythonVenv,
    Socat,
};
use Pace::{Fast, Whole};

use super::{checks, programs, services, supply};
use crate::fault::Fault;

/// Whether `--fast` runs a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Fast,
    Whole,
}

/// One suite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: &'static [Need],
    minutes_max: u64,
    pub(crate) pace: Pace,
    pub(crate) run: fn(&mut Bench) -> Result<Report, Fault>,
}

impl Suite {
    /// How long it may take.
    pub(crate) fn time_max(&self) -> Duration {
        Duration::from_secs(self.minutes_max * 60)
    }
}

const WEB: &[Need] = &[Node, Npm, NodeModules];

/// All suites, in the order in which they run: the quick ones first, what others need before them.
pub(crate) const SUITES: [Suite; 21] = [
    suite("fmt", "the Rust code is formatted", &[], 5, Fast, checks::fmt),
    suite("layers", "every crate uses only what its floor may use", &[], 5, Fast, checks::layers),
    suite("tidy", "the house rules that no compiler knows", &[], 5, Fast, checks::tidy),
    suite("codegen", "generated files are up to date", &[], 5, Fast, checks::codegen),
    suite("sdk", "the JavaScript client: lint, types, tests", WEB, 30, Whole, programs::sdk),
    suite("dashboard", "the dashboard: lint, types, tests", WEB, 30, Whole, programs::dashboard),
    suite("clippy", "no warning in any Rust code", &[], 40, Fast, checks::clippy),
    suite("doc", "the documentation builds without a warning", &[], 20, Whole, checks::doc),
    suite("build", "the client, the dashboard and the program build", WEB, 40, Whole, programs::build),
    suite("rust", "every Rust test, with the real services", RUST, 60, Fast, programs::rust),
    suite("fuzz", "every fuzz target on its seeds and their mutations", &[], 20, Whole, programs::fuzz),
    suite("live", "the JavaScript client against the real program", WEB, 20, Whole, services::live),
    suite(
        "python",
        "an independent client against the real program",
        &[PythonVenv],
        20,
        Whole,
        services::python,
    ),
    suite(
        "pyclient",
        "the Python client: types, tables, and conversations with the real program",
        &[PythonVenv],
        20,
        Whole,
        services::pyclient,
    ),
    suite("e2e", "the dashboard in a real browser", E2E, 60, Whole, services::e2e),
    suite("examples", "every example builds", &[], 20, Whole, programs::examples),
    suite(
        "autobahn",
        "the independent WebSocket conformance suite",
        &[PythonVenv],
        60,
        Whole,
        services::autobahn,
    ),
    suite(
        "tls",
        "TLS judged by an independent scanner; a certificate changed under load",
        &[PythonVenv, OpenSsl],
        20,
        Whole,
        supply::tls,
    ),
    suite("api", "REST fuzzed from its own document", &[PythonVenv], 20, Whole, supply::api),
    suite(
        "deny",
        "licences, versions, sources and advisories of the dependencies",
        &[Node, Npm],
        20,
        Whole,
        supply::deny,
    ),
    suite("sbom", "the software bill of materials", &[PythonVenv], 10, Whole, supply::materials),
];

const RUST: &[Need] = &[Mosquitto, MosquittoClients, Socat, OpenSsl, Gdal, Postgres, Node, Npm, NodeModules];
const E2E: &[Need] = &[Node, Npm, NodeModules, Chromium, Mosquitto, MosquittoClients, OpenSsl, PythonVenv];

const fn suite(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    minutes_max: u64,
    pace: Pace,
    run: fn(&mut Bench) -> Result<Report, Fault>,
) -> Suite {
    Suite { name, about, needs, minutes_max, pace, run }
}
