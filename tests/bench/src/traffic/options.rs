//! What a run is told on the command line.

use std::time::Duration;

use clap::Args;

use crate::{
    crowd::{Plan, Ring},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  rollcall-bench traffic
  rollcall-bench traffic --sessions 5000 --rate 1000 --output json
  rollcall-bench traffic --sessions 50 --empty 4s --idle 4s --busy 2s

The second is a cluster under load; the third is over in half a minute, and too short for what idle sessions cost.
Build for release before you compare numbers:
  cargo build --release --workspace --bins";

/// Counts what Redis and NATS carry for sessions and changes.
///
/// Starts a cluster on free ports, of the programs beside this one: two of each service, Redis and NATS (those of
/// `make setup`). Then counts in these phases: nobody is there; one user changes their custom status, again and again,
/// with 0, 1 and 10 watchers on one gateway and on two; all sessions log in, over both gateways; they are idle but for
/// heartbeats; each subscribes to others; many users change at a steady rate. What a phase cost is what Redis and NATS
/// counted in it beyond what the cluster does of itself and for idle sessions. Processor time varies with what else
/// the machine does; counts do not.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Sessions, each of a user of its own
    #[arg(long, default_value_t = 1000)]
    pub sessions: usize,
    /// Users that each session subscribes to before many change: 1 to 200, and fewer than there are sessions
    #[arg(long, default_value_t = 20)]
    pub subscriptions: usize,
    /// Logins or subscribes under way at once
    #[arg(long, default_value_t = 64, value_name = "CALLS")]
    pub parallel: usize,
    /// Time to count while nobody is there; whole multiples of 30s see all that a cluster does of itself
    #[arg(long, default_value = "30s", value_parser = window, value_name = "DURATION")]
    pub empty: Duration,
    /// Time to count while sessions are idle; whole multiples of 100s see that each is told of once to presence
    #[arg(long, default_value = "100s", value_parser = window, value_name = "DURATION")]
    pub idle: Duration,
    /// Changes of one user, one after the other, with each number of watchers
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub changes: u32,
    /// Changes a second while many users change
    #[arg(long, default_value_t = 200, value_name = "CHANGES", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Time in which many users change
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub busy: Duration,
    /// Longest wait for what must arrive
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub limit: Duration,
    /// Partitions of the store; deployments have 256
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub partitions: u16,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

impl Options {
    /// Returns what the sessions do.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            ring: Ring { clients: self.sessions, subscriptions: self.subscriptions },
            parallel: self.parallel,
            heartbeat: None,
            rate: self.rate,
            changes: self.busy,
            limit: self.limit,
        }
    }
}

fn window(text: &str) -> Result<Duration, String> {
    let window = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if window < super::STEP {
        return Err(format!("expected at least {:?}", super::STEP));
    }
    Ok(window)
}
