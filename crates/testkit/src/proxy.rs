//! A TCP proxy that stands between two who speak to each other, and does to them what networks do.
//!
//! It stands on any link that is given by address: between client and gateway, between services, before a store or
//! a bus. Until told otherwise it is invisible: bytes pass in order, a FIN as a FIN and a reset as a reset. A [`Fault`]
//! is set on a [`Direction`] and holds for connections that are open and for those to come, until another is set;
//! [`cut`](Proxy::cut), [`reset`](Proxy::reset) and [`vanish`](Proxy::vanish) are done to the connections of that
//! moment. Whatever is set is in force for all bytes that are sent afterwards. Kernels acknowledge as always: what
//! only they notice, as a peer whose machine is gone, is not played.
//!
//! Invariant: of each direction of a connection no more than 2 MiB are kept; then the sender is not read until there
//! is room again. Start with [`Proxy::start`]; what is done to bytes stands in `proxy/pump.rs`.

mod pump;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, TcpListener as StdListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use self::pump::View;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From those who connect to the target.
    Up,
    /// From the target to those who connect.
    Down,
    /// Both ways.
    Both,
}

/// What is done to bytes, and to the FIN or reset behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They pass.
    Nothing,
    /// They are kept, and pass in order when this ends.
    Hold,
    /// Each passes so much later than it came; order and throughput stay.
    Delay(Duration),
    /// They are gone for good, as is what was kept, and a stream that lost some makes no sense afterwards. The end
    /// of a connection is heard when this ends, as from a host that is asked then.
    Drop,
    /// So many bytes pass, at least one, then none for so long.
    Drip(usize, Duration),
}

/// Forwards connections to one address, or to those of several in turn. Dropping it ends all of them.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    targets: Arc<[String]>,
    line: watch::Sender<Line>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

/// What is done to connections. They are numbered from 0 in the order in which they came.
#[derive(Debug, Clone, Copy)]
struct Line {
    up: Fault,
    down: Fault,
    /// New connections are reset.
    is_down: bool,
    /// Connections below this number have ended, in this way.
    ended: (usize, End),
    /// Connections below this number are half-open.
    vanished: usize,
}

/// How connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
}

/// What a proxy has seen.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    last_said: Mutex<Option<Instant>>,
}

impl Proxy {
    /// Starts one in front of `target`, given as `host:port`. It runs on the runtime of the caller.
    pub fn start(target: &str) -> Self {
        Self::over(&[target.to_owned()])
    }

    /// Starts one that gives each connection to the next of the `targets` that takes it.
    pub fn over(targets: &[String]) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be polled");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let listener = TcpListener::from_std(listener).expect("a runtime runs the test");
        let (up, down) = (Fault::Nothing, Fault::Nothing);
        let line = watch::Sender::new(Line { up, down, is_down: false, ended: (0, End::Fin), vanished: 0 });
        let (targets, counts): (Arc<[String]>, _) = (targets.into(), Arc::new(Counts::default()));
        let accepting = accept(listener, Arc::clone(&targets), line.subscribe(), Arc::clone(&counts));
        Self { address, targets, line, counts, accepting: tokio::spawn(accepting) }
    }

    /// Returns where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the URL with its own address in the place of a target's.
    pub fn through(&self, url: &str) -> String {
        let target = self.targets.iter().find(|target| url.contains(*target));
        let target = target.unwrap_or_else(|| panic!("expected one of {:?} in {url}", self.targets));
        url.replace(target, &self.address)
    }

    /// Does this to all bytes of a direction from now on.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.line.send_modify(|line| {
            if direction != Direction::Down {
                line.up = fault;
            }
            if direction != Direction::Up {
                line.down = fault;
            }
        });
    }

    /// Loses all connections: both ends see the other's FIN. New ones come through.
    pub fn cut(&self) {
        self.end(End::Fin, false);
    }

    /// Loses all connections: both ends see a reset. New ones come through.
    pub fn reset(&self) {
        self.end(End::Reset, false);
    }

    /// Makes all connections half-open for ever: they stay open, but neither end hears anything of the other, not
    /// even its end. New ones come through.
    pub fn vanish(&self) {
        // Inside, so that no connection is numbered meanwhile that has not begun.
        self.line.send_modify(|line| line.vanished = self.connections());
    }

    /// Loses all connections, and resets each new one until [`up`](Self::up).
    pub fn down(&self) {
        self.end(End::Fin, true);
    }

    /// Lets connections through again.
    pub fn up(&self) {
        self.line.send_modify(|line| line.is_down = false);
    }

    /// Returns how many connections have come so far, with those that were not let through.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Returns when something was last passed on to the target, which heard it then or later.
    pub fn last_said(&self) -> Instant {
        self.counts.last_said.lock().expect("something was said")
    }

    fn end(&self, end: End, is_down: bool) {
        self.line.send_modify(|line| {
            line.ended = (self.connections(), end);
            line.is_down |= is_down;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Connections end when nobody can change the line any more.
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    targets: Arc<[String]>,
    line: watch::Receiver<Line>,
    counts: Arc<Counts>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = counts.connections.fetch_add(1, Ordering::SeqCst);
        let view = View::new(line.clone(), number);
        tokio::spawn(serve(client, Arc::clone(&targets), view, Arc::clone(&counts)));
    }
}

/// Serves one connection to its end.
async fn serve(mut client: TcpStream, targets: Arc<[String]>, mut view: View, counts: Arc<Counts>) {
    let server = if view.is_down() { None } else { dial(&targets, view.number()).await };
    let Some(mut server) = server else {
        // As if nobody listened.
        return set_reset(&client);
    };
    for socket in [&client, &server] {
        // It fails only for a connection that is gone.
        let _ = socket.set_nodelay(true);
    }
    let note = || *counts.last_said.lock() = Some(Instant::now());
    if pump::both(&mut client, &mut server, &mut view, note).await == End::Reset {
        set_reset(&client);
        set_reset(&server);
    }
}

/// Connects to the target whose turn it is, or to one after it.
async fn dial(targets: &[String], number: usize) -> Option<TcpStream> {
    for offset in 0..targets.len() {
        let target = &targets[(number + offset) % targets.len()];
        if let Ok(server) = TcpStream::connect(target).await {
            return Some(server);
        }
    }
    None
}

/// Has the end of the connection be a reset.
fn set_reset(socket: &TcpStream) {
    // It fails only for a connection that is gone.
    let _ = socket.set_zero_linger();
}
