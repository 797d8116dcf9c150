//! Many clients in a ring, and users that change: what a connection, an edge, a login, a heartbeat and a delivery
//! cost.
//!
//! The phases follow one another, and each ends with a look at the server's processor time and memory: log in,
//! subscribe until everybody was shown everybody's first status, be idle but for heartbeats, change in an open
//! loop, and wait until every watcher has seen every last state.

mod meter;
mod options;
mod report;

use tokio::time::sleep;

use self::{
    meter::Meter,
    report::{Outcome, Phases},
};
pub use self::{options::Options, report::Report};
use crate::{
    crowd::{Crowd, Place},
    usage,
};

/// Makes one run. The server that it started ends with it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.plan();
    plan.check()?;
    usage::check_open_files(options.clients)?;
    let server = options.server().await?;
    let token_key = server.create_app(options.app_id).await?;
    let place = Place { gateways: vec![server.url()], app_id: options.app_id, token_key };
    let mut crowd = Crowd::new(plan, place);
    crowd.warm_up().await?;

    let mut meter = Meter::begin(server.pid())?;
    let (resident_at_start, _) = meter.resident()?;
    crowd.log_in().await?;
    let login = meter.phase()?;
    crowd.subscribe().await?;
    let subscribe = meter.phase()?;
    eprintln!("idle: {:?}", options.idle);
    sleep(options.idle).await;
    crowd.check()?;
    let idle = meter.phase()?;
    let last = crowd.change().await?;
    let missing = crowd.settle(&last).await?;
    let change = meter.phase()?;

    let (_, resident_peak) = meter.resident()?;
    let outcome = Outcome {
        resident_at_start,
        phases: Phases { login, subscribe, idle, change },
        resident_peak,
        changes: crowd.changes(),
        missing,
        missing_examples: crowd.describe_missing(&last),
        measured: crowd.finish().await?,
    };
    Ok(Report::new(options, outcome))
}
