//! What a file may look like from outside: its length, and of a Rust file its name and its first line.

use crate::{Violation, tree::Tree};

/// The most lines that a file in any programming language may have, tests included; a file is meant to stay below 400.
pub const MAX_LINES: usize = 500;

/// The most lines that the `main.rs` of a service may have: it only calls its library.
pub const MAX_MAIN_LINES: usize = 40;

/// Finds files in any programming language of more than [`MAX_LINES`] lines.
pub fn too_long(tree: &Tree) -> Vec<Violation> {
    longer_than(tree, MAX_LINES, |_| true)
}

/// Finds `main.rs` files of services of more than [`MAX_MAIN_LINES`] lines.
pub fn long_mains(tree: &Tree) -> Vec<Violation> {
    longer_than(tree, MAX_MAIN_LINES, |path| path.starts_with("services/") && path.ends_with("/src/main.rs"))
}

/// Finds files named `mod.rs`: a module lives in `name.rs`, its children in `name/`.
pub fn mod_rs(tree: &Tree) -> Vec<Violation> {
    tree.rust_files()
        .filter(|(path, _)| path.rsplit('/').next() == Some("mod.rs"))
        .map(|(path, _)| Violation::new(path, "a module lives in `name.rs`, its children in `name/`"))
        .collect()
}

/// Finds Rust files whose first line is not a `//!` comment that says what the file is for.
pub fn undocumented(tree: &Tree) -> Vec<Violation> {
    let says_something = |line: &str| line.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty());
    tree.rust_files()
        .filter(|(_, text)| !text.lines().next().is_some_and(says_something))
        .map(|(path, _)| {
            Violation::new(path, "the first line must be a `//!` comment that says what the file is for")
        })
        .collect()
}

fn longer_than(tree: &Tree, limit: usize, applies: impl Fn(&str) -> bool) -> Vec<Violation> {
    tree.programs()
        .filter(|(path, _)| applies(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > limit)
        .map(|(path, lines)| {
            Violation::new(path, format!("it has {lines} lines, at most {limit} are allowed"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Each rule on a made-up tree.

    use super::*;
    use crate::places;

    #[test]
    fn a_file_of_501_lines_is_found_and_one_of_500_is_not() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", &"\n".repeat(500)),
            ("crates/a/src/long.rs", &"\n".repeat(501)),
            ("docs/long.md", &"\n".repeat(501)),
            ("scripts/long.py", &"\n".repeat(501)),
        ]);
        assert_eq!(places(&too_long(&tree)), ["crates/a/src/long.rs", "scripts/long.py"]);
    }

    #[test]
    fn a_main_of_41_lines_is_found_in_services_alone() {
        let tree = Tree::of(&[
            ("crates/cli/src/main.rs", &"\n".repeat(41)),
            ("services/a/src/main.rs", &"\n".repeat(41)),
            ("services/b/src/main.rs", &"\n".repeat(40)),
        ]);
        assert_eq!(places(&long_mains(&tree)), ["services/a/src/main.rs"]);
    }

    #[test]
    fn a_mod_rs_is_found() {
        let tree = Tree::of(&[("a/src/user/mod.rs", ""), ("a/src/user.rs", ""), ("a/src/admod.rs", "")]);
        assert_eq!(places(&mod_rs(&tree)), ["a/src/user/mod.rs"]);
    }

    #[test]
    fn a_file_that_does_not_start_by_saying_what_it_is_for_is_found() {
        let tree = Tree::of(&[
            ("code.rs", "use std::fmt;\n//! Late."),
            ("documented.rs", "//! Says what it is for.\n"),
            ("empty.rs", ""),
            ("outer.rs", "/// Says what the next item is for."),
            ("void.rs", "//!  \n//! Late."),
        ]);
        assert_eq!(places(&undocumented(&tree)), ["code.rs", "empty.rs", "outer.rs", "void.rs"]);
    }
}
