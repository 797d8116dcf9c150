//! Tests that a page names exist: a page that says what holds a statement must not go stale.

use std::collections::BTreeSet;

use crate::{Violation, tree::Tree};

/// The page whose tables name a test in their last column.
pub const PAGE: &str = "docs/user-status.md";

/// Finds names of tests in the tables of a page that no test has, and rows that name none.
pub fn unheld(tree: &Tree, page: &str) -> Vec<Violation> {
    let tests = names(tree);
    let text = tree.text(page).unwrap_or_default();
    let rows = (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, last_cell(line)?)));
    let mut violations = Vec::new();
    for (number, cell) in rows {
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let place = || format!("{page}:{number}");
        if named.is_empty() {
            violations.push(Violation::new(place(), "the row names no test"));
        }
        let unknown = named.into_iter().filter(|name| !tests.contains(name));
        violations.extend(unknown.map(|name| Violation::new(place(), format!("no test is named {name}"))));
    }
    violations
}

/// Returns the last cell of a row of a table; none of its head, of the line below that, and of other text.
fn last_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.strip_suffix('|')?.rsplit('|').next()?.trim();
    (cell != HEAD && !cell.starts_with("---")).then_some(cell)
}

/// The head of the column.
const HEAD: &str = "held by";

/// Returns the names of all tests.
fn names(tree: &Tree) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    for (_, text) in tree.rust_files() {
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if let Some(signature) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                let name = signature.split(['(', '<']).next().filter(|_| is_test);
                tests.extend(name);
                is_test = false;
            } else if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            }
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    //! The rule on made-up files.

    use super::*;
    use crate::places;

    #[test]
    fn a_row_is_held_by_tests_that_are_there() {
        let table = "| says | held by |\n|---|---|\n| a | `it_holds`, `it_waits` |\ntext with `words`\n";
        let code = "#[test]\nfn it_holds() {}\n#[tokio::test(start_paused = true)]\nasync fn it_waits() {}\n";
        assert_eq!(unheld(&Tree::of(&[("p.md", table), ("a.rs", code)]), "p.md"), []);
    }

    #[test]
    fn a_test_that_is_not_there_and_a_row_without_one_are_found() {
        let table = "| says | held by |\n|---|---|\n| a | `it_holds` |\n| b | nothing |\n| c | `helper` |\n";
        let code = "#[test]\nfn it_held() {}\nfn helper() {}\n";
        let violations = unheld(&Tree::of(&[("p.md", table), ("a.rs", code)]), "p.md");
        assert_eq!(places(&violations), ["p.md:3", "p.md:4", "p.md:5"]);
    }
}
