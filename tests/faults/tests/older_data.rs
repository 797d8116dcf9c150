//! A store that comes back with older data: what it acknowledged since is lost there, and is told again.

use std::time::Instant;

use rollcall_faults::{GRACE, Ring, at, log_in, watcher};
use rollcall_harness::{App, Builder, Deployment, General, Metrics, Rollcall, eventually};
use rollcall_proto::{
    common::v1::{GeneralStatus, UserStatus as Stored},
    presence::v1::GetUserStatusRequest,
};

/// Users whom the watcher watches, what they are to be shown as in the end, and with which text.
const TRUTH: [(&str, General, &str); 8] = [
    ("says", General::Online, "since"),
    ("repeats", General::Online, "before"),
    ("silenced", General::Online, ""),
    ("twice", General::Online, "second"),
    ("comes", General::Online, "new"),
    ("returns", General::Online, ""),
    ("logs_out", General::Unlogined, ""),
    ("closes", General::Offline, ""),
];

// FAULT 11, SPEC B3, SPEC C6
#[tokio::test]
async fn what_a_store_lost_by_a_restart_with_older_data_comes_back_and_nobody_is_shown_otherwise() {
    restarts_with_older_data(builder()).await;
}

// FAULT 11, SPEC B3, SPEC C6
#[tokio::test]
async fn what_a_durable_store_lost_by_a_restart_with_older_data_comes_back_and_nobody_is_shown_otherwise() {
    restarts_with_older_data(builder().durable()).await;
}

// FAULT 11, SPEC A11
#[tokio::test]
async fn a_gateway_that_the_store_does_not_know_any_more_goes_on_with_its_sessions_and_their_sets() {
    let mut rollcall = builder().start().await;
    let app = rollcall.app().await;
    let mut watcher = watcher(&rollcall, &app, &["alice"]).await;
    let older = rollcall.engines().redis.copy_data();
    rollcall.process("gateway", 0).kill();
    rollcall.start_again("gateway", 0).await;
    let mut alice = log_in(&app, at(&rollcall, 0), "alice", "d").await;
    alice.set("here").await.ok();
    let before = watcher.expect("alice", |status| status.custom == "here").await;

    rollcall.engines().redis.restart_with(&older);

    let after = watcher.expect_next("alice").await;
    assert_eq!((after.general, after.custom.as_str()), (General::Online, "here"));
    assert!(after.version > before.version, "{after:?} after {before:?}");
    alice.set("still").await.ok();
    watcher.expect("alice", |status| status.custom == "still").await;
}

fn builder() -> Builder {
    Rollcall::builder().deployment(Deployment::Cluster)
}

