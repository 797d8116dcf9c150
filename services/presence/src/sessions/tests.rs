//! Tests of what gateways call, over the memory store.

use std::sync::atomic::Ordering;

use rollcall_domain::app::Edition;
use rollcall_proto::{event::v1::ChangeKind, trace::TraceParent};
use rollcall_store::{Commit, Key, port::Write};
use serde_json::json;

use super::*;
use crate::fixture::{
    EXPIRY, Fixture, START, app, by, caller, claims, code, seconds, session, settings, text, token, user,
};

const ONLINE: i32 = 1;
const OFFLINE: i32 = 2;
const UNLOGINED: i32 = 3;

async fn set(fixture: &Fixture, counter: u64, text: &str) -> Result<(Status, StatusVersion), Error> {
    set_as(fixture, counter, 0, text).await
}

async fn set_as(
    fixture: &Fixture,
    counter: u64,
    op: u64,
    text: &str,
) -> Result<(Status, StatusVersion), Error> {
    let trace = TraceParent::default();
    fixture
        .parts
        .sessions
        .set_self_status(&caller("alice", counter), &crate::fixture::text(Op(op), text), &trace)
        .await
        .map(|stored| (stored.status, stored.version))
}

async fn query(fixture: &Fixture, ids: &[&str]) -> Result<Answers, Error> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    fixture.parts.sessions.get_user_status(by(&ids, None)).await
}

// SPEC A2
#[tokio::test]
async fn a_login_makes_online_and_answers_with_what_it_left() {
    let fixture = Fixture::new().await;
    let done = fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(fixture.status("alice").await, (ONLINE, String::new(), done.version.0));
    assert_eq!(settings(&done).edition, Edition::Premium);
    assert_eq!(done.token_expires_at, seconds(START + 1_000_000));
    assert_eq!(fixture.timers("alice").await[0].deadline, seconds(START).plus(EXPIRY));
}

// SPEC H1
#[tokio::test]
async fn a_login_is_refused_by_the_first_fault_in_order() {
    let fixture = Fixture::new().await;
    let other_app = Caller { app: AppId::new(8).unwrap(), ..caller("alice", 1) };
    let expired = json!({ "sub": "bob", "aud": "9", "exp": 1 });
    let try_log_in = |caller, token| fixture.try_log_in(caller, Platform::Web, "d", token);
    assert_eq!(code(try_log_in(other_app, String::new()).await), Code::AppUnknown);
    assert_eq!(code(try_log_in(caller("alice", 1), token("other", &expired)).await), Code::BadToken);
    assert_eq!(code(try_log_in(caller("alice", 1), token(&fixture.key, &expired)).await), Code::AppMismatch);
    let other = token(&fixture.key, &claims("bob"));
    assert_eq!(code(try_log_in(caller("alice", 1), other).await), Code::UserMismatch);
    assert_eq!(fixture.status("alice").await, (UNLOGINED, String::new(), 0));
    assert!(fixture.timers("alice").await.is_empty());
}

// SPEC H1
#[tokio::test]
async fn a_token_is_judged_by_the_clock_of_the_store() {
    let fixture = Fixture::new().await;
    let token = token(&fixture.key, &json!({ "sub": "alice", "aud": 7, "exp": START + 10 }));
    fixture.advance(Duration::from_micros(9_999_999));
    fixture.try_log_in(caller("alice", 1), Platform::Web, "d", token.clone()).await.unwrap();
    fixture.advance(Duration::from_micros(1));
    let late = fixture.try_log_in(caller("alice", 2), Platform::Web, "d", token).await;
    assert_eq!(code(late), Code::TokenExpired);
}

// SPEC G3
#[tokio::test]
async fn a_token_of_one_app_is_malformed_in_another() {
    let fixture = Fixture::new().await;
    let other = AppId::new(8).unwrap();
    fixture.parts.admin.create(other, "test", &crate::admin::Wish::default()).await.unwrap();
    let caller = Caller { app: other, ..caller("alice", 1) };
    let token = token(&fixture.key, &json!({ "sub": "alice", "aud": "8", "exp": START + 10 }));
    let refused = fixture.try_log_in(caller, Platform::Web, "d", token).await;
    assert_eq!(code(refused), Code::BadToken);
}

#[tokio::test]
async fn a_login_twice_is_a_login_once() {
    let fixture = Fixture::new().await;
    let first = fixture.log_in("alice", 1, Platform::Web).await;
    let second = fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!((second.order, second.version), (first.order, first.version));
    assert_eq!(fixture.outbox("alice").await.len(), 1);
}

