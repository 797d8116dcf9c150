//! What a server has carried, as its monitoring endpoint tells.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

use super::NatsServer;
use crate::server::PATIENCE;

/// What a server has carried since it started. A message counts once as it comes in, and once for each subscriber as
/// it goes out; what JetStream answers goes out too. Bytes are those of headers and payloads: subjects and the
/// protocol around them are not counted, nor are its pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatsTraffic {
    /// Messages that came in.
    pub messages_in: u64,
    /// Messages that went out.
    pub messages_out: u64,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Bytes that went out.
    pub bytes_out: u64,
}

impl NatsServer {
    /// Reads what the server has carried. That goes past the bus, and is not counted.
    pub fn traffic(&self) -> NatsTraffic {
        let text = self.watch("/varz").unwrap_or_else(|error| panic!("the server can be watched: {error}"));
        NatsTraffic {
            messages_in: number(&text, "in_msgs"),
            messages_out: number(&text, "out_msgs"),
            bytes_in: number(&text, "in_bytes"),
            bytes_out: number(&text, "out_bytes"),
        }
    }

    /// Asks the monitoring endpoint.
    fn watch(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.monitoring))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    }
}

/// Reads a line of JSON as `"name": number,`; panics where there is none.
fn number(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix('"')?.strip_prefix(name)?.strip_prefix("\":")?;
        value.trim().trim_end_matches(',').parse().ok()
    });
    value.unwrap_or_else(|| panic!("expected {name} and a number in {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_is_not_counted() {
        let server = NatsServer::start();
        let nothing = NatsTraffic { messages_in: 0, messages_out: 0, bytes_in: 0, bytes_out: 0 };
        assert_eq!((server.traffic(), server.traffic()), (nothing, nothing));
    }
}
