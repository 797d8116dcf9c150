//! The command line.

use std::net::SocketAddr;

use clap::Parser;
use rollcall_process::args::CONFIGURATION_HELP;
use rollcall_runtime::config::Flags;

/// Rollcall in one process: all four services, with their state in memory or on Redis and NATS.
///
/// Clients connect to the address of `--listen` by WebSocket, operators and backends to those of `--admin-listen` and
/// `--subscription-listen` by gRPC (`rollcallctl` does). State in memory is gone when the process stops.
#[derive(Debug, Clone, Default, Parser)]
#[command(version, after_long_help = format!("{CONFIGURATION_HELP}\n\n{EXAMPLES}"))]
pub struct Args {
    /// What every binary understands.
    #[command(flatten)]
    pub shared: rollcall_process::Args,
    /// Where state is kept: `memory`, or `redis://[user[:password]@]host[:port]` [default: memory]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// What carries changes: `memory`, or `nats://[user[:password]@]host[:port]` [default: memory]
    #[arg(long, value_name = "URL")]
    pub bus: Option<String>,
    /// Where clients connect; port 0 takes any that is free [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the presence and admin services are reached [default: 127.0.0.1:7701]
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Where the subscription and friend services are reached [default: 127.0.0.1:7702]
    #[arg(long, value_name = "ADDRESS")]
    pub subscription_listen: Option<SocketAddr>,
    /// Where the notifier and its feed of changes are reached [default: 127.0.0.1:7703]
    #[arg(long, value_name = "ADDRESS")]
    pub notifier_listen: Option<SocketAddr>,
    /// Create an app with two users, show a page to play them in, and print what to paste into other terminals to see
    /// them
    #[arg(long)]
    pub demo: bool,
}

const EXAMPLES: &str = "\
Examples:
  rollcall --demo                        try it out
  rollcall --demo --profile fast         the same, with scaled durations
  rollcall --print-config > rollcall.toml
  ROLLCALL__GATEWAY__HEARTBEAT=30s rollcall --log debug";

impl Args {
    /// Returns the values that stand above file and environment.
    pub(crate) fn flags(&self) -> Flags {
        self.shared
            .flags()
            .set("--store", "store.url", self.store.as_ref())
            .set("--bus", "bus.url", self.bus.as_ref())
            .set("--listen", "gateway.listen", self.listen)
            .set("--admin-listen", "presence.listen", self.admin_listen)
            .set("--subscription-listen", "subscription.listen", self.subscription_listen)
            .set("--notifier-listen", "notifier.listen", self.notifier_listen)
    }
}
