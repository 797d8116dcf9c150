//! Just enough of the Redis protocol (RESP 2) to operate a server, one command at a time.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::Duration,
};

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that waits for each reply.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    bytes: Bytes,
}

/// How much a connection has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    /// To the server.
    pub(super) sent: u64,
    /// From the server.
    pub(super) received: u64,
}

impl Connection {
    /// Connects to a port of the loopback.
    pub(super) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), bytes: Bytes::default() })
    }

    /// Returns how much it has carried so far.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Says whether the server is ready and is the one that runs in the folder, not another one on the port.
    pub(super) fn is_ours(&mut self, folder: &Path) -> bool {
        let Ok(folder) = folder.canonicalize() else { return false };
        let is_folder = |reply: String| reply.lines().last().is_some_and(|line| Path::new(line) == folder);
        self.ask(&["AUTH", "operator", "secret"]).is_ok()
            && self.ask(&["PING"]).is_ok()
            && self.ask(&["CONFIG", "GET", "dir"]).is_ok_and(is_folder)
    }

    /// Sends a command and reads its reply as text.
    pub(super) fn ask<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<String> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            let argument = argument.as_ref();
            bytes.extend(format!("${}\r\n", argument.len()).bytes());
            bytes.extend(argument);
            bytes.extend(b"\r\n");
        }
        self.stream.get_mut().write_all(&bytes)?;
        self.bytes.sent += bytes.len() as u64;
        self.read()
    }

    fn read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.received += length as u64;
        let line = line.trim_end();
        let Some((kind, rest)) = line.split_at_checked(1) else { return Err(unreadable(line)) };
        match kind {
            "+" | ":" => Ok(rest.to_owned()),
            "-" => Err(io::Error::other(rest.to_owned())),
            "$" => self.read_text(rest),
            "*" => {
                let mut lines = String::new();
                for _ in 0..rest.parse().unwrap_or(0) {
                    let _ = writeln!(lines, "{}", self.read()?);
                }
                Ok(lines)
            }
            _ => Err(unreadable(line)),
        }
    }

    /// Reads a text of that length; one that is absent is as an empty one.
    fn read_text(&mut self, length: &str) -> io::Result<String> {
        let Ok(length) = length.parse::<usize>() else { return Ok(String::new()) };
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        self.bytes.received += bytes.len() as u64;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

fn unreadable(line: &str) -> io::Error {
    io::Error::other(format!("expected a reply, found {line:?}"))
}
