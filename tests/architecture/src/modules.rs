//! Every Rust file is compiled: from the root of some package a chain of `mod` declarations reaches it.
//!
//! Files are found as the Rust reference says (`items/modules.html`), for declarations at the top of a file
//! and in inline modules. A declaration inside a macro or a function body is not seen; ours are never there.

use std::collections::BTreeSet;

use syn::{Expr, Item, ItemMod, Lit, Meta};

use crate::{Violation, tree::Tree};

/// Finds Rust files that no `mod` declaration reaches from one of the `roots`, and files that are not valid
/// Rust.
pub fn unreached(tree: &Tree, roots: &[String]) -> Vec<Violation> {
    let mut walk = Walk { tree, reached: BTreeSet::new(), violations: Vec::new() };
    for root in roots {
        walk.file(root, folder_of(root));
    }
    let Walk { reached, mut violations, .. } = walk;
    let missed = tree.rust_files().filter(|(path, _)| !reached.contains(*path));
    violations.extend(missed.map(|(path, _)| Violation::new(path, "no `mod` declaration reaches the file")));
    violations
}

struct Walk<'a> {
    tree: &'a Tree,
    reached: BTreeSet<String>,
    violations: Vec<Violation>,
}

impl Walk<'_> {
    /// Visits the file at `path`, whose child modules lie in the folder `children`; unless there is no such
    /// file, or it was visited before.
    fn file(&mut self, path: &str, children: &str) {
        let Some(text) = self.tree.text(path) else { return };
        if !self.reached.insert(path.to_owned()) {
            return;
        }
        match syn::parse_file(text) {
            Ok(file) => self.items(&file.items, folder_of(path), children),
            Err(error) => {
                self.violations.push(Violation::new(path, format!("it is not valid Rust: {error}")));
            }
        }
    }

    /// Visits items whose `#[path]` attributes start at `base` and whose child modules lie in `children`.
    fn items(&mut self, items: &[Item], base: &str, children: &str) {
        for item in items {
            if let Item::Mod(module) = item {
                self.module(module, base, children);
            }
        }
    }

    fn module(&mut self, module: &ItemMod, base: &str, children: &str) {
        let name = module.ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        let inner = join(children, name);
        match (&module.content, path_attribute(module)) {
            (Some((_, items)), _) => self.items(items, &inner, &inner),
            (None, Some(path)) => {
                let path = join(base, &path);
                self.file(&path, folder_of(&path));
            }
            (None, None) => self.file(&format!("{inner}.rs"), &inner),
        }
    }
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Joins two paths and resolves `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    //! The rule on made-up trees.

    use super::*;
    use crate::places;

    fn unreached_from(root: &str, files: &[(&str, &str)]) -> Vec<Violation> {
        unreached(&Tree::of(files), &[root.to_owned()])
    }

    #[test]
    fn a_file_without_a_declaration_is_found() {
        let found =
            unreached_from("src/lib.rs", &[("src/lib.rs", "mod a;"), ("src/a.rs", ""), ("src/b.rs", "")]);
        assert_eq!(places(&found), ["src/b.rs"]);
    }

    #[test]
    fn children_lie_in_the_folder_named_after_their_parent() {
        let files = [
            ("src/a.rs", "mod b;"),
            ("src/a/b.rs", "#[cfg(test)] mod tests;"),
            ("src/a/b/tests.rs", ""),
            ("src/b.rs", "// beside its parent instead of below it"),
            ("src/main.rs", "mod a;"),
        ];
        assert_eq!(places(&unreached_from("src/main.rs", &files)), ["src/b.rs"]);
    }

    #[test]
    fn inline_modules_are_folders() {
        let files = [("src/lib.rs", "mod a { mod b; }"), ("src/a/b.rs", ""), ("src/b.rs", "")];
        assert_eq!(places(&unreached_from("src/lib.rs", &files)), ["src/b.rs"]);
    }

    #[test]
    fn a_path_attribute_starts_at_the_folder_of_its_file() {
        let files = [
            ("src/a.rs", "#[path = \"../gen/x.rs\"] mod y;"),
            ("gen/x.rs", "mod z;"),
            ("gen/z.rs", ""),
            ("src/a/y.rs", ""),
            ("src/lib.rs", "mod a;"),
        ];
        assert_eq!(places(&unreached_from("src/lib.rs", &files)), ["src/a/y.rs"]);
    }

    #[test]
    fn a_declaration_in_a_comment_or_a_string_reaches_nothing() {
        let files = [("src/lib.rs", "// mod a;\nconst TEXT: &str = \"mod a;\";"), ("src/a.rs", "")];
        assert_eq!(places(&unreached_from("src/lib.rs", &files)), ["src/a.rs"]);
    }

    #[test]
    fn a_raw_identifier_names_the_plain_file() {
        let files = [("src/lib.rs", "mod r#match;"), ("src/match.rs", "")];
        assert_eq!(places(&unreached_from("src/lib.rs", &files)), [""; 0]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_found() {
        assert_eq!(places(&unreached_from("src/lib.rs", &[("src/lib.rs", "mod {")])), ["src/lib.rs"]);
    }
}
