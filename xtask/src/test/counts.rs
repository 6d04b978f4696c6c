//! How many tests passed, failed and were skipped, from what the test programs print.

use std::iter::Sum;
use std::ops::Add;

use serde_json::Value;

/// How a command says it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Good,
    Bad,
}

/// The count of a suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// The same, with at least one failure where the command failed: one that broke before its tests counted none.
    pub(crate) fn of_command(self, exit: Exit) -> Self {
        match exit {
            Exit::Bad if self.failed == 0 => Self { failed: 1, ..self },
            Exit::Good | Exit::Bad => self,
        }
    }

    /// What libtest says in each of its result lines.
    pub(crate) fn of_libtest(output: &str) -> Self {
        output
            .lines()
            .filter(|line| line.starts_with("test result: "))
            .map(|line| Self {
                passed: before(line, " passed"),
                failed: before(line, " failed"),
                skipped: before(line, " ignored"),
            })
            .sum()
    }

    /// What vitest's JSON reporter says. `None` when it is no such report.
    pub(crate) fn of_vitest(report: &str) -> Option<Self> {
        let report: Value = serde_json::from_str(report).ok()?;
        let count = |name: &str| report.get(name).and_then(Value::as_u64);
        let failed = count("numFailedTests")?;
        let is_success = report.get("success").and_then(Value::as_bool).unwrap_or(false);
        let counts = Self {
            passed: count("numPassedTests")?,
            failed,
            skipped: count("numPendingTests")? + count("numTodoTests").unwrap_or(0),
        };
        Some(counts.of_command(if is_success { Exit::Good } else { Exit::Bad }))
    }

    /// What Python's unittest says at its end.
    pub(crate) fn of_unittest(output: &str) -> Self {
        let ran = output.lines().find(|line| line.starts_with("Ran ")).unwrap_or_default();
        let ran: u64 = ran.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
        let end = output.lines().rev().find(|line| line.starts_with("FAILED") || line.starts_with("OK"));
        let end = end.unwrap_or_default();
        let failed = after(end, "failures=") + after(end, "errors=") + after(end, "unexpected successes=");
        let skipped = after(end, "skipped=");
        Self { passed: ran.saturating_sub(failed + skipped), failed, skipped }
    }

    /// What the WebSocket conformance suite says in its line of totals. Our server does all of it, so what is not done,
    /// or not strictly, has failed.
    pub(crate) fn of_autobahn(output: &str) -> Self {
        let line = output.lines().rev().find(|line| line.starts_with("OK ")).unwrap_or_default();
        let totals = line.split(';').next().unwrap_or_default();
        let count = |name: &str| {
            let group = totals.split(" / ").find_map(|group| group.strip_prefix(name));
            group.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
        };
        Self {
            passed: count("OK ") + count("INFORMATIONAL "),
            failed: count("FAILED ") + count("NON-STRICT ") + count("UNIMPLEMENTED "),
            skipped: 0,
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The number before a word: `12 passed`.
fn before(line: &str, word: &str) -> u64 {
    let head = line.split(word).next().filter(|head| head.len() < line.len()).unwrap_or_default();
    head.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The number after a word: `failures=2`.
fn after(line: &str, word: &str) -> u64 {
    let Some((_, tail)) = line.split_once(word) else { return 0 };
    let digits: String = tail.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn libtest_is_summed_over_its_programs() {
        let output = "test a ... ok\n\
            test result: ok. 17 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.13s\n\
            test result: FAILED. 6 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.52s\n";
        assert_eq!(Counts::of_libtest(output), counts(23, 1, 2));
        assert_eq!(Counts::of_libtest("error: could not compile"), counts(0, 0, 0));
    }

    #[test]
    fn a_command_that_fails_without_a_failed_test_is_a_failure() {
        assert_eq!(Counts::default().of_command(Exit::Bad), counts(0, 1, 0));
        assert_eq!(counts(3, 2, 0).of_command(Exit::Bad), counts(3, 2, 0));
        assert_eq!(counts(3, 0, 0).of_command(Exit::Good), counts(3, 0, 0));
    }

    #[test]
    fn vitest_is_read_and_a_file_that_does_not_load_is_a_failure() {
        let report = |failed: u64, success: bool| {
            format!(
                r#"{{"numPassedTests":226,"numFailedTests":{failed},"numPendingTests":8,"numTodoTests":1,"success":{success}}}"#
            )
        };
        assert_eq!(Counts::of_vitest(&report(0, true)), Some(counts(226, 0, 9)));
        assert_eq!(Counts::of_vitest(&report(0, false)), Some(counts(226, 1, 9)));
        assert_eq!(Counts::of_vitest(&report(4, false)), Some(counts(226, 4, 9)));
        assert_eq!(Counts::of_vitest("{}"), None);
    }

    #[test]
    fn unittest_is_read_from_its_end() {
        let output = "Ran 12 tests in 3.456s\n\nFAILED (failures=1, errors=2, skipped=3)\n";
        assert_eq!(Counts::of_unittest(output), counts(6, 3, 3));
        assert_eq!(Counts::of_unittest("Ran 4 tests in 0.1s\n\nOK\n"), counts(4, 0, 0));
        assert_eq!(Counts::of_unittest("Ran 4 tests in 0.1s\n\nOK (skipped=1)\n"), counts(3, 0, 1));
    }

    #[test]
    fn autobahn_is_read_from_its_totals() {
        let line = "OK 295 / NON-STRICT 2 / INFORMATIONAL 3 / UNIMPLEMENTED 1 / FAILED 1; failing: 9.3.1; 302 cases\n";
        assert_eq!(Counts::of_autobahn(line), counts(298, 4, 0));
    }
}
