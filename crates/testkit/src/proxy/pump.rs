//! What is done to the bytes of one connection.
//!
//! A direction is a reader, a bounded queue, and a writer. The reader notes when a chunk came. The writer looks at
//! the fault in force when it is about to write, and again whenever that changes. The end of a stream stands in the
//! queue like a chunk, so that faults do to it what they do to bytes.

use std::{
    future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{Direction, End, Fault, Line};

/// How many chunks of a direction are kept.
pub(super) const CHUNKS: usize = 256;

/// The size of the largest chunk. With [`CHUNKS`] it makes 2 MiB.
const CHUNK: usize = 8 * 1024;

/// What a connection sees of the line.
#[derive(Clone)]
pub(super) struct View {
    line: watch::Receiver<Line>,
    number: usize,
}

/// What is written: bytes, or the end behind them.
enum Piece {
    Bytes(Vec<u8>),
    End(End),
}

/// A direction of a connection, and what it must know of the other.
struct Way<'a> {
    direction: Direction,
    /// Set when a write to the end that this one reads from has failed: the end was reset, and its socket may have
    /// told so only there.
    source_is_broken: &'a AtomicBool,
    /// The same for the end that this one writes to.
    sink_is_broken: &'a AtomicBool,
}

impl View {
    pub(super) fn new(line: watch::Receiver<Line>, number: usize) -> Self {
        Self { line, number }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Tells whether new connections are not let through.
    pub(super) fn is_down(&self) -> bool {
        self.line.borrow().is_down
    }

    /// Returns what is done to bytes now.
    fn fault(&mut self, direction: Direction) -> Fault {
        let line = self.line.borrow_and_update();
        match direction {
            _ if self.number < line.vanished => Fault::Drop,
            Direction::Down => line.down,
            Direction::Up | Direction::Both => line.up,
        }
    }

    /// Waits until something else may be done to bytes.
    async fn changed(&mut self) {
        if self.line.changed().await.is_err() {
            // The proxy is gone, and with it the connection: whoever waits for its end is told.
            future::pending::<()>().await;
        }
    }

    /// Waits until the connection must end.
    async fn ended(&mut self) -> End {
        let number = self.number;
        let line = self.line.wait_for(|line| number < line.ended.0).await;
        line.map_or(End::Fin, |line| line.ended.1)
    }
}

/// Passes bytes both ways until the connection ends, and returns how it must be closed. `note` is called before
/// anything is passed up.
pub(super) async fn both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    view: &mut View,
    note: impl Fn() + Sync,
) -> End {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (client_is_broken, server_is_broken) = (AtomicBool::new(false), AtomicBool::new(false));
    let (source_is_broken, sink_is_broken) = (&client_is_broken, &server_is_broken);
    let up = Way { direction: Direction::Up, source_is_broken, sink_is_broken };
    let (source_is_broken, sink_is_broken) = (&server_is_broken, &client_is_broken);
    let down = Way { direction: Direction::Down, source_is_broken, sink_is_broken };
    let up = up.pump(from_client, to_server, view.clone(), note);
    let down = down.pump(from_server, to_client, view.clone(), || ());
    tokio::select! {
        // Decided first, so that a proxy that goes ends connections as `cut` does.
        biased;
        end = view.ended() => end,
        both = async { tokio::try_join!(up, down) } => both.map_or(End::Reset, |_| End::Fin),
    }
}

impl Way<'_> {
    /// Passes bytes one way until the FIN is passed; fails when a reset is.
    async fn pump(
        self,
        from: ReadHalf<'_>,
        to: WriteHalf<'_>,
        view: View,
        note: impl Fn(),
    ) -> Result<(), End> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let ((), passed) = tokio::join!(self.read(from, sender), self.write(to, receiver, view, note));
        passed
    }

    async fn read(&self, mut from: ReadHalf<'_>, queue: mpsc::Sender<(Instant, Piece)>) {
        let mut buffer = vec![0; CHUNK];
        loop {
            let piece = match from.read(&mut buffer).await {
                Ok(0) if !self.source_is_broken.load(Ordering::SeqCst) => Piece::End(End::Fin),
                Ok(0) | Err(_) => Piece::End(End::Reset),
                Ok(length) => Piece::Bytes(buffer[..length].to_vec()),
            };
            let is_end = matches!(piece, Piece::End(_));
            if queue.send((Instant::now(), piece)).await.is_err() || is_end {
                return;
            }
        }
    }

    async fn write(
        &self,
        mut to: WriteHalf<'_>,
        mut queue: mpsc::Receiver<(Instant, Piece)>,
        mut view: View,
        note: impl Fn(),
    ) -> Result<(), End> {
        while let Some((came, piece)) = queue.recv().await {
            match piece {
                Piece::Bytes(bytes) => self.pass(&mut to, came, &bytes, &mut view, &note).await,
                Piece::End(end) => {
                    self.await_end(came, &mut view).await;
                    if end == End::Reset {
                        return Err(end);
                    }
                    // It fails when the other end is gone, which the other way tells.
                    let _ = to.shutdown().await;
                }
            }
        }
        Ok(())
    }

    /// Passes a chunk, in whatever way is in force.
    async fn pass(
        &self,
        to: &mut WriteHalf<'_>,
        came: Instant,
        mut bytes: &[u8],
        view: &mut View,
        note: &impl Fn(),
    ) {
        while !bytes.is_empty() {
            let (length, pause) = match view.fault(self.direction) {
                Fault::Hold => {
                    view.changed().await;
                    continue;
                }
                Fault::Delay(delay) if came.elapsed() < delay => {
                    wait(came + delay, view).await;
                    continue;
                }
                Fault::Nothing | Fault::Delay(_) => (bytes.len(), Duration::ZERO),
                Fault::Drop => return,
                Fault::Drip(length, pause) => (length.clamp(1, bytes.len()), pause),
            };
            let (now, rest) = bytes.split_at(length);
            note();
            if to.write_all(now).await.is_err() {
                // The end is gone; what it is sent vanishes until the other way has told so.
                self.sink_is_broken.store(true, Ordering::SeqCst);
                return;
            }
            bytes = rest;
            if !pause.is_zero() {
                wait(Instant::now() + pause, view).await;
            }
        }
    }

    /// Waits until the end of the stream may be heard.
    async fn await_end(&self, came: Instant, view: &mut View) {
        loop {
            match view.fault(self.direction) {
                Fault::Hold | Fault::Drop => view.changed().await,
                Fault::Delay(delay) if came.elapsed() < delay => wait(came + delay, view).await,
                Fault::Nothing | Fault::Delay(_) | Fault::Drip(..) => return,
            }
        }
    }
}

/// Waits until a time, or until something else may be done to bytes.
async fn wait(until: Instant, view: &mut View) {
    tokio::select! {
        () = sleep_until(until) => {}
        () = view.changed() => {}
    }
}
