//! From the command line to the end of a process that is one service.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use clap::{Args as _, Command, FromArgMatches as _};
use rollcall_runtime::{
    config::{self, Profile, Validate},
    ops::{self, Ops},
    shutdown::{self, CancellationToken},
    telemetry,
};
use serde::{Serialize, de::DeserializeOwned};
use tracing::info;

use crate::{Args, BoxError, Error, addresses, args::CONFIGURATION_HELP, error::exit};

/// What an operator may choose for a process.
pub trait Settings: Serialize + DeserializeOwned + Validate + Send {
    /// Returns the defaults of a profile.
    fn profile(profile: Profile) -> Self;

    /// Returns how the process logs.
    fn log(&self) -> &telemetry::Config;

    /// Returns where the process answers its operator's tools.
    fn ops(&self) -> &ops::Config;
}

/// A service as a process of its own.
pub trait Process: Sized {
    /// The name of the binary.
    const NAME: &'static str;
    /// What it is, in a line for `--help`.
    const ABOUT: &'static str;
    /// What an operator may choose.
    type Config: Settings;

    /// Opens the engines and listens; what it tells its operator goes into `ops`.
    fn bind(config: Self::Config, ops: &Ops) -> impl Future<Output = Result<Self, BoxError>>;

    /// Returns where the process listens, by name.
    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr>;

    /// Serves until `shutdown`.
    fn run(self, shutdown: CancellationToken) -> impl Future<Output = Result<(), BoxError>>;
}

/// Does what the command line says, until SIGINT or SIGTERM.
pub fn main<P: Process>() -> ExitCode {
    let command = Command::new(P::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(P::ABOUT)
        .after_long_help(CONFIGURATION_HELP);
    let matches = Args::augment_args(command).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Error::Threads).and_then(|runtime| runtime.block_on(run::<P>(&args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit(P::NAME, &error, error.exit_code()),
    }
}

async fn run<P: Process>(args: &Args) -> Result<(), Error> {
    let defaults = P::Config::profile(args.profile);
    let config = config::load(&defaults, args.config.as_deref(), args.flags()).map_err(Error::Config)?;
    if args.print_config {
        return print(&config::to_toml(&config)?);
    }
    let ops = Ops::default();
    let telemetry = telemetry::init(config.log(), P::NAME, &ops.metrics)?;
    let ended = serve::<P>(args, config, ops).await;
    telemetry.close().await;
    ended
}

async fn serve<P: Process>(args: &Args, config: P::Config, ops: Ops) -> Result<(), Error> {
    let shutdown = shutdown::on_signal()?;
    if let Some(path) = &args.addresses_file {
        addresses::remove_stale(path)?;
    }
    let failed = |source| Error::Service { service: P::NAME, source };
    // Before the engines: a process that waits for them lives.
    let server = ops::Server::start(config.ops(), ops.clone(), shutdown.clone())?;
    let Some(bound) = shutdown.run_until_cancelled(P::bind(config, &ops)).await else { return Ok(()) };
    let process = bound.map_err(failed)?;
    let mut addresses = process.addresses();
    addresses.insert("ops", server.local_addr());
    for (name, address) in &addresses {
        info!(name, %address, "listening");
    }
    if let Some(path) = &args.addresses_file {
        addresses::write(path, &addresses)?;
    }
    process.run(shutdown).await.map_err(failed)
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Error> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Error::Output)
}
