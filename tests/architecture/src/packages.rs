//! The packages of the workspace, as cargo itself describes them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// A package of the workspace.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder from the root of the tree.
    pub folder: String,
    /// The files at which its compilations start (library, binaries, tests, build script), from the root of
    /// the tree.
    pub roots: Vec<String>,
    /// What it names as dependencies.
    pub dependencies: Vec<Dependency>,
}

/// A direct dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The name of the package that is depended on, also where it is renamed.
    pub name: String,
    /// True for a `[dev-dependencies]` entry; build dependencies count as normal ones.
    pub dev: bool,
}

impl Package {
    /// Makes a package without roots.
    pub fn new(name: &str, folder: &str, needs: &[&str], dev_needs: &[&str]) -> Self {
        let dependency = |name: &&str, dev| Dependency { name: (*name).to_owned(), dev };
        let normal = needs.iter().map(|name| dependency(name, false));
        let dev = dev_needs.iter().map(|name| dependency(name, true));
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            roots: Vec::new(),
            dependencies: normal.chain(dev).collect(),
        }
    }
}

/// Asks cargo for the packages of the workspace at `root`.
pub fn read(root: &Path) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    parse(&output.stdout)
}

/// Reads the answer of `cargo metadata --no-deps`.
pub fn parse(json: &[u8]) -> Vec<Package> {
    let metadata: Metadata = serde_json::from_slice(json).expect("cargo metadata is in format version 1");
    let root = &metadata.workspace_root;
    let relative = |path: &Path| -> String {
        path.strip_prefix(root).expect("a package lies in its workspace").to_str().expect("UTF-8").to_owned()
    };
    let packages = metadata.packages.iter();
    packages
        .map(|package| Package {
            name: package.name.clone(),
            folder: relative(package.manifest_path.parent().expect("a manifest lies in a folder")),
            roots: package.targets.iter().map(|target| relative(&target.src_path)).collect(),
            dependencies: package.dependencies.iter().map(RawDependency::dependency).collect(),
        })
        .collect()
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<RawDependency>,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawDependency {
    name: String,
    /// Absent for a normal dependency.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct RawTarget {
    src_path: PathBuf,
}

impl RawDependency {
    fn dependency(&self) -> Dependency {
        Dependency { name: self.name.clone(), dev: self.kind.as_deref() == Some("dev") }
    }
}

#[cfg(test)]
mod tests {
    //! What is read from cargo's answer.

    use super::*;

    #[test]
    fn kinds_folders_and_roots_are_read_from_the_metadata() {
        let json = br#"{"workspace_root": "/w", "packages": [{
            "name": "a",
            "manifest_path": "/w/crates/a/Cargo.toml",
            "targets": [{"src_path": "/w/crates/a/src/lib.rs"}],
            "dependencies": [
                {"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}
            ]
        }]}"#;

        let packages = parse(json);

        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].folder, "crates/a");
        assert_eq!(packages[0].roots, ["crates/a/src/lib.rs"]);
        let dev: Vec<_> =
            packages[0].dependencies.iter().map(|found| (found.name.as_str(), found.dev)).collect();
        assert_eq!(dev, [("b", false), ("c", true), ("d", false)]);
    }
}
