//! What was found: plain tables, and the raw rounds as JSON.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::fault::{Outcome, While as _};

/// What all scenarios of a run found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    raw: Map<String, Value>,
    scenario: String,
}

impl Report {
    /// A scenario begins.
    pub(crate) fn begin(&mut self, letter: &str, title: &str) {
        letter.clone_into(&mut self.scenario);
        self.raw.insert(letter.to_owned(), json!({ "title": title }));
        println!("\n{}. {title}", letter.to_uppercase());
    }

    /// Keeps a raw value of the scenario.
    pub(crate) fn keep(&mut self, name: &str, value: Value) {
        if let Some(Value::Object(of_scenario)) = self.raw.get_mut(&self.scenario) {
            of_scenario.insert(name.to_owned(), value);
        }
    }

    /// Says how far it is, on standard error.
    pub(crate) fn step(&self, what: &str) {
        eprintln!("   {}: {what}", self.scenario);
    }

    /// What was to be reached, and whether it was.
    pub(crate) fn verdict(&mut self, what: &str, reached: impl Into<Reached>) {
        let Reached(is_reached) = reached.into();
        println!("   {} {what}", if is_reached { "reached:    " } else { "NOT reached:" });
        self.keep(&format!("verdict: {what}"), Value::Bool(is_reached));
    }

    /// Writes the raw rounds.
    pub(crate) fn write(&self, path: &Path) -> Outcome {
        let text = format!("{:#}\n", Value::Object(self.raw.clone()));
        fs::write(path, text).to(format!("write {}", path.display()))
    }
}

/// A line under the tables.
pub(crate) fn note(what: &str) {
    println!("   {what}");
}

/// Whether what was to be reached was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached(bool);

impl From<bool> for Reached {
    fn from(is_reached: bool) -> Self {
        Self(is_reached)
    }
}

/// A table: the first column is text, the others are numbers.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, name: &str, values: &[String]) {
        self.rows.push(std::iter::once(name.to_owned()).chain(values.iter().cloned()).collect());
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::from("  ");
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = if index == 0 { format!(" {cell:<width$}") } else { format!("  {cell:>width$}") };
                line.push_str(&cell);
            }
            println!("{}", line.trim_end());
        }
    }
}

/// A number with so many digits behind the point.
pub(crate) fn digits(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_are_kept_under_their_scenario() {
        let mut report = Report::default();
        report.begin("a", "one fix");
        report.keep("rounds", json!([1, 2]));
        assert_eq!(Value::Object(report.raw)["a"]["rounds"], json!([1, 2]));
    }
}
