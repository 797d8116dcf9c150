//! The server that is measured: started for the run, or one that runs already.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rollcall_proto::{
    admin::v1::{CreateAppRequest, admin_service_client::AdminServiceClient},
    common::v1::Edition,
};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// A server that has not told its addresses after this has failed.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
pub(crate) const START_POLL: Duration = Duration::from_millis(20);
/// Lines of the log that an error shows.
const LOG_TAIL: usize = 20;

/// A server. One that was started for the run is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    pid: u32,
    addresses: Addresses,
    /// Keeps the process and its files alive.
    _started: Option<(Child, Folder)>,
}

/// Where a server listens, as it writes to its `--addresses-file`: `host:port` each.
#[derive(Debug, Deserialize)]
struct Addresses {
    client: String,
    admin: String,
}

impl Server {
    /// Starts a binary on free ports, on the named processors only if `cpus` is given (as `taskset -c` reads
    /// it), and waits until it listens.
    pub async fn start(binary: &Path, cpus: Option<&str>) -> anyhow::Result<Self> {
        ensure!(
            binary.is_file(),
            "{} is not there: build it with `cargo build --release --bin rollcall`, or name another with \
             --server-bin",
            binary.display()
        );
        // The server runs in another folder, from where a relative path would not lead here.
        let binary = binary.canonicalize()?;
        let folder = Folder::create()?;
        let addresses = folder.path.join("addresses.json");
        let log = folder.path.join("log.txt");
        let mut command = match cpus {
            Some(cpus) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cpus]).arg(&binary);
                command
            }
            None => Command::new(&binary),
        };
        command
            .args([
                "--listen=127.0.0.1:0",
                "--admin-listen=127.0.0.1:0",
                "--subscription-listen=127.0.0.1:0",
                "--notifier-listen=127.0.0.1:0",
            ])
            .arg("--addresses-file")
            .arg(&addresses)
            // The log alone: a file rollcall.toml of the caller's folder is not the server's.
            .current_dir(&folder.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            // An interrupt at the terminal is for the generator, which then ends the server.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id().context("the server ended at once")?;

        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(addresses) = read(&addresses) {
                return Ok(Self { pid, addresses, _started: Some((child, folder)) });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}; its log ends with\n{}", tail(&log));
            }
            ensure!(
                Instant::now() < deadline,
                "the server told no addresses; its log ends with\n{}",
                tail(&log)
            );
            sleep(START_POLL).await;
        }
    }

    /// Takes a server that runs already, by the file that it wrote its addresses to.
    pub fn running(addresses_file: &Path, pid: u32) -> anyhow::Result<Self> {
        let addresses = read(addresses_file).with_context(|| {
            let file = addresses_file.display();
            format!("{file} is not what rollcall writes to its --addresses-file")
        })?;
        Ok(Self { pid, addresses, _started: None })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the address that clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/connect", self.addresses.client)
    }

    /// Creates an app, PREMIUM with *status* on, and returns its token key.
    pub async fn create_app(&self, app_id: u32) -> anyhow::Result<String> {
        let endpoint = format!("http://{}", self.addresses.admin);
        let mut admin = AdminServiceClient::connect(endpoint).await.context("the admin service")?;
        let request = CreateAppRequest {
            app_id,
            edition: Edition::Premium.into(),
            status: true,
            ..CreateAppRequest::default()
        };
        let created = admin.create_app(request).await;
        let created = created
            .map_err(|status| anyhow::anyhow!("cannot create the app of --app-id: {}", status.message()))?;
        Ok(created.into_inner().token_key)
    }
}

/// Reads the addresses; `None` as long as they are not there as a whole.
fn read(file: &Path) -> Option<Addresses> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Returns the last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}

/// A folder of this run's own, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it, empty.
    pub(crate) fn create() -> anyhow::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (id, count) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("rollcall-bench-{id}-{count}"));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing but a log and some addresses stays behind if it cannot be removed.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_only_as_a_whole() {
        let folder = Folder::create().unwrap();
        let file = folder.path.join("addresses.json");
        assert!(read(&file).is_none());
        for part in ["", "{\"client\":\"127.0.0.1:1\""] {
            fs::write(&file, part).unwrap();
            assert!(read(&file).is_none());
        }
        fs::write(&file, r#"{"client":"127.0.0.1:1","admin":"127.0.0.1:2","presence":"x"}"#).unwrap();
        let server = Server::running(&file, 7).unwrap();
        assert_eq!((server.url().as_str(), server.pid()), ("ws://127.0.0.1:1/v1/connect", 7));
    }

    #[tokio::test]
    async fn a_binary_that_is_not_there_is_told_with_what_to_do() {
        let error = Server::start(Path::new("no-such-binary"), None).await.unwrap_err();
        assert!(error.to_string().contains("--server-bin"), "{error}");
    }
}
