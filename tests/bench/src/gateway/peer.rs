//! Centrifugo, started as whoever has many idle clients would tune it.
//!
//! What is equal to Rollcall: one process that holds the connections; clients with tokens, over WebSocket and protobuf;
//! a subscription shows the last status at once; a change is a client's call; heartbeats as far apart. What is not: the
//! status is kept in the memory of that process alone and stored nowhere, nobody derives it from sessions, and nothing
//! is told of who goes.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::protocol::{NAMESPACE, Protocol, Target};
use crate::server::{Folder, START_LIMIT, START_POLL, tail};

/// The key that tokens are signed with.
const TOKEN_KEY: &str = "bench-bench-bench-bench-bench-bench";
/// Bytes of a connection's read buffer; messages of clients are shorter, save for one.
const READ_BUFFER_BYTES: usize = 512;

/// A running Centrifugo; it ends with this.
pub(super) struct Centrifugo {
    pub(super) pid: u32,
    pub(super) target: Target,
    _child: Child,
    _folder: Folder,
}

impl Centrifugo {
    /// Starts it on a free port, and waits until it accepts connections. It sends heartbeats so far apart, which is 2 s or
    /// more.
    pub(super) async fn start(binary: &Path, heartbeat: Duration) -> anyhow::Result<Self> {
        // It runs in another folder, from where a relative path would not lead here.
        let binary = binary.canonicalize()?;
        let folder = Folder::create()?;
        // Whoever takes the port in between makes the start fail, and that is told.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (config, log) = (folder.path().join("config.json"), folder.path().join("log.txt"));
        fs::write(&config, configuration(port, heartbeat).to_string())?;
        let mut command = Command::new(binary);
        command
            .arg("--config")
            .arg(config)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id().context("the peer ended at once")?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the peer ended with {status}; its log ends with\n{}", tail(&log));
            }
            ensure!(Instant::now() < deadline, "the peer does not listen; its log ends with\n{}", tail(&log));
            sleep(START_POLL).await;
        }
        let url = format!("ws://127.0.0.1:{port}/connection/websocket");
        let target = Target { url, token_key: TOKEN_KEY.to_owned(), protocol: Protocol::Centrifugo };
        Ok(Self { pid, target, _child: child, _folder: folder })
    }
}

fn configuration(port: u16, heartbeat: Duration) -> serde_json::Value {
    let heartbeat = heartbeat.as_secs();
    json!({
        "http_server": { "address": "127.0.0.1", "port": port.to_string() },
        "log": { "level": "warn" },
        "websocket": { "read_buffer_size": READ_BUFFER_BYTES, "use_write_buffer_pool": true },
        "client": {
            "token": { "hmac_secret_key": TOKEN_KEY },
            "ping_interval": format!("{heartbeat}s"),
            "pong_timeout": format!("{}s", (heartbeat - 1).min(8)),
            // All connect before the first logs in.
            "stale_close_delay": "5m",
            // It would compare each subscription with what is kept every 40 s, to find what a broker between servers lost.
            // There is none, and a comparison in the middle of a delivery ends subscriptions that lost nothing.
            "channel_position_check_delay": "24h",
        },
        "channel": { "namespaces": [{
            "name": NAMESPACE,
            "allow_subscribe_for_client": true,
            "allow_publish_for_client": true,
            // The last publication of a channel is kept, and shown to who subscribes.
            "history_size": 1,
            "history_ttl": "24h",
            "force_recovery": true,
            "force_recovery_mode": "cache",
            "auto_cache_recover": true,
        }] },
    })
}
