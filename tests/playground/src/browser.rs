//! A headless Chromium that lives no longer than its test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rollcall_harness::{Process, eventually};

use crate::devtools::DevTools;

/// Which browser is run; for trying another one than that of `scripts/setup-chromium`.
const VARIABLE: &str = "ROLLCALL_CHROMIUM";
/// Where `scripts/setup-chromium` puts it, from the root of the tree.
const INSTALLED: &str = ".tools/chromium/chromium";

/// How it is run. It has no sandbox, for that may need rights that a test has not; it opens pages of the test alone, and
/// asks nobody for updates. Some containers have little shared memory. Of its log only what ends it is of interest.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--log-level=3",
    "--remote-debugging-port=0",
];

/// Starts a browser whose files are in `folder`, and opens an empty page in it. It ends with the process.
pub(crate) async fn start(folder: &Path) -> (Process, DevTools) {
    let profile = folder.join("browser");
    fs::create_dir_all(&profile).expect("a folder can be made");
    let mut command = Command::new(program());
    // Other files that it keeps go below the home.
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).env("HOME", &profile);
    let mut process = Process::spawn("chromium", command, folder);
    let file = profile.join("DevToolsActivePort");
    let mut endpoint = None;
    eventually("the browser to listen", async || {
        if let Some(status) = process.ended() {
            panic!("the browser ended before it listened: {status}");
        }
        // A port, and the path of the endpoint, a line each; while the file is being written it is not whole.
        let text = fs::read_to_string(&file).unwrap_or_default();
        endpoint = text.split_once('\n').map(|(port, path)| (port.to_owned(), path.trim().to_owned()));
        endpoint.as_ref().is_some_and(|(_, path)| !path.is_empty())
    })
    .await;
    let (port, path) = endpoint.expect("just read");
    let devtools = DevTools::connect(&format!("127.0.0.1:{port}"), &path).await;
    (process, devtools)
}

/// Finds the browser; panics with what to do where there is none.
fn program() -> PathBuf {
    if let Some(path) = env::var_os(VARIABLE) {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("it lies two folders deep");
    let path = root.join(INSTALLED);
    assert!(
        path.exists(),
        "there is no browser at {}: `scripts/setup-chromium` finds or installs one; {VARIABLE} may name another",
        path.display()
    );
    path
}
