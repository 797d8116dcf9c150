//! Commits that a server executes after their time.

use std::time::Duration;

use rollcall_testkit::RedisServer;

use super::given::{Served, options};
use crate::{
    contract::given::{key, tell},
    port::{Commit, Error, Outcome, Store as _},
    redis::Options,
};

/// How long a commit is good for.
const GOOD_FOR: Duration = Duration::from_millis(500);

/// How long anything that ought to happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

// FAULT 10
#[tokio::test]
async fn a_commit_that_a_silent_server_finds_after_its_time_is_not_applied() {
    let timed = sent_to_a_silent_server(true).await;
    assert_eq!(answer(async || timed.get(&[key("a")]).await).await, [None]);
    assert_eq!(answer(async || timed.heads().await).await.sequences.iter().sum::<u64>(), 0);

    let endless = sent_to_a_silent_server(false).await;
    let records = answer(async || endless.get(&[key("a")]).await).await;
    assert!(records[0].is_some(), "the server did find the commit");
}

/// Sends a commit to a server that stands still until the time of the commit has passed. The connection stays the
/// same, and its replies come in order: whatever the store answers next, it answers after the commit.
async fn sent_to_a_silent_server(timed: bool) -> Served {
    let response_timeout = Duration::from_millis(200);
    let patient = Options { response_timeout, timeouts_before_rebuild: u32::MAX, ..options() };
    let store = Served::on(RedisServer::start(), patient).await;
    let last = answer(async || store.now().await).await.plus(GOOD_FOR);
    let commit = Commit { not_after: timed.then_some(last), ..tell(key("a"), None, "one") };

    store.server.pause();
    let lost = store.commit(commit).await;
    tokio::time::sleep(GOOD_FOR * 2).await;
    store.server.resume();

    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    store
}

/// Asks until there is an answer: a busy machine may be silent for longer than the store waits.
async fn answer<T>(ask: impl AsyncFn() -> Result<T, Error>) -> T {
    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(answer) = ask().await {
                return answer;
            }
        }
    });
    asked.await.expect("the store answers")
}

#[tokio::test]
async fn a_commit_is_late_in_microseconds() {
    let store = Served::start().await;
    let now = store.now().await.unwrap();

    let late = Commit { not_after: Some(now.minus(Duration::from_micros(1))), ..tell(key("a"), None, "one") };
    assert_eq!(store.commit(late).await.unwrap(), Outcome::Late);
    let in_time =
        Commit { not_after: Some(now.plus(Duration::from_secs(60))), ..tell(key("a"), None, "one") };
    assert!(matches!(store.commit(in_time).await.unwrap(), Outcome::Committed(_)));
}
