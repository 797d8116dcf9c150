//! The flags that every binary has.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rollcall_runtime::config::{Flags, Profile};

/// The flags that every binary has.
#[derive(Debug, Clone, Default, ClapArgs)]
#[group(skip)]
pub struct Args {
    /// Read configuration from this file [default: rollcall.toml, if there is one in the current folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Durations to start from: `default` (a silent client is OFFLINE after 400 s) or `fast` (after 8 s)
    #[arg(long, value_name = "PROFILE", default_value_t)]
    pub profile: Profile,
    /// Write the addresses to this file, as a JSON object, once they are served
    #[arg(long, value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,
    /// What to log to standard error, as `info` or `info,rollcall_gateway=debug` [default: `info,async_nats=warn`]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: `text` or `json` [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Print the configuration as it would be used, as TOML without secrets, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What every `--help` ends with, before the examples.
pub const CONFIGURATION_HELP: &str = "\
Configuration:
  Every key that --print-config shows can be set in the file, by a variable
  ROLLCALL__SECTION__KEY, and some by a flag; flags win over variables over the file.";

impl Args {
    /// Returns the values that stand above file and environment.
    pub fn flags(&self) -> Flags {
        Flags::default().set("--log", "log.filter", self.log.as_ref()).set(
            "--log-format",
            "log.format",
            self.log_format.as_ref(),
        )
    }
}
