//! From the command line to the end of the process.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use rollcall_runtime::{Clock, config, shutdown, telemetry};
use tracing::info;

use crate::{
    addresses::{self, Addresses},
    args::Args,
    config::Config,
    demo::{self, Demo},
    error::Error,
    node::Node,
};

/// Does what the command line says, until SIGINT or SIGTERM.
pub async fn run(args: Args) -> Result<(), Error> {
    let config = Config::load(&args)?;
    if args.print_config {
        // The configuration holds no secrets: keys and tokens are in the store.
        return print(&config::to_toml(&config)?);
    }
    telemetry::init(&config.log)?;
    let shutdown = shutdown::on_signal()?;
    if let Some(path) = &args.addresses_file {
        addresses::remove_stale(path)?;
    }
    let node = Node::bind(config)?;
    let addresses = node.addresses();
    node.run(shutdown, started(addresses, args.demo, args.addresses_file)).await
}

/// Tells that all services serve, and where.
async fn started(addresses: Addresses, is_demo: bool, file: Option<PathBuf>) -> Result<(), Error> {
    let demo = if is_demo { Some(Demo::create(&addresses, &Clock::new()).await?) } else { None };
    if let Some(path) = &file {
        addresses.write(path, demo.as_ref())?;
    }
    info!(
        client = %addresses.client,
        admin = %addresses.admin,
        subscription = %addresses.subscription,
        notifier = %addresses.notifier,
        "all services serve"
    );
    demo.map_or(Ok(()), |demo| print(&demo::banner(&addresses, &demo, &demo::control())))
}

fn print(text: &str) -> Result<(), Error> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Error::Output)
}