// SPEC H5
#[tokio::test]
async fn the_same_device_replaces_its_session_silently() {
    let fixture = Fixture::new().await;
    let first = fixture.log_in_on("alice", 1, Platform::Web, "d").await;
    let second = fixture.log_in_on("alice", 2, Platform::Web, "d").await;
    assert!(first.order < second.order);
    assert_eq!(first.version, second.version);
    let entry = fixture.outbox("alice").await.remove(1);
    assert_eq!(entry.kind(), ChangeKind::Sessions);
    assert_eq!(entry.ended[0].reason, 5, "replaced");
    assert_eq!(fixture.timers("alice").await.len(), 1);
}

// SPEC H4
#[tokio::test]
async fn the_11th_session_on_the_web_kicks_the_oldest() {
    let fixture = Fixture::new().await;
    for counter in 1..=11 {
        fixture.advance(Duration::from_millis(1));
        fixture.log_in("alice", counter, Platform::Web).await;
    }
    let entry = fixture.outbox("alice").await.pop().unwrap();
    assert_eq!(entry.sessions.len(), 10);
    let [kicked] = entry.ended.try_into().unwrap();
    assert_eq!((kicked.session.unwrap().counter, kicked.reason), (1, 4));
}

// SPEC H6
#[tokio::test]
async fn a_logout_is_stored_with_its_reply_and_a_second_one_is_no_error() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    for _ in 0..2 {
        fixture.parts.sessions.logout(&caller("alice", 1), &TraceParent::default()).await.unwrap();
        assert_eq!(fixture.status("alice").await.0, UNLOGINED);
    }
    assert!(fixture.timers("alice").await.is_empty());
    assert_eq!(fixture.outbox("alice").await.len(), 2);
}

// SPEC B1
#[tokio::test]
async fn a_custom_status_of_101_bytes_or_with_a_nul_is_refused_and_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, &"x".repeat(100)).await.unwrap();
    let before = fixture.status("alice").await;
    for bad in ["x".repeat(101), "한".repeat(34), "a\0b".to_owned()] {
        assert_eq!(code(set(&fixture, 1, &bad).await), Code::InvalidParameter);
    }
    assert_eq!(fixture.status("alice").await, before);
}

// SPEC B5
#[tokio::test]
async fn an_equal_text_is_answered_with_the_version_it_has() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let first = set(&fixture, 1, "busy").await.unwrap();
    let entries = fixture.outbox("alice").await.len();
    fixture.advance(Duration::from_secs(1));
    assert_eq!(set(&fixture, 1, "busy").await.unwrap(), first);
    assert_eq!(fixture.outbox("alice").await.len(), entries);
    assert!(set(&fixture, 1, "").await.unwrap().1 > first.1);
}

// FAULT 25
#[tokio::test]
async fn a_copy_of_a_set_changes_nothing_and_is_answered_with_the_status_as_it_is() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Iphone).await;
    set_as(&fixture, 1, 1, "first").await.unwrap();
    let of_the_other = set_as(&fixture, 2, 1, "of the other").await.unwrap();
    assert_eq!(of_the_other.0.custom.as_str(), "of the other");
    assert_eq!(set_as(&fixture, 1, 1, "first").await.unwrap(), of_the_other);

    let third = set_as(&fixture, 1, 3, "third").await.unwrap();
    let entries = fixture.outbox("alice").await.len();
    assert_eq!(set_as(&fixture, 1, 2, "second").await.unwrap(), third);
    assert_eq!(set_as(&fixture, 1, 3, "third").await.unwrap(), third);
    assert_eq!(set_as(&fixture, 1, 4, "third").await.unwrap(), third, "an equal text makes no version");
    assert_eq!(fixture.status("alice").await, (ONLINE, "third".to_owned(), third.1.0));
    assert_eq!(fixture.outbox("alice").await.len(), entries, "nobody is told");
}

// FAULT 10
#[tokio::test]
async fn a_set_or_logout_whose_reply_was_lost_and_that_another_commit_overtook_is_made_all_the_same() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    // The first commit of all writes the order of the login, as what is put back does.
    set_as(&fixture, 1, 1, "before").await.unwrap();
    let (trace, sessions) = (TraceParent::default(), &fixture.parts.sessions);
    let call = Call::until(&trace, Some(seconds(START + 1)));

    fixture.store.put_back.store(true, Ordering::SeqCst);
    let unnumbered = sessions.set_self_status(&caller("alice", 1), &text(Op::NONE, "unknown"), call).await;
    assert_eq!(code(unnumbered), Code::ServerTimeout, "it may have been made");
    fixture.store.put_back.store(true, Ordering::SeqCst);
    sessions.set_self_status(&caller("alice", 1), &text(Op(2), "after"), call).await.unwrap();
    assert_eq!(fixture.status("alice").await.1, "after");
    fixture.store.put_back.store(true, Ordering::SeqCst);
    sessions.logout(&caller("alice", 1), call).await.unwrap();
    assert_eq!(fixture.status("alice").await.0, UNLOGINED);
}

