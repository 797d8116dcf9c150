//! What is spoken with the servers that are compared. Bytes in and out, so that all are driven by the same client.

mod centrifugo;
mod rollcall;

pub(super) use self::centrifugo::NAMESPACE;
use serde::{Deserialize, Serialize};

/// A server as its clients know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Target {
    /// Where clients connect.
    pub(super) url: String,
    /// What the app's backend signs tokens with.
    pub(super) token_key: String,
    /// What it speaks.
    pub(super) protocol: Protocol,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Protocol {
    /// Ours, as protobuf.
    Rollcall {
        /// The app.
        app_id: u32,
    },
    /// Centrifugo's bidirectional one, as protobuf.
    Centrifugo,
}

/// A frame of a client, and how many replies it asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) frame: Vec<u8>,
    pub(super) replies: usize,
}

/// What a frame of a server says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// Requests that were answered ok; heartbeats are not among them.
    pub(super) replies: usize,
    /// Users, each with the number of the change that made the status; 0 for the first.
    pub(super) statuses: Vec<(String, u64)>,
    /// The frame to answer with at once.
    pub(super) answer: Option<&'static [u8]>,
}

impl Target {
    /// Returns the subprotocol of the WebSocket.
    pub(super) fn subprotocol(&self) -> &'static str {
        match self.protocol {
            Protocol::Rollcall { .. } => rollcall::SUBPROTOCOL,
            Protocol::Centrifugo => centrifugo::SUBPROTOCOL,
        }
    }

    /// Logs a user in, who is ONLINE from then on.
    pub(super) fn log_in(&self, user_id: &str) -> Request {
        match self.protocol {
            Protocol::Rollcall { app_id } => rollcall::log_in(app_id, &self.token_key, user_id),
            Protocol::Centrifugo => centrifugo::log_in(&self.token_key, user_id),
        }
    }

    /// Subscribes to users; the answer, or what follows it, shows their statuses.
    pub(super) fn subscribe(&self, user_ids: &[String]) -> Request {
        match self.protocol {
            Protocol::Rollcall { .. } => rollcall::subscribe(user_ids),
            Protocol::Centrifugo => centrifugo::subscribe(user_ids),
        }
    }

    /// Changes the status of the user who is logged in.
    pub(super) fn change(&self, user_id: &str, sequence: u64) -> Request {
        match self.protocol {
            Protocol::Rollcall { .. } => rollcall::change(sequence),
            Protocol::Centrifugo => centrifugo::change(user_id, sequence),
        }
    }

    /// Returns the heartbeat of a client; `None` where the server sends it.
    pub(super) fn heartbeat(&self) -> Option<Vec<u8>> {
        match self.protocol {
            Protocol::Rollcall { .. } => Some(rollcall::heartbeat()),
            Protocol::Centrifugo => None,
        }
    }

    /// Reads a frame of the server. A refusal is an error.
    pub(super) fn hear(&self, frame: &[u8]) -> anyhow::Result<Heard> {
        match self.protocol {
            Protocol::Rollcall { .. } => rollcall::hear(frame),
            Protocol::Centrifugo => centrifugo::hear(frame),
        }
    }
}
