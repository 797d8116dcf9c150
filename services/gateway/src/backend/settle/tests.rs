//! Tests of calls that are lost, against nobody.

use std::sync::atomic::AtomicUsize;

use rollcall_domain::code::Code;
use rollcall_proto::refusal;
use rollcall_runtime::{Clock, grpc};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How long after its beginning the last moment of a call is.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// Makes a call that is answered as `answer` says, of how long it is since the first. Returns how it ended, how often
/// it was made, and how long it took.
async fn settle(
    not_after: u64,
    answer: impl Fn(Duration) -> Result<(), Status>,
) -> (Result<(), Refusal>, usize, Duration) {
    let endpoints = || Endpoints::new("http://127.0.0.1:1", Clock::new()).unwrap();
    let backend = Backend::new(endpoints(), endpoints(), TIMEOUT);
    let calls = AtomicUsize::new(0);
    let begun = tokio::time::sleep(Duration::ZERO).deadline();
    let passed = || tokio::time::sleep(Duration::ZERO).deadline() - begun;
    let call = async |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        answer(passed()).map(Response::new)
    };
    let ended = backend.settle(&backend.presence, not_after, call).await;
    (ended, calls.into_inner(), passed())
}

fn late() -> Status {
    refusal::to_status(&Refusal::new(Code::Timeout, "too late"))
}

/// The status of a call to an address at which nobody listens.
async fn unreachable() -> Status {
    let channel = grpc::channel("http://127.0.0.1:1").unwrap();
    let mut client = super::super::PresenceServiceClient::new(channel);
    client.logout(super::super::LogoutRequest::default()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_lost_on_its_way_is_made_again_once_its_last_moment_has_passed() {
    for (at_last, expected) in [(Ok(()), Code::Ok), (Err(late()), Code::Timeout)] {
        let answer = |passed| {
            if passed < LAST_MOMENT { Err(Status::unknown("transport error")) } else { at_last.clone() }
        };
        let (ended, _, passed) = settle(1, answer).await;
        assert_eq!(ended.err().map_or(Code::Ok, |refusal| refusal.code), expected);
        assert!(passed > LAST_MOMENT, "{passed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_stays_lost_is_answered_after_its_last_moment() {
    let (ended, _, passed) = settle(1, |_| Err(Status::unavailable("gone away"))).await;
    assert_eq!(ended.unwrap_err().code, Code::ServerTimeout);
    assert!(passed > LAST_MOMENT, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_or_never_left_is_not_held_up() {
    let (ended, calls, passed) = settle(1, |_| Ok(())).await;
    assert!(ended.is_ok() && calls == 1 && passed < LAST_MOMENT);
    let (ended, calls, passed) = settle(1, |_| Err(late())).await;
    assert!(ended.is_err() && calls == 1 && passed < LAST_MOMENT);
    let unreachable = unreachable().await;
    let (ended, calls, passed) = settle(1, |_| Err(unreachable.clone())).await;
    assert!(ended.is_err() && calls > 1 && passed < LAST_MOMENT, "{ended:?} {calls} {passed:?}");
    let (ended, calls, passed) = settle(0, |_| Err(Status::unknown("transport error"))).await;
    assert!(
        ended.is_err() && calls > 1 && passed < LAST_MOMENT,
        "without a last moment there is nothing to wait for"
    );
}