/// Lets users come, speak and go, before the store's data is copied and after; then the store comes back with the copy.
async fn restarts_with_older_data(builder: Builder) {
    let mut rollcall = builder.start().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 10).await;
    let mut watcher = watcher(&rollcall, &app, &TRUTH.map(|(user, ..)| user)).await;
    let mut says = log_in(&app, at(&rollcall, 0), "says", "d").await;
    let mut repeats = log_in(&app, at(&rollcall, 1), "repeats", "d").await;
    let mut silenced = log_in(&app, at(&rollcall, 0), "silenced", "d").await;
    let mut returns = log_in(&app, at(&rollcall, 0), "returns", "d").await;
    let mut logs_out = log_in(&app, at(&rollcall, 0), "logs_out", "d").await;
    let mut closes = log_in(&app, at(&rollcall, 1), "closes", "d").await;
    for user in [&mut says, &mut repeats, &mut silenced, &mut returns, &mut logs_out, &mut closes] {
        user.set("before").await.ok();
    }
    ring.say("before").await;

    let older = rollcall.engines().redis.copy_data();

    says.set("since").await.ok();
    // What is stored is true again, with a version that was overtaken.
    repeats.set("other").await.ok();
    repeats.set("before").await.ok();
    silenced.set("").await.ok();
    let mut once = log_in(&app, at(&rollcall, 0), "twice", "one").await;
    let mut again = app.session_by(at(&rollcall, 1), "PLATFORM_WEB", "twice", "two").await;
    once.set("first").await.ok();
    again.set("second").await.ok();
    let mut comes = log_in(&app, at(&rollcall, 1), "comes", "d").await;
    comes.set("new").await.ok();
    returns.close().await;
    watcher.expect("returns", |status| status.general == General::Offline).await;
    let _returned = log_in(&app, at(&rollcall, 1), "returns", "other").await;
    logs_out.logout().await.ok();
    closes.close().await;
    ring.say("since").await;
    ring.wait("the last text", |status| status.custom == "since").await;
    let before = all_true(&rollcall, &app).await;
    watcher.pushed_during(GRACE).await;

    let begun = Instant::now();
    rollcall.engines().redis.restart_with(&older);

    let mut after = Vec::new();
    eventually("all to be stored again with later versions", async || {
        after = stored(&rollcall, &app).await;
        let mut pairs = before.iter().zip(&after);
        after.len() == TRUTH.len()
            && pairs.all(|(before, after)| is_true(after) && after.version > before.version)
    })
    .await;
    eprintln!("all was stored again {:?} after the store was killed", begun.elapsed());
    for status in watcher.pushed_during(GRACE).await {
        let wire = Stored {
            user_id: status.user_id.to_string(),
            general: number(status.general),
            custom: status.custom,
            version: status.version,
        };
        // The gateways of both sessions tell what they know one after the other, and the later of the sets stands.
        let is_half_told =
            wire.user_id == "twice" && wire.custom.is_empty() && status.general == General::Online;
        assert!(is_true(&wire) || is_half_told, "{wire:?} is shown");
    }
    ring.assert_nobody_left();
    assert_all_noticed(&rollcall).await;

    ring.say("after").await;
    ring.wait("the text after", |status| status.custom == "after").await;
    says.lose().await;
    watcher.expect("says", |status| status.general == General::Offline).await;
    ring.assert_nobody_left();
    assert!(!rollcall.log().contains("ERROR"), "{}", rollcall.log());
}

/// Checks that each process has noticed the one new epoch, that something was lost and told again, and that presence judges
/// again.
async fn assert_all_noticed(rollcall: &Rollcall) {
    for service in ["presence", "gateway", "notifier"] {
        let series = format!("rollcall_{service}_store_epochs_total");
        assert_eq!(count(rollcall, &series).await, 2, "{service}: one for each process");
    }
    assert!(count(rollcall, "rollcall_presence_sets_put_back_total").await >= 3);
    assert!(count(rollcall, "rollcall_presence_statuses_raised_total").await >= 1);
    eventually("judging to go on", async || count(rollcall, "rollcall_presence_quiet").await == 0).await;
}

/// Waits until what is stored is true of everybody, and returns it.
async fn all_true(rollcall: &Rollcall, app: &App) -> Vec<Stored> {
    let mut all = Vec::new();
    eventually("the truth to be stored", async || {
        all = stored(rollcall, app).await;
        all.len() == TRUTH.len() && all.iter().all(is_true)
    })
    .await;
    all
}

/// Reads what is stored of each user, as a backend does; nothing while that cannot be read.
async fn stored(rollcall: &Rollcall, app: &App) -> Vec<Stored> {
    let request = GetUserStatusRequest {
        app_id: app.id,
        user_ids: TRUTH.map(|(user, ..)| user.to_owned()).to_vec(),
        ..GetUserStatusRequest::default()
    };
    let answered = rollcall.presence().get_user_status(request).await;
    answered.map(|response| response.into_inner().statuses).unwrap_or_default()
}

fn is_true(status: &Stored) -> bool {
    TRUTH.into_iter().any(|(user, general, custom)| {
        status.user_id == user && status.general == number(general) && status.custom == custom
    })
}

fn number(general: General) -> i32 {
    let wire = match general {
        General::Online => GeneralStatus::Online,
        General::Offline => GeneralStatus::Offline,
        General::Unlogined => GeneralStatus::Unlogined,
        General::Unknown => GeneralStatus::Unknown,
    };
    wire.into()
}

/// Adds up what all processes count of a series.
async fn count(rollcall: &Rollcall, series: &str) -> u64 {
    let mut all = 0;
    for ops in rollcall.ops() {
        let metrics = Metrics::read(ops).await;
        if metrics.series().any(|found| found == series) {
            all += metrics.of(series);
        }
    }
    all
}
