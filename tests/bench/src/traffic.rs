//! What Redis and NATS carry: for a cluster in which nothing happens, for a session, for a login, and for a change by
//! the number of its watchers and of their gateways.
//!
//! The run starts a cluster of real processes: two of each service, Redis, NATS. Each phase is a window between two
//! readings of what the servers themselves count, and what it cost is what it carried beyond what the cluster does of
//! itself (`traffic/background.rs`). Windows end at whole steps of 2 s, so that most of that is in them as often as in
//! idle ones of the same length.
//!
//! Start with [`run`]; `traffic/carried.rs` says what is counted, and how commands that are sent are told from those
//! in scripts.

mod background;
mod carried;
mod counter;
mod options;
mod report;
mod scene;

use std::{panic::AssertUnwindSafe, time::Duration};

use anyhow::anyhow;
use futures_util::FutureExt as _;
use rollcall_harness::{Deployment, Rollcall};
use tokio::time::{Instant, sleep};

use self::{
    background::Background,
    counter::{Counter, Window},
    scene::{CASES, Scene},
};
pub use self::{
    carried::Carried,
    options::Options,
    report::{Phase, Report},
};
use crate::{
    crowd::{Crowd, Place},
    usage,
};

/// What all intervals of the services divide that are no longer: gateways report so often.
const STEP: Duration = Duration::from_secs(2);
/// The pause after people have come and before counting begins: their outbox entries have gone, and what gateways and
/// services do soon after a login is done.
const PAUSE: Duration = Duration::from_secs(1);
/// The part of the idle time that is waited before it is counted. Gateways tell of the sessions that came together a
/// while later, together again: in the middle of the time, not at one of its ends.
const LEAD: u32 = 10;
/// What the generator holds open besides the sessions: other clients, and one reading at a time.
const OTHERS: usize = 20;

/// Makes one run. The cluster ends with it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.plan();
    plan.check()?;
    usage::check_open_files(options.sessions + OTHERS)?;
    let builder = Rollcall::builder().deployment(Deployment::Cluster).profile("default");
    // What a test panics with has been told when this is an error.
    let started = AssertUnwindSafe(builder.partitions(options.partitions).start()).catch_unwind();
    let mut rollcall = started.await.map_err(|_| anyhow!("the cluster did not start"))?;
    let app = rollcall.app().await;
    let gateways = rollcall.addresses().clients.iter().map(|address| format!("ws://{address}/v1/connect"));
    let place = Place { gateways: gateways.collect(), app_id: app.id, token_key: app.key };
    let crowd = Crowd::new(plan, place.clone());
    crowd.warm_up().await?;
    sleep(PAUSE).await;

    let counter = Counter::new(&mut rollcall).await;
    let mut report = Report::new(options);
    let pieces = idle(&counter, "empty cluster", options.empty).await;
    let (empty, background) = (Window::joined(&pieces), Background::of(&pieces));
    report.add(Phase::new("empty", &empty, empty.seconds, &empty.carried));
    for (number, case) in CASES.into_iter().enumerate() {
        eprintln!("{} changes with {case}", options.changes);
        let mut scene = Scene::set(&place, case, number, options.limit).await?;
        sleep(PAUSE).await;
        let changes = counted(&counter, scene.play(options.changes)).await?;
        report.add(Phase::new(&case.key(), &changes, options.changes.into(), &background.beyond(&changes)));
        scene.end().await?;
    }
    many(options, &counter, &background, crowd, &mut report).await?;
    Ok(report)
}

/// Takes all sessions through their life.
#[expect(clippy::cast_precision_loss, reason = "numbers of sessions and changes are far below 2^53")]
async fn many(
    options: &Options,
    counter: &Counter<'_>,
    background: &Background,
    mut crowd: Crowd,
    report: &mut Report,
) -> anyhow::Result<()> {
    let sessions = options.sessions as f64;
    let logins = counted(counter, crowd.log_in()).await?;
    report.add(Phase::new("login", &logins, sessions, &background.beyond(&logins)));

    sleep(options.idle / LEAD).await;
    let idle = Window::joined(&idle(counter, "idle sessions", options.idle).await);
    crowd.check()?;
    let idle_own = background.beyond(&idle);
    report.add(Phase::new("idle", &idle, sessions * idle.seconds, &idle_own));
    // From now on sessions go on being idle, whatever else they do.
    let beyond_idle = |window: &Window| {
        Carried::sum([(1.0, &background.beyond(window)), (-window.seconds / idle.seconds, &idle_own)])
    };

    let subscribes = counted(counter, crowd.subscribe()).await?;
    report.add(Phase::new("subscribe", &subscribes, sessions, &beyond_idle(&subscribes)));

    let busy = counted(counter, async {
        let last = crowd.change().await?;
        report.missing(crowd.settle(&last).await?, crowd.describe_missing(&last));
        Ok(())
    });
    let busy = busy.await?;
    report.add(Phase::new("busy", &busy, crowd.changes() as f64, &beyond_idle(&busy)));
    crowd.finish().await?;
    Ok(())
}

/// Counts what is carried while nothing is done, in pieces of a step.
async fn idle(counter: &Counter<'_>, what: &str, length: Duration) -> Vec<Window> {
    eprintln!("{what}: {length:?}");
    let start = Instant::now();
    let mut pieces = Vec::new();
    let mut begun = counter.read().await;
    while start.elapsed() < length {
        sleep(STEP.min(length.saturating_sub(start.elapsed()))).await;
        let ended = counter.read().await;
        pieces.push(counter.between(&begun, &ended));
        begun = ended;
    }
    pieces
}

/// Counts what is carried while `work` is done, and until the step that it falls into is over.
async fn counted(
    counter: &Counter<'_>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Window> {
    let begun = counter.read().await;
    let start = Instant::now();
    work.await?;
    let steps = start.elapsed().div_duration_f64(STEP).ceil();
    sleep((STEP.mul_f64(steps)).saturating_sub(start.elapsed())).await;
    Ok(counter.between(&begun, &counter.read().await))
}
