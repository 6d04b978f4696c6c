//! A layer between the program and the system, which makes a thread or the wall clock fail when a test says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::house::Home;

/// What a test says of the system.
pub(crate) struct Faults(PathBuf);

impl Faults {
    /// The layer between the programs of a home and the system; `None` where there is no C compiler.
    pub(crate) fn between(home: &mut Home) -> Option<Self> {
        let folder = home.folder.path().join("faults");
        std::fs::create_dir(&folder).unwrap();
        let library = folder.join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/living/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        let Ok(status) = built else {
            let is_required =
                std::env::var_os("ANITA_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
            assert!(!is_required, "ANITA_TEST_REQUIRE_SERVICES=1, but there is no C compiler");
            eprintln!("skipped: there is no C compiler for the layer between the program and the system");
            return None;
        };
        assert!(status.success(), "the layer does not build");
        home.environment.push(("LD_PRELOAD".to_owned(), library.into()));
        home.environment.push(("FAULTS".to_owned(), folder.clone().into()));
        Some(Self(folder))
    }

    fn say(&self, file: &str, text: &str) {
        // In one step, so that nobody reads the half of it.
        let written = self.0.join(format!("{file}.new"));
        std::fs::write(&written, text).unwrap();
        std::fs::rename(&written, self.0.join(file)).unwrap();
    }

    /// `hang` or `fail`, and the name of a thread.
    pub(crate) fn thread(&self, word: &str) {
        self.say("thread", word);
    }

    /// By how many seconds the wall clock is off.
    pub(crate) fn clock(&self, secs: i64) {
        self.say("clock", &secs.to_string());
    }
}
