//! The scripts, which the server runs as one step each.

use redis::Cmd;

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Script {
    /// Applies a commit.
    Commit,
    /// Lists timers.
    Due,
    /// Takes a step of a lease.
    Lease,
    /// Allows or refuses a call.
    Window,
}

/// All scripts, in the order of their numbers.
pub(super) const SCRIPTS: [Script; 4] = [Script::Commit, Script::Due, Script::Lease, Script::Window];

impl Script {
    /// Makes the command that gives the script to the server; the reply is its hash.
    pub(super) fn load(self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.source());
        command
    }

    fn source(self) -> &'static str {
        match self {
            Self::Commit => include_str!("commit.lua"),
            Self::Due => include_str!("due.lua"),
            Self::Lease => include_str!("lease.lua"),
            Self::Window => include_str!("window.lua"),
        }
    }
}
