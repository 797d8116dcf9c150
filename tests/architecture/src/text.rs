//! What no text of the tree may say: where it lies on somebody's machine, and from which host packages come.
//! Both would be wrong for everyone else; cargo, pip and their like know their hosts.

use crate::{Violation, tree::Tree};

/// Starts of absolute paths that name one machine's folders. Put together here, so that this file does not
/// name them.
pub const MACHINE_PATHS: &[&str] =
    &[concat!("/", "home/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "work/")];

/// Hosts of package registries. Put together here, so that this file does not name them.
pub const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("deb.debian", ".org"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("repo.maven.apache", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("sum.golang", ".org"),
];

/// Finds lines that name a machine's path or a registry's host. `Cargo.lock` is cargo's own and not looked
/// at.
pub fn foreign_places(tree: &Tree) -> Vec<Violation> {
    let files = tree.files().filter(|(path, _)| *path != "Cargo.lock");
    let lines = files
        .flat_map(|(path, text)| (1..).zip(text.lines()).map(move |(number, line)| (path, number, line)));
    lines
        .filter_map(|(path, number, line)| {
            let machine = MACHINE_PATHS.iter().find(|start| holds_path(line, start));
            let host = REGISTRY_HOSTS.iter().find(|host| line.contains(**host));
            let name = machine.or(host)?;
            Some(Violation::new(format!("{path}:{number}"), format!("it names {name}")))
        })
        .collect()
}

/// True when `line` holds an absolute path that begins with `start`, rather than a longer path with it in the
/// middle.
fn holds_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-~*/})]>".contains(before))
    })
}

#[cfg(test)]
mod tests {
    //! The rule on made-up files.

    use super::*;
    use crate::places;

    #[test]
    fn a_path_of_a_machine_is_found_with_its_line() {
        for path in MACHINE_PATHS {
            let text = format!("first\nsource {path}rollcall/env\n");
            let tree = Tree::of(&[("docs/a.md", &text), ("run", &format!("cd \"{path}main\""))]);
            assert_eq!(places(&foreign_places(&tree)), ["docs/a.md:2", "run:1"]);
        }
    }

    #[test]
    fn the_same_folder_inside_another_path_is_not_a_breach() {
        for path in MACHINE_PATHS {
            let text = format!("https://example.com{path}x ${{ROOT}}{path}x .{path}x ../a{path}x");
            assert_eq!(foreign_places(&Tree::of(&[("docs/a.md", &text)])), []);
        }
    }

    #[test]
    fn a_registry_host_is_found_but_not_in_the_lock_file() {
        for host in REGISTRY_HOSTS {
            let text = format!("index = \"https://index.{host}/\"");
            let tree = Tree::of(&[("Cargo.lock", &text), ("deny.toml", &text)]);
            assert_eq!(places(&foreign_places(&tree)), ["deny.toml:1"]);
        }
    }
}