// SPEC K1
#[tokio::test]
async fn a_session_that_is_not_live_is_refused_before_its_text_is_looked_at() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(code(set(&fixture, 2, &"x".repeat(101)).await), Code::NotLoggedIn);
    assert_eq!(code(set(&fixture, 1, &"x".repeat(101)).await), Code::InvalidParameter);
}

// SPEC C5
#[tokio::test]
async fn answers_stand_in_order_of_first_mention_and_malformed_ids_fail_alone() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let answers = query(&fixture, &["zoe", "", "alice", "zoe", "a\tb", "alice", ""]).await.unwrap();
    let ids: Vec<_> =
        answers.statuses.iter().map(|(user, status, _)| (user.as_str(), status.general as i32)).collect();
    assert_eq!(ids, [("zoe", UNLOGINED), ("alice", ONLINE)]);
    let failures: Vec<_> = answers.failures.iter().map(|(id, refusal)| (id.as_str(), refusal.code)).collect();
    assert_eq!(failures, [("", Code::BadUserId), ("a\tb", Code::BadUserId)]);
}

// SPEC C3
#[tokio::test]
async fn a_query_names_1_to_500_ids_of_a_known_app() {
    let fixture = Fixture::new().await;
    let ids: Vec<String> = (0..501).map(|n| format!("user{n}")).collect();
    let sessions = &fixture.parts.sessions;
    assert_eq!(sessions.get_user_status(by(&ids[..500], None)).await.unwrap().statuses.len(), 500);
    assert_eq!(code(sessions.get_user_status(by(&ids, None)).await), Code::InvalidParameter);
    assert_eq!(code(sessions.get_user_status(by(&[], None)).await), Code::InvalidParameter);
    assert_eq!(
        code(sessions.get_user_status(Query { app: AppId::new(8).unwrap(), ..by(&ids[..1], None) }).await),
        Code::AppUnknown
    );
}

// SPEC C1, C4
#[tokio::test]
async fn only_queries_of_others_by_a_user_count_against_their_window() {
    let fixture = Fixture::new().await;
    let sessions = &fixture.parts.sessions;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let query = async |ids: &[String], caller: Option<&str>| {
        code(sessions.get_user_status(by(ids, caller.map(user))).await)
    };
    for _ in 0..20 {
        assert_eq!(query(&ids(&["alice", "bob"]), Some("bob")).await, Code::Ok);
        assert_eq!(query(&ids(&["bob", "bob"]), Some("bob")).await, Code::Ok);
        assert_eq!(query(&[], Some("bob")).await, Code::InvalidParameter);
    }
    assert_eq!(query(&ids(&["alice"]), Some("bob")).await, Code::RateLimit);
    assert_eq!(query(&ids(&["bob"]), Some("bob")).await, Code::Ok);
    assert_eq!(query(&ids(&["alice"]), Some("carol")).await, Code::Ok);
    for _ in 0..50 {
        assert_eq!(query(&ids(&["alice"]), None).await, Code::Ok);
    }
    fixture.store.away.store(true, Ordering::SeqCst);
    assert_ne!(query(&ids(&["alice"]), Some("bob")).await, Code::RateLimit, "what is not known is allowed");
}

// SPEC C5
#[tokio::test]
async fn if_all_ids_fail_the_call_fails() {
    let fixture = Fixture::new().await;
    assert_eq!(code(query(&fixture, &["", "\n"]).await), Code::BatchFailed);
}

// SPEC C5
#[tokio::test]
async fn a_record_that_cannot_be_read_fails_its_own_id_only() {
    let fixture = Fixture::new().await;
    let commit = Commit {
        key: Key::User(app(), user("broken")),
        expected: None,
        write: Write::Put(bytes::Bytes::from_static(b"\xff")),
        new_status: false,
        floor: RecordVersion(0),
        not_after: None,
        timers: Vec::new(),
        guards: Vec::new(),
        entry: None,
    };
    fixture.store.commit(commit).await.unwrap();
    let answers = query(&fixture, &["broken", "alice"]).await.unwrap();
    assert_eq!(answers.statuses.len(), 1);
    assert_eq!(answers.failures[0].1.code, Code::Internal);
    assert_eq!(code(query(&fixture, &["broken"]).await), Code::BatchFailed);
}

