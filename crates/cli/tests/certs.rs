//! `rollcallctl certs` as an operator uses it: what it writes, for whom, and what it leaves alone.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise, its helpers too")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

const ROLES: [&str; 6] = ["gateway", "presence", "subscription", "notifier", "backend", "operator"];

/// A folder of one test that holds the folder of certificates, which is not there at first.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("certs-{test}-{}", std::process::id()));
        // What an earlier run with this process id left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn certs(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcallctl"));
        command.current_dir(&self.0).args(["certs", "made"]).args(arguments).output().unwrap()
    }

    /// Makes what the arguments say, and returns the lines of JSON.
    fn made(&self, arguments: &[&str]) -> Vec<Value> {
        let ended = self.certs(&[arguments, &["--output", "json"]].concat());
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        text(&ended.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns what was wrong, and the exit code.
    fn refused(&self, arguments: &[&str]) -> (String, i32) {
        let ended = self.certs(arguments);
        assert!(!ended.status.success());
        assert_eq!(text(&ended.stdout), "");
        (text(&ended.stderr), ended.status.code().unwrap())
    }

    /// Reads all files, by name.
    fn files(&self) -> BTreeMap<String, String> {
        let folder = fs::read_dir(self.0.join("made")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        let read = |path: PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        };
        paths.map(read).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_authority_and_a_certificate_for_each_role_are_written_with_keys_for_their_owner_alone() {
    let folder = Folder::new("all");
    let lines = folder.made(&[]);
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, [["ca"].as_slice(), &ROLES].concat());
    assert!(lines.iter().all(|line| line["made"] == true));
    let files = folder.files();
    assert_eq!(files.len(), 14);
    for (name, held) in &files {
        let rights = fs::metadata(folder.0.join("made").join(name)).unwrap().permissions().mode() & 0o777;
        let is_key = Path::new(name).extension().is_some_and(|kind| kind == "key");
        assert_eq!(held.contains("PRIVATE KEY"), is_key, "{name}");
        assert_eq!(held.contains("BEGIN CERTIFICATE"), !is_key, "{name}");
        assert!(!is_key || rights == 0o600, "{name} {rights:o}");
    }
}

#[test]
fn nothing_is_replaced_unless_told_to_be_and_the_authority_never() {
    let folder = Folder::new("force");
    let table = folder.certs(&["gateway", "operator"]);
    assert!(text(&table.stdout).starts_with("NAME"), "{}", text(&table.stdout));
    let before = folder.files();
    assert_eq!(before.len(), 6);

    let (said, code) = folder.refused(&[]);
    assert_eq!(code, 2);
    assert!(said.contains("made/gateway.pem, made/gateway.key") && said.contains("--force"), "{said}");
    assert_eq!(folder.files(), before);

    folder.made(&["presence"]);
    let lines = folder.made(&["gateway", "--force", "--days", "30"]);
    assert_eq!((&lines[0]["name"], &lines[0]["made"]), (&"ca".into(), &false.into()));
    let after = folder.files();
    for (name, held) in &before {
        assert_eq!(after[name] == *held, !name.starts_with("gateway"), "{name}");
    }
    assert_eq!(after.len(), 8);
}

#[test]
fn a_certificate_ends_with_its_authority_at_the_latest() {
    let folder = Folder::new("ends");
    let lines = folder.made(&["--ca-days", "7", "backend"]);
    assert_eq!(lines[0]["valid_until"], lines[1]["valid_until"]);
    let longer = folder.made(&["operator", "--days", "3"]);
    assert!(longer[1]["valid_until"].as_str() < lines[0]["valid_until"].as_str());
}

#[test]
fn what_cannot_sign_and_names_that_would_be_roles_are_refused_and_no_secret_is_told() {
    let folder = Folder::new("refused");
    for name in ["presence.rollcall.internal", "*.Rollcall.internal.", "a b", ""] {
        let (said, code) = folder.refused(&["presence", "--name", name]);
        assert_eq!(code, 2, "{said}");
    }
    assert!(folder.refused(&["king"]).0.contains("role \"king\" is not known"));

    folder.made(&["backend"]);
    let made = folder.0.join("made");
    fs::write(made.join("ca.key"), "secret words").unwrap();
    let (said, code) = folder.refused(&["operator"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("made/ca.pem: the key beside it cannot be read") && !said.contains("secret"),
        "{said}"
    );
    fs::remove_file(made.join("ca.key")).unwrap();
    assert!(folder.refused(&["operator"]).0.contains("made/ca.key: it is missing"));
    assert!(!made.join("operator.pem").exists());
}
