//! The rules of the tree, as functions: each takes the tree (or the packages of the workspace) and returns
//! what breaks the rule. `tests/architecture.rs` holds the real tree against them; beside each rule stand
//! tests on small made-up trees, which show that it can fail.
//!
//! Start with [`dependencies::LAYERS`], the table of who may use whom.

pub mod attributes;
pub mod claims;
pub mod dependencies;
pub mod files;
pub mod modules;
pub mod packages;
pub mod text;
pub mod tree;

use std::fmt;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file (relative to the root of the tree, a line number may follow) or the package.
    pub place: String,
    /// What is wrong there, and what is allowed instead.
    pub problem: String,
}

impl Violation {
    /// Makes a violation.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// Panics with all violations, one a line, unless there is none.
#[track_caller]
pub fn assert_none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

/// Returns the places of violations, for comparison in the tests of the rules.
#[cfg(test)]
fn places(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|violation| violation.place.as_str()).collect()
}
