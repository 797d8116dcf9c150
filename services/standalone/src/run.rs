//! From the command line to the end of the process.

use std::{path::PathBuf, time::Duration};

use rollcall_gateway::Page;
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
    playground,
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
    let page = args.demo.then(Page::default);
    let expiry = config.gateway.expiry;
    // Boxed: it connects to servers, once.
    let binding = Box::pin(Node::bind(config, page.clone(), &ops));
    let Some(bound) = shutdown.run_until_cancelled(binding).await else { return Ok(()) };
    let node = bound?;
    let addresses = node.addresses(server.local_addr());
    // Boxed: it holds all services, once.
    Box::pin(node.run(shutdown, started(addresses, page.map(|page| (page, expiry)), file))).await
}

/// Tells that all services serve, and where. With a page it is a demo: the page is the playground, which is told the
/// expiry of sessions.
async fn started(
    addresses: Addresses,
    page: Option<(Page, Duration)>,
    file: Option<PathBuf>,
) -> Result<(), Error> {
    let demo = match page {
        Some((page, expiry)) => {
            let demo = Demo::create(&addresses, &Clock::new()).await?;
            playground::show(&page, &demo, expiry);
            Some(demo)
        }
        None => None,
    };
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
