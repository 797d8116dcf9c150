//! How the adapter treats its servers, and how it logs in to them.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use super::stream::Limits;

/// Draws 64 random bits. They need not be secret.
pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How the adapter treats its servers.
#[derive(Clone)]
pub struct Options {
    /// What the servers call this process in their lists and logs. `rollcall` by default.
    pub name: String,
    /// What the subjects of this process's inbox begin with, which its user must be granted; answers come there.
    /// `_INBOX` by default; the users of `deploy/nats/users.conf` have `_INBOX.` and their name.
    pub inbox: String,
    /// The user, where the URL names none. None by default.
    pub login: Option<Login>,
    /// How the connection is encrypted. Where it is absent, the default, a server that wants TLS is trusted if the
    /// system's authorities vouch for it.
    pub tls: Option<Tls>,
    /// The stream that captures changes. Made if it is absent and checked if it is there; with the limits that
    /// [`Limits::default`] states by default. `None` in a process that publishes nothing, and may not ask.
    pub stream: Option<Limits>,
    /// How long a publish may take until the stream has the message. 2 s by default.
    pub publish_timeout: Duration,
    /// How many publishes may wait for the stream at once; further ones wait for those, or, where the stream has
    /// come to a halt, are sent and fail. 256 by default.
    pub publish_window: usize,
    /// How many messages may wait for a subscriber; one that lets more wait is dropped. 16,384 by default: some
    /// seconds of a busy node's changes, and at most a few MiB.
    pub subscriber_capacity: usize,
    /// How often a silent server is asked whether it is there. After three questions without an answer the
    /// connection is given up. 2 s by default.
    pub ping_interval: Duration,
    /// How long it may take to connect, and how long it may take until a subscription is in force. 2 s by default.
    pub connect_timeout: Duration,
    /// The longest pause before the first attempt to connect again; it doubles with each. 50 ms by default.
    pub backoff_min: Duration,
    /// The longest pause between attempts to connect. 2 s by default.
    pub backoff_max: Duration,
    /// Draws the jitter of pauses, and which server is tried first.
    pub random: Random,
}

/// A user and where the password is.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The file with the password, read at each attempt to connect; blanks and line ends around it are no part.
    pub password_file: PathBuf,
}

/// Files in PEM for a connection that must be encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authorities that may vouch for a server. Those of the system where it is absent.
    pub authorities: Option<PathBuf>,
    /// What this process shows to the server (mutual TLS).
    pub identity: Option<Identity>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, followed by those that lead to an authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Options {
    /// Makes the default options.
    pub fn new(random: Random) -> Self {
        Self {
            name: "rollcall".to_owned(),
            inbox: "_INBOX".to_owned(),
            login: None,
            tls: None,
            stream: Some(Limits::default()),
            publish_timeout: Duration::from_secs(2),
            publish_window: 256,
            subscriber_capacity: 16_384,
            ping_interval: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            random,
        }
    }

    /// Draws the pause before an attempt, the first being 1: any up to a limit that doubles each time.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let doubled = self.backoff_min.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let limit = doubled.min(self.backoff_max).as_nanos();
        Duration::from_nanos(u64::try_from(u128::from((self.random)()) % (limit + 1)).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("inbox", &self.inbox)
            .field("login", &self.login)
            .field("tls", &self.tls)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let exact = |bits: u64| Options::new(Arc::new(move || bits));

        for (attempt, limit) in [(1, 50), (2, 100), (3, 200), (6, 1_600), (7, 2_000), (u32::MAX, 2_000)] {
            let limit = Duration::from_millis(limit);
            let nanos = u64::try_from(limit.as_nanos()).unwrap();
            assert_eq!(exact(nanos).pause(attempt), limit);
            assert_eq!(exact(nanos + 1).pause(attempt), Duration::ZERO);
        }
    }
}
