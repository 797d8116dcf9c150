//! From the command line to the end of the process.

use std::path::PathBuf;

use rollcall_process::{addresses, print};
use rollcall_runtime::{
    Clock, config,
    ops::{self, Ops},
    shutdown, telemetry,
};
use serde::Serialize;
use tracing::info;

use crate::{
    args::Args,
    config::Config,
    demo::{self, Demo},
    error::Error,
    node::{self, Addresses, Node},
};

/// What the file of addresses says.
#[derive(Serialize)]
struct Content<'a> {
    #[serde(flatten)]
    addresses: &'a Addresses,
    #[serde(skip_serializing_if = "Option::is_none")]
    demo: Option<&'a Demo>,
}

/// Does what the command line says, until SIGINT or SIGTERM.
pub async fn run(args: Args) -> Result<(), Error> {
    let config = Config::load(&args)?;
    if args.shared.print_config {
        return Ok(print(&config::to_toml(&config)?)?);
    }
    let ops = Ops::default();
    let telemetry = telemetry::init(&config.log, "rollcall", &ops.metrics)?;
    let ended = serve(args, config, ops).await;
    telemetry.close().await;
    ended
}

async fn serve(args: Args, config: Config, ops: Ops) -> Result<(), Error> {
    let shutdown = shutdown::on_signal()?;
    let file = args.shared.addresses_file;
    if let Some(path) = &file {
        addresses::remove_stale(path)?;
    }
    // Before the engines: a process that waits for them lives.
    let server = ops::Server::start(&config.ops, ops.clone(), shutdown.clone())
        .map_err(node::refused("the operator's endpoint", "ops.listen"))?;
    config.warn_of_clear_text();
    // Boxed: it connects to servers, once.
    let binding = Box::pin(Node::bind(config, &ops));
    let Some(bound) = shutdown.run_until_cancelled(binding).await else { return Ok(()) };
    let node = bound?;
    let addresses = node.addresses(server.local_addr());
    // Boxed: it holds all services, once.
    Box::pin(node.run(shutdown, started(addresses, args.demo, file))).await
}

/// Tells that all services serve, and where.
async fn started(addresses: Addresses, is_demo: bool, file: Option<PathBuf>) -> Result<(), Error> {
    let demo = if is_demo { Some(Demo::create(&addresses, &Clock::new()).await?) } else { None };
    if let Some(path) = &file {
        addresses::write(path, &Content { addresses: &addresses, demo: demo.as_ref() })?;
    }
    info!(
        client = %addresses.client,
        admin = %addresses.admin,
        subscription = %addresses.subscription,
        notifier = %addresses.notifier,
        ops = %addresses.ops,
        "all services serve"
    );
    match demo {
        Some(demo) => Ok(print(&demo::banner(&addresses, &demo, &demo::control()))?),
        None => Ok(()),
    }
}
