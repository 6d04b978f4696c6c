//! The list of suites: what each is, what it needs, how long it may take, and the function that runs it.

use std::time::Duration;

use super::bench::{Bench, Report};
use super::needs::Need::{
    self, Chromium, Gdal, Mosquitto, MosquittoClients, Node, NodeModules, Npm, OpenSsl, Postgres, PythonVenv,
    Socat,
};
use Manner::{Alone, Beside};
use Pace::{Fast, Whole};

use super::{checks, programs, services, supply};
use crate::fault::Fault;

/// Whether `--fast` runs a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Fast,
    Whole,
}

/// How a suite uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It uses the whole machine, so it runs by itself.
    Alone,
    /// It waits for clocks and sockets, or fills the pauses of those that do: it runs beside the next ones of this kind.
    Beside,
}

/// One suite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: &'static [Need],
    minutes_max: u64,
    pub(crate) pace: Pace,
    pub(crate) manner: Manner,
    pub(crate) run: fn(&mut Bench) -> Result<Report, Fault>,
}

impl Suite {
    /// How long it may take.
    pub(crate) fn time_max(&self) -> Duration {
        Duration::from_secs(self.minutes_max * 60)
    }
}

const WEB: &[Need] = &[Node, Npm, NodeModules];
const NPM: &[Need] = &[Node, Npm];
const VENV: &[Need] = &[PythonVenv];
const TLS: &[Need] = &[PythonVenv, OpenSsl];

/// All suites, in the order in which they begin: the quick ones first, what others need before them, and among those
/// that run side by side the long ones first.
pub(crate) const SUITES: [Suite; 21] = [
    suite("fmt", "the Rust code is formatted", &[], 5, Fast, Alone, checks::fmt),
    suite("layers", "every crate uses only what its floor may use", &[], 5, Fast, Alone, checks::layers),
    suite("tidy", "the house rules that no compiler knows", &[], 5, Fast, Alone, checks::tidy),
    suite("codegen", "generated files are up to date", &[], 5, Fast, Alone, checks::codegen),
    suite("dashboard", "the dashboard: lint, types, tests", WEB, 30, Whole, Beside, programs::dashboard),
    suite("sdk", "the JavaScript client: lint, types, tests", WEB, 30, Whole, Beside, programs::sdk),
    suite("clippy", "no warning in any Rust code", &[], 40, Fast, Alone, checks::clippy),
    suite("doc", "the documentation builds without a warning", &[], 20, Whole, Alone, checks::doc),
    suite(
        "build",
        "the client, the dashboard, the program and its tests build",
        WEB,
        60,
        Whole,
        Alone,
        programs::build,
    ),
    suite("e2e", "the dashboard in a real browser", E2E, 60, Whole, Beside, services::e2e),
    suite("rust", "every Rust test, with the real services", RUST, 60, Fast, Beside, programs::rust),
    suite(
        "python",
        "an independent client against the real program",
        VENV,
        20,
        Whole,
        Beside,
        services::python,
    ),
    suite(
        "pyclient",
        "the Python client: types, tables, and conversations",
        VENV,
        20,
        Whole,
        Beside,
        services::pyclient,
    ),
    suite("autobahn", "the independent WebSocket suite", VENV, 60, Whole, Beside, services::autobahn),
    suite(
        "fuzz",
        "every fuzz target on its seeds and their mutations",
        &[],
        20,
        Whole,
        Beside,
        programs::fuzz,
    ),
    suite("api", "REST fuzzed from its own document", VENV, 20, Whole, Beside, supply::api),
    suite(
        "tls",
        "TLS judged by a scanner; a certificate changed under load",
        TLS,
        20,
        Whole,
        Beside,
        supply::tls,
    ),
    suite("live", "the JavaScript client against the real program", WEB, 20, Whole, Beside, services::live),
    suite("deny", "licences, versions, sources and advisories", NPM, 20, Whole, Beside, supply::deny),
    suite("examples", "every example builds", &[], 20, Whole, Alone, programs::examples),
    suite("sbom", "the software bill of materials", VENV, 10, Whole, Alone, supply::materials),
];

const RUST: &[Need] = &[Mosquitto, MosquittoClients, Socat, OpenSsl, Gdal, Postgres, Node, Npm, NodeModules];
const E2E: &[Need] = &[Node, Npm, NodeModules, Chromium, Mosquitto, MosquittoClients, OpenSsl, PythonVenv];

const fn suite(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    minutes_max: u64,
    pace: Pace,
    manner: Manner,
    run: fn(&mut Bench) -> Result<Report, Fault>,
) -> Suite {
    Suite { name, about, needs, minutes_max, pace, manner, run }
}
