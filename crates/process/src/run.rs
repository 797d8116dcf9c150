//! From the command line to the end of a process that is one service.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use clap::{Args as _, Command, FromArgMatches as _};
use rollcall_bus::Bus;
use rollcall_proto::role::Role;
use rollcall_runtime::{
    config,
    ops::{self, Ops},
    shutdown::{self, CancellationToken},
    telemetry,
    tls::Tls,
};
use tracing::info;

use crate::{
    Args, BoxError, Error, addresses,
    args::CONFIGURATION_HELP,
    config::{Config, Section},
    engines::{Role as BusRole, StoreSection},
    error::exit,
};

/// A service as a process of its own: what it says of itself. The rest is the same for all.
pub trait Process: Sized {
    /// What it is to the others. The name of the role is that of its section in the configuration and of its user of the
    /// bus too.
    const ROLE: Role;
    /// The name of the binary.
    const BINARY: &'static str;
    /// What it is, in a line for `--help`.
    const ABOUT: &'static str;
    /// The port of the loopback where the process answers its operator's tools by default.
    const OPS_PORT: u16;
    /// Whether it publishes changes.
    const PUBLISHES: bool;
    /// What an operator may choose for the service.
    type Config: Section;
    /// Its store: a [`StoreConfig`](crate::engines::StoreConfig), or [`NoStore`](crate::engines::NoStore).
    type Store: StoreSection;

    /// Listens.
    fn bind(config: Self::Config, provided: Provided<'_, Self>) -> Result<Self, BoxError>;

    /// Returns where the process listens, by name.
    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr>;

    /// Serves until `shutdown`.
    fn run(self, shutdown: CancellationToken) -> impl Future<Output = Result<(), BoxError>>;
}

/// What a service finds in its process.
pub struct Provided<'a, P: Process> {
    /// The store, of a service that has one.
    pub store: <P::Store as StoreSection>::Opened,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// How it makes and takes connections.
    pub tls: Tls,
    /// What it tells its operator goes here.
    pub ops: &'a Ops,
}

/// Does what the command line says, until SIGINT or SIGTERM.
pub fn main<P: Process>() -> ExitCode {
    let command = Command::new(P::BINARY)
        .version(env!("CARGO_PKG_VERSION"))
        .about(P::ABOUT)
        .after_long_help(CONFIGURATION_HELP);
    let matches = Args::augment_args(command).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Error::Threads).and_then(|runtime| runtime.block_on(run::<P>(&args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit(P::BINARY, &error, error.exit_code()),
    }
}

async fn run<P: Process>(args: &Args) -> Result<(), Error> {
    let defaults = Config::<P>::profile(args.profile);
    let config = config::load(&defaults, args.config.as_deref(), args.flags()).map_err(Error::Config)?;
    if args.print_config {
        return print(&config::to_toml(&config)?);
    }
    let ops = Ops::default();
    let telemetry = telemetry::init(&config.log, P::BINARY, &ops.metrics)?;
    let ended = serve::<P>(args, config, ops).await;
    telemetry.close().await;
    ended
}

async fn serve<P: Process>(args: &Args, config: Config<P>, ops: Ops) -> Result<(), Error> {
    let shutdown = shutdown::on_signal()?;
    if let Some(path) = &args.addresses_file {
        addresses::remove_stale(path)?;
    }
    let failed = |source| Error::Service { service: P::BINARY, source };
    let tls = Tls::load(&config.tls, P::ROLE).map_err(Error::Config)?;
    // Before the engines: a process that waits for them lives.
    let server = ops::Server::start(&config.ops, ops.clone(), shutdown.clone())?;
    let Some(opened) = shutdown.run_until_cancelled(open(&config, tls, &ops)).await else { return Ok(()) };
    let process = P::bind(config.service, opened.map_err(failed)?).map_err(failed)?;
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

async fn open<'a, P: Process>(
    config: &Config<P>,
    tls: Tls,
    ops: &'a Ops,
) -> Result<Provided<'a, P>, BoxError> {
    let role = BusRole { name: P::ROLE.name(), publishes: P::PUBLISHES };
    let store = config.store.open(&ops.metrics).await?;
    let bus = config.bus.open(role, &ops.metrics).await?;
    Ok(Provided { store, bus, tls, ops })
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Error> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Error::Output)
}
