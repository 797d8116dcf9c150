//! A TCP proxy between clients and gateways: it spreads connections over several, loses them when a test wants it
//! to, and knows when a client last said something.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to one address, or to those of several in turn. Dropping it ends all of them.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    line: watch::Sender<Line>,
    last_said: LastSaid,
    accepting: JoinHandle<()>,
}

/// When bytes of a client were last forwarded.
type LastSaid = Arc<Mutex<Option<Instant>>>;

#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// Counts the cuts; a connection older than the last one is gone.
    cuts: u32,
    /// New connections are closed at once.
    down: bool,
    /// Nothing is forwarded, though connections stay open.
    stalled: bool,
}

impl Proxy {
    /// Starts one in front of `target`, given as `host:port`.
    pub async fn start(target: &str) -> Self {
        Self::over(&[target.to_owned()]).await
    }

    /// Starts one that gives each connection to the next of the `targets` that takes it.
    pub async fn over(targets: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address").to_string();
        let line = watch::Sender::new(Line::default());
        let last_said = LastSaid::default();
        let accepting = accept(listener, targets.to_vec(), line.clone(), Arc::clone(&last_said));
        Self { address, line, last_said, accepting: tokio::spawn(accepting) }
    }

    /// Returns when a client last said something. The gateway heard it then or later.
    pub fn last_said(&self) -> Instant {
        self.last_said.lock().expect("a client has said something")
    }

    /// Returns the address of the gateway's WebSocket behind the proxy.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/connect", self.address)
    }

    /// Loses all connections. New ones come through.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }

    /// Loses all connections, and lets no new one through until [`up`](Self::up).
    pub fn down(&self) {
        self.line.send_modify(|line| {
            line.cuts += 1;
            line.down = true;
        });
    }

    /// Lets connections through again.
    pub fn up(&self) {
        self.line.send_modify(|line| line.down = false);
    }

    /// Holds back all bytes of both directions, or lets them go again. Connections stay open.
    pub fn stall(&self, stalled: bool) {
        self.line.send_modify(|line| line.stalled = stalled);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    mut targets: Vec<String>,
    line: watch::Sender<Line>,
    last_said: LastSaid,
) {
    while let Ok((client, _)) = listener.accept().await {
        let now = *line.borrow();
        if now.down {
            continue;
        }
        let mut server = None;
        for _ in 0..targets.len() {
            targets.rotate_left(1);
            server = TcpStream::connect(&targets[0]).await.ok();
            if server.is_some() {
                break;
            }
        }
        let Some(server) = server else { continue };
        tokio::spawn(forward(client, server, now.cuts, line.subscribe(), Arc::clone(&last_said)));
    }
}

async fn forward(
    client: TcpStream,
    server: TcpStream,
    cuts: u32,
    mut line: watch::Receiver<Line>,
    last_said: LastSaid,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (line.clone(), line.clone());
    // Whatever ends first ends the connection: both sockets are dropped.
    tokio::select! {
        () = pump(from_client, to_server, up, || *last_said.lock() = Some(Instant::now())) => {}
        () = pump(from_server, to_client, down, || ()) => {}
        _ = line.wait_for(|line| line.cuts != cuts) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    forwarding: impl Fn(),
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let flows = line.wait_for(|line| !line.stalled).await.is_ok();
        forwarding();
        if !flows || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
