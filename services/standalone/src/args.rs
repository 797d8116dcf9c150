//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use rollcall_runtime::config::{Flags, Profile};

/// Rollcall in one process: all four services, with their state in memory.
///
/// Clients connect to the address of `--listen` by WebSocket, operators and backends to that of `--admin-listen`
/// by gRPC (`rollcallctl` does). State is gone when the process stops.
#[derive(Debug, Clone, Default, Parser)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Read configuration from this file [default: rollcall.toml, if there is one in the current folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Durations to start from: `default` (a silent client is OFFLINE after 400 s) or `fast` (after 8 s)
    #[arg(long, value_name = "PROFILE", default_value_t)]
    pub profile: Profile,
    /// Where clients connect; port 0 takes any that is free [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the presence and admin services are reached [default: 127.0.0.1:7701]
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Where the subscription service is reached [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    pub subscription_listen: Option<SocketAddr>,
    /// Where the notifier is reached [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    pub notifier_listen: Option<SocketAddr>,
    /// Create an app with two users, and print what to paste into other terminals to see them
    #[arg(long)]
    pub demo: bool,
    /// Write the addresses to this file, as a JSON object, once all services serve
    #[arg(long, value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,
    /// What to log to standard error, as `info` or `info,rollcall_gateway=debug` [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: `text` or `json` [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Print the configuration as it would be used, as TOML, and exit
    #[arg(long)]
    pub print_config: bool,
}

const AFTER_HELP: &str = "\
Configuration:
  Every key that --print-config shows can be set in the file, by a variable
  ROLLCALL__SECTION__KEY, and some by a flag; flags win over variables over the file.

Examples:
  rollcall --demo                        try it out
  rollcall --demo --profile fast         the same, with scaled durations
  rollcall --print-config > rollcall.toml
  ROLLCALL__GATEWAY__HEARTBEAT=30s rollcall --log debug";

impl Args {
    /// Returns the values that stand above file and environment.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .set("--listen", "gateway.listen", self.listen)
            .set("--admin-listen", "presence.listen", self.admin_listen)
            .set("--subscription-listen", "subscription.listen", self.subscription_listen)
            .set("--notifier-listen", "notifier.listen", self.notifier_listen)
            .set("--log", "log.filter", self.log.as_ref())
            .set("--log-format", "log.format", self.log_format.as_ref())
    }
}