// SPEC C6
#[tokio::test]
async fn a_query_after_the_reply_to_a_set_sees_it() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    for text in ["one", "two", "three"] {
        let (_, version) = set(&fixture, 1, text).await.unwrap();
        assert_eq!(fixture.status("alice").await, (ONLINE, text.to_owned(), version.0));
    }
}

// SPEC K
#[tokio::test]
async fn while_the_store_is_away_calls_are_answered_with_a_server_timeout() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.store.away.store(true, Ordering::SeqCst);
    let good = token(&fixture.key, &claims("alice"));
    let login = fixture.try_log_in(caller("alice", 2), Platform::Web, "d", good).await;
    assert_eq!(code(login), Code::ServerTimeout);
    assert_eq!(code(set(&fixture, 1, "x").await), Code::ServerTimeout);
    let logout = fixture.parts.sessions.logout(&caller("alice", 1), &TraceParent::default()).await;
    assert_eq!(code(logout), Code::ServerTimeout);
    fixture.store.away.store(false, Ordering::SeqCst);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
}

// SPEC A5
#[tokio::test]
async fn a_user_with_two_devices_stays_online_while_one_is() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Iphone).await;
    let trace = TraceParent::default();
    fixture.parts.sessions.logout(&caller("alice", 2), &trace).await.unwrap();
    assert_eq!(fixture.status("alice").await.0, ONLINE);
    fixture
        .parts
        .sessions
        .users
        .apply(app(), &user("alice"), &trace, |state, now| {
            Ok(state.on_connection_lost(session(1), rollcall_domain::user::EndReason::Closed, now))
        })
        .await
        .unwrap();
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
}

/// Asks for details, and returns each user with the platforms and the second of leaving.
async fn details(
    fixture: &Fixture,
    names: &[&str],
    caller: Option<&str>,
) -> Vec<(String, Vec<Platform>, Option<u64>)> {
    let ids: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let query = Query { with_details: true, ..by(&ids, caller.map(user)) };
    let answers = fixture.parts.sessions.get_user_status(query).await.unwrap();
    let detail = |detail: Detail| {
        let left = detail.left_online_at.map(Timestamp::seconds);
        (detail.user.to_string(), detail.platforms.into_iter().collect(), left)
    };
    answers.details.into_iter().map(detail).collect()
}

// SPEC A9
#[tokio::test]
async fn details_tell_the_platforms_of_who_is_online_and_when_the_others_left() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Iphone).await;
    fixture.log_in("alice", 3, Platform::Web).await;
    let versions = (fixture.status("alice").await, fixture.outbox("alice").await.len());
    let of = async |caller| details(&fixture, &["alice", "nobody"], caller).await;
    let alice = |platforms: &[Platform], left| ("alice".to_owned(), platforms.to_vec(), left);
    let nobody = ("nobody".to_owned(), Vec::new(), None);
    assert_eq!(of(None).await, [alice(&[Platform::Iphone, Platform::Web], None), nobody.clone()]);
    assert_eq!((fixture.status("alice").await, fixture.outbox("alice").await.len()), versions);

    fixture.advance(EXPIRY);
    let over = [1, 2, 3].map(session);
    let expire = |state: &UserState, now| Ok(state.on_sessions_due(&over, &[], now));
    let users = &fixture.parts.sessions.users;
    users.apply(app(), &user("alice"), &TraceParent::default(), expire).await.unwrap();
    let left = START + EXPIRY.as_secs();
    assert_eq!(of(None).await, [alice(&[], Some(left)), nobody.clone()]);
    fixture.advance(EXPIRY);
    fixture.log_in("alice", 4, Platform::Mac).await;
    assert_eq!(of(None).await, [alice(&[Platform::Mac], None), nobody], "who is back has not left");
}

// SPEC A9
#[tokio::test]
async fn a_caller_is_told_no_details_of_others_and_who_asks_for_none_gets_none() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("bob", 2, Platform::Web).await;
    let named = async |names, caller| {
        let details = details(&fixture, names, caller).await.into_iter();
        details.map(|(name, ..)| name).collect::<Vec<_>>()
    };
    assert_eq!(named(&["alice"], Some("alice")).await, ["alice"]);
    assert_eq!(named(&["bob", "alice"], Some("alice")).await, ["alice"]);
    assert_eq!(named(&["bob"], Some("alice")).await, [""; 0]);
    let ids = ["alice".to_owned()];
    assert_eq!(fixture.parts.sessions.get_user_status(by(&ids, None)).await.unwrap().details, []);
}
