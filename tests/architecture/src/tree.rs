//! The files of the tree: those that git tracks, and new ones that it would track.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// The text files of a tree by their path from its root; files that are not UTF-8 are not in it.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the tree under `root`, asking git which files belong to it.
    pub fn read(root: &Path) -> Self {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git is installed");
        assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
        let paths = String::from_utf8(listing.stdout).expect("paths are UTF-8");
        let mut files = BTreeMap::new();
        for path in paths.split_terminator('\0') {
            // A file that was deleted and is still in the index is no part of the tree.
            if let Ok(bytes) = fs::read(root.join(path))
                && let Ok(text) = String::from_utf8(bytes)
            {
                files.insert(path.to_owned(), text);
            }
        }
        Self { files }
    }

    /// Makes a tree of paths and their texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    /// Returns all files, path and text, in order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns the Rust files, path and text, in order of their paths.
    pub fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files_of(&["rs"])
    }

    /// Returns the files in any programming language, path and text, in order of their paths.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files_of(&["rs", "py", "ts", "tsx", "lua", "sh"])
    }

    fn files_of(&self, extensions: &'static [&str]) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| {
            let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        })
    }

    /// Returns the text of the file at `path`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    //! What belongs to a tree.

    use super::*;

    #[test]
    fn rust_files_are_told_by_their_extension() {
        let tree = Tree::of(&[("a/x.rs", ""), ("a/x.rs.txt", ""), ("rs", "")]);
        assert_eq!(tree.rust_files().map(|(path, _)| path).collect::<Vec<_>>(), ["a/x.rs"]);
    }

    #[test]
    fn this_file_is_in_the_tree_of_its_package() {
        let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(tree.text("src/tree.rs").is_some_and(|text| text.contains("fn rust_files")));
    }
}
