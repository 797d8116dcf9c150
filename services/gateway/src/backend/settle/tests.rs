//! Tests of calls that are lost, against nobody.

use std::sync::Mutex;

use rollcall_domain::code::Code;
use rollcall_proto::refusal;
use rollcall_runtime::{Clock, grpc};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a call that is answered in turn with these, and then with ok. Returns how it ended, how often it was made, and
/// how long it took.
async fn settle(
    not_after: u64,
    answers: impl IntoIterator<Item = Status>,
) -> (Result<(), Refusal>, usize, Duration) {
    let endpoints = || Endpoints::new("http://127.0.0.1:1", Clock::new()).unwrap();
    let backend = Backend::new(endpoints(), endpoints(), TIMEOUT);
    let answers = Mutex::new((answers.into_iter(), 0));
    let call = async |_| {
        let mut answers = answers.lock().unwrap();
        answers.1 += 1;
        answers.0.next().map_or_else(|| Ok(Response::new(())), Err)
    };
    let waited = tokio::time::sleep(Duration::ZERO);
    let begun = waited.deadline();
    let ended = backend.settle(&backend.presence, not_after, call).await;
    let passed = tokio::time::sleep(Duration::ZERO).deadline() - begun;
    (ended, answers.into_inner().unwrap().1, passed)
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
    for (second, expected) in [(None, Code::Ok), (Some(late()), Code::Timeout)] {
        let lost = [Status::unknown("transport error")].into_iter().chain(second);
        let (ended, calls, passed) = settle(1, lost).await;
        assert_eq!(ended.err().map_or(Code::Ok, |refusal| refusal.code), expected);
        assert_eq!(calls, 2);
        assert!(passed > TIMEOUT * 3 / 5, "{passed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_stays_lost_is_answered_after_its_last_moment() {
    let lost = || Status::unavailable("gone away");
    let (ended, _, passed) = settle(1, [lost(), lost(), lost(), lost()]).await;
    assert_eq!(ended.unwrap_err().code, Code::ServerTimeout);
    assert!(passed > TIMEOUT * 3 / 5, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_or_never_left_is_not_held_up() {
    let brief = Duration::from_secs(1);
    let (ended, calls, passed) = settle(1, []).await;
    assert!(ended.is_ok() && calls == 1 && passed < brief);
    let (ended, calls, passed) = settle(1, [late()]).await;
    assert!(ended.is_err() && calls == 1 && passed < brief);
    let (ended, calls, passed) = settle(1, [unreachable().await, unreachable().await]).await;
    assert!(ended.is_err() && calls == 2 && passed < brief, "{ended:?} {calls} {passed:?}");
    let (ended, calls, passed) = settle(0, [Status::unknown("transport error")]).await;
    assert!(
        ended.is_err() && calls == 1 && passed < brief,
        "without a last moment there is nothing to wait for"
    );
}
