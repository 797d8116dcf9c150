//! What a run is told on the command line.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;

use crate::{
    crowd::{Plan, Ring},
    output::Output,
    server::Server,
};

const EXAMPLES: &str = "\
Examples:
  rollcall-bench fanout
  rollcall-bench fanout --clients 5000 --rate 1000 --changes 30s --output json
  taskset -c 1 rollcall-bench fanout --server-cpus 0

Build both for release before you compare numbers:
  cargo build --release --bin rollcall --bin rollcall-bench";

/// Logs in many clients in a ring, each subscribed to others, and measures what they cost.
///
/// Starts a server on free ports, creates an app (PREMIUM, status on), and goes through these phases: log in
/// all clients; subscribe each to the ones that follow it, until all were shown all first statuses; be idle but
/// for heartbeats; let users change their custom status at a steady rate, whether or not the server keeps up (an
/// open loop: latency counts from when a change was meant to be sent); wait until every watcher has seen the
/// last state of everyone it watches. Between the phases it reads the server's memory and processor time.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Clients, each with a user of its own
    #[arg(long, default_value_t = 1000)]
    pub clients: usize,
    /// Users that each client subscribes to: 1 to 200, and fewer than there are clients
    #[arg(long, default_value_t = 20)]
    pub subscriptions: usize,
    /// Logins or subscribes under way at once
    #[arg(long, default_value_t = 64, value_name = "CALLS")]
    pub parallel: usize,
    /// Time to be idle
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub idle: Duration,
    /// Time between two heartbeats of a client, evenly spread over the clients [default: what the server tells
    /// at login]
    #[arg(long, value_parser = heartbeat, value_name = "DURATION")]
    pub heartbeat: Option<Duration>,
    /// Changes a second, over all users
    #[arg(long, default_value_t = 200, value_name = "CHANGES", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Time to make changes
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub changes: Duration,
    /// Longest wait for what must arrive in the end
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub limit: Duration,
    /// The app to create; one that exists is refused
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u32).range(1..))]
    pub app_id: u32,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Server to start, with the environment of this program [default: rollcall beside this program]
    #[arg(long, value_name = "FILE")]
    pub server_bin: Option<PathBuf>,
    /// Processors that the started server may use, as taskset reads them, such as 0 or 0,2-3 [default: all]
    #[arg(long, value_name = "CPUS")]
    pub server_cpus: Option<String>,
    /// Take a server that runs already: the file that it was started with as --addresses-file
    #[arg(long, value_name = "FILE", requires = "pid", conflicts_with_all = ["server_bin", "server_cpus"])]
    pub addresses_file: Option<PathBuf>,
    /// Process id of the server that runs already
    #[arg(long, requires = "addresses_file")]
    pub pid: Option<u32>,
}

impl Options {
    /// Returns what the crowd is and does.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            ring: Ring { clients: self.clients, subscriptions: self.subscriptions },
            parallel: self.parallel,
            heartbeat: self.heartbeat,
            rate: self.rate,
            changes: self.changes,
            limit: self.limit,
        }
    }

    /// Starts or takes the server.
    pub(super) async fn server(&self) -> anyhow::Result<Server> {
        if let (Some(file), Some(pid)) = (&self.addresses_file, self.pid) {
            return Server::running(file, pid);
        }
        let binary = match &self.server_bin {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().context("where this program lies")?.with_file_name("rollcall"),
        };
        Server::start(&binary, self.server_cpus.as_deref()).await
    }
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let heartbeat = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // A shorter one is a flood, and zero would never let a client do anything else.
    if heartbeat < Duration::from_millis(10) {
        return Err("expected at least 10ms".to_owned());
    }
    Ok(heartbeat)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).map(|line| line.options)
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        parse("").unwrap().plan().check().unwrap();
        parse("--clients 20 --subscriptions 20").unwrap().plan().check().unwrap_err();
        for line in ["--rate 0", "--heartbeat 0s", "--idle never", "--pid 1", "--addresses-file a.json"] {
            parse(line).unwrap_err();
        }
    }
}
