//! Tests of logins that exclude each other, and of clients that come back.

use proptest::prelude::*;

use super::*;
use crate::code::{Code, Refusal};

fn group(policy: LoginPolicy, platform: Platform) -> Group {
    policy.group(Edition::Premium, platform)
}

/// The order of a login at this second: a time of the store, as versions are.
fn order_at(second: u64) -> RecordVersion {
    RecordVersion(at(second).0)
}

/// Logs in at second `counter` and gives the session its order, as the commit does. With `resumes` it is a client that
/// comes back by itself.
fn attempt(
    state: &UserState,
    counter: u64,
    (platform, name): (Platform, &str),
    group: Group,
    resumes: Option<RecordVersion>,
) -> Result<Decision, Refusal> {
    let login = Session::new(platform, device(name), resumes);
    let mut decision = state.on_login(session(counter), login, group, EXPIRY, at(counter))?.unwrap();
    let added = decision.state.sessions.get_mut(&session(counter)).unwrap();
    assert_eq!((added.order, added.place()), (None, resumes), "who comes back keeps its place");
    added.order = Some(order_at(counter));
    Ok(decision)
}

fn log_in(state: &UserState, counter: u64, on: (Platform, &str), policy: LoginPolicy) -> UserState {
    attempt(state, counter, on, group(policy, on.0), None).unwrap().state
}

fn come_back(
    state: &UserState,
    counter: u64,
    on: (Platform, &str),
    policy: LoginPolicy,
    since: u64,
) -> Result<UserState, Code> {
    let resumed = attempt(state, counter, on, group(policy, on.0), Some(order_at(since)));
    resumed.map(|decision| decision.state).map_err(|refusal| refusal.code)
}

const PHONE: (Platform, &str) = (Platform::Iphone, "phone");
const PAD: (Platform, &str) = (Platform::Ipad, "pad");
const MAC: (Platform, &str) = (Platform::Mac, "mac");
const BROWSER: (Platform, &str) = (Platform::Web, "browser");

// SPEC H4
#[test]
fn the_newer_login_kicks_the_older_in_one_commit_and_the_status_stays() {
    let state = log_in(&UserState::default(), 1, PHONE, LoginPolicy::Single);
    let decision = attempt(&state, 2, MAC, group(LoginPolicy::Single, MAC.0), None).unwrap();
    assert_eq!(decision.change, Some(Change::Sessions), "no OFFLINE in between, and no new version");
    assert_eq!(decision.ended, [(session(1), EndReason::Kicked)]);
    assert_eq!(decision.timers, [Timer::Remove(session(1)), Timer::Set(session(2), at(402))]);
    assert_eq!(decision.state.ended, decision.ended);
    let late = decision.state.on_connection_lost(session(1), EndReason::Closed, at(3)).unwrap();
    assert_eq!((late.change, late.state.marks.len()), (None, 0), "who was kicked leaves no mark");
}

// SPEC H4
#[test]
fn a_login_kicks_nobody_of_another_group() {
    let state = log_in(&UserState::default(), 1, MAC, LoginPolicy::Triple);
    let state = log_in(&state, 2, PHONE, LoginPolicy::Triple);
    let state = log_in(&state, 3, BROWSER, LoginPolicy::Triple);
    assert_eq!(state.sessions.len(), 3);
    let decision = attempt(&state, 4, PAD, group(LoginPolicy::Triple, PAD.0), None).unwrap();
    assert_eq!(decision.ended, [(session(2), EndReason::Kicked)]);
}

// SPEC H4
#[test]
fn of_a_group_the_oldest_login_goes_whatever_the_session_ids_say() {
    let mut state = UserState::default();
    for (counter, name) in [(9, "a"), (5, "b"), (7, "c")] {
        state = log_in(&state, counter, (Platform::Mac, name), LoginPolicy::Multi);
    }
    let (newest, oldest) = (session(5), session(7));
    state.sessions.get_mut(&newest).unwrap().order = Some(order_at(20));
    let decision = attempt(&state, 30, MAC, group(LoginPolicy::Multi, MAC.0), None).unwrap();
    assert_eq!(decision.ended, [(oldest, EndReason::Kicked)]);
}

// SPEC H4, G1
#[test]
fn a_stricter_policy_kicks_at_the_next_login_all_that_are_too_many() {
    let mut state = UserState::default();
    for counter in 1..=10 {
        state = log_in(&state, counter, (Platform::Web, &format!("tab{counter}")), LoginPolicy::Multi);
    }
    let decision = attempt(&state, 11, PHONE, group(LoginPolicy::Single, PHONE.0), None).unwrap();
    assert_eq!(decision.ended.len(), 10);
    assert_eq!(decision.state.sessions.keys().copied().collect::<Vec<_>>(), [session(11)]);
}

// SPEC H5
#[test]
fn the_same_device_is_replaced_and_not_kicked_and_needs_no_other_place() {
    let state = log_in(&UserState::default(), 1, MAC, LoginPolicy::Single);
    let decision = attempt(&state, 2, MAC, group(LoginPolicy::Single, MAC.0), None).unwrap();
    assert_eq!(decision.ended, [(session(1), EndReason::Replaced)]);
    let mut state = UserState::default();
    for (counter, name) in [(1, "a"), (2, "b"), (3, "c")] {
        state = log_in(&state, counter, (Platform::Mac, name), LoginPolicy::Multi);
    }
    let decision = attempt(&state, 4, (Platform::Mac, "b"), group(LoginPolicy::Multi, MAC.0), None).unwrap();
    assert_eq!(decision.ended, [(session(2), EndReason::Replaced)]);
}

// SPEC A3
#[test]
fn a_login_removes_the_marks_of_whom_its_policy_would_have_kicked_and_no_others() {
    let marked = |policy| {
        let mut state = UserState::default();
        for (counter, on) in [(1, PHONE), (2, BROWSER)] {
            state = lost(&log_in(&state, counter, on, LoginPolicy::Multi), counter, 5);
        }
        log_in(&state, 6, MAC, policy).marks.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(marked(LoginPolicy::Single), []);
    assert_eq!(marked(LoginPolicy::Dual), [Platform::Web]);
    assert_eq!(marked(LoginPolicy::Triple), [Platform::Iphone, Platform::Web]);
    assert_eq!(marked(LoginPolicy::Multi), [Platform::Iphone, Platform::Web]);
}

// SPEC H4, FAULT 26
#[test]
fn who_comes_back_by_itself_never_kicks_a_newer_login() {
    let single = LoginPolicy::Single;
    let state = lost(&log_in(&UserState::default(), 1, PHONE, single), 1, 2);
    let state = log_in(&state, 3, MAC, single);
    assert_eq!(come_back(&state, 4, PHONE, single, 1), Err(Code::Kicked));
    assert!(attempt(&state, 4, PHONE, group(single, PHONE.0), None).is_ok(), "a login of its own takes over");
}

// SPEC H4, FAULT 26
#[test]
fn who_was_kicked_does_not_come_back_even_if_the_newer_login_has_left() {
    let single = LoginPolicy::Single;
    let state = log_in(&log_in(&UserState::default(), 1, PHONE, single), 2, MAC, single);
    let state = state.on_logout(session(2), at(3)).unwrap().state;
    assert_eq!(state.general(), General::Unlogined);
    assert_eq!(come_back(&state, 4, PHONE, single, 1), Err(Code::Kicked));
    assert!(come_back(&UserState::default(), 4, PHONE, single, 1).is_ok(), "the store has lost all");
}

// SPEC H4
#[test]
fn who_comes_back_keeps_its_place_and_kicks_older_logins() {
    let single = LoginPolicy::Single;
    let state = lost(&log_in(&UserState::default(), 3, MAC, single), 3, 4);
    let state = come_back(&state, 5, MAC, single, 3).unwrap();
    assert_eq!(state.sessions[&session(5)].place(), Some(order_at(3)));
    // That the reply was lost does not make a session newer than itself.
    let state = come_back(&state, 6, MAC, single, 3).unwrap();
    let older = Session { order: Some(order_at(1)), ..of(PHONE.0, PHONE.1) };
    let state = UserState { sessions: [(session(2), older)].into(), ..state };
    let state = come_back(&state, 7, MAC, single, 3).unwrap();
    assert_eq!(state.ended.last(), Some(&(session(2), EndReason::Kicked)));
}

// SPEC H4
#[test]
fn who_comes_back_takes_a_free_place_and_none_that_newer_logins_hold() {
    let multi = LoginPolicy::Multi;
    let mut state = UserState::default();
    for (counter, name) in [(1, "a"), (2, "b"), (3, "c")] {
        state = log_in(&state, counter, (Platform::Mac, name), multi);
    }
    let state = lost(&state, 1, 4);
    assert!(come_back(&state, 5, (Platform::Mac, "a"), multi, 1).is_ok());
    let state = log_in(&state, 6, (Platform::Mac, "d"), multi);
    assert_eq!(come_back(&state, 7, (Platform::Mac, "a"), multi, 1), Err(Code::Kicked));
}

// SPEC H5, FAULT 26
#[test]
fn two_clients_with_one_device_id_do_not_fight() {
    let multi = LoginPolicy::Multi;
    let state = log_in(&log_in(&UserState::default(), 1, MAC, multi), 2, MAC, multi);
    assert_eq!(come_back(&state, 3, MAC, multi, 1), Err(Code::Kicked));
    assert!(come_back(&state, 3, MAC, multi, 2).is_ok());
}

// SPEC H4, A11
#[test]
fn a_session_whose_place_newer_logins_have_taken_cannot_be_asserted() {
    let single = group(LoginPolicy::Single, Platform::Web);
    let state = log_in(&UserState::default(), 2, MAC, LoginPolicy::Single);
    let older = Session { order: Some(order_at(1)), ..of(Platform::Web, "d") };
    let assert = |login: &Session, group| state.on_assert(&assertion(1, login.clone()), group, at(9), at(3));
    assert_eq!(assert(&older, single), Err(EndReason::Kicked));
    assert!(assert(&older, group(LoginPolicy::Dual, Platform::Web)).is_ok());
    let newer = Session { order: Some(order_at(3)), ..older };
    let held = assert(&newer, single).unwrap().unwrap();
    assert_eq!(held.ended, [(session(2), EndReason::Kicked)]);
}

// SPEC A5, A11
#[test]
fn of_two_sessions_of_one_client_the_later_is_not_asserted_away_by_the_earlier() {
    let multi = LoginPolicy::Multi;
    let state = lost(&log_in(&UserState::default(), 1, MAC, multi), 1, 2);
    let back = come_back(&state, 3, MAC, multi, 1).unwrap();
    let assert = |state: &UserState, order, continues| {
        let order = Some(order_at(order));
        let login = Session { order, continues, ..of(MAC.0, MAC.1) };
        state.on_assert(&assertion(9, login), group(multi, MAC.0), at(9), at(5))
    };
    assert_eq!(assert(&back, 1, None), Err(EndReason::Replaced));
    let returned = assert(&back, 4, Some(order_at(1))).unwrap().unwrap();
    assert_eq!(returned.ended, [(session(3), EndReason::Replaced)]);
}

/// One login of a run: where, whether the client comes back and since when, and whether it is lost at once.
fn step() -> impl Strategy<Value = (Platform, u8, Option<u64>, bool)> {
    let platform = prop::sample::select(&Platform::ALL[..]);
    (platform, 0u8..14, prop::option::of(1u64..40), prop::bool::weighted(0.2))
}

proptest! {
    // SPEC H4
    #[test]
    fn no_group_exceeds_its_limit_and_the_newest_login_always_survives(
        policy in prop::sample::select(&LoginPolicy::ALL[..]),
        edition in prop::sample::select(&[Edition::Standard, Edition::Premium][..]),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut state = UserState::default();
        let mut newest = RecordVersion(0);
        for (counter, (platform, name, since, leaves)) in (100u64..).zip(steps) {
            let group = policy.group(edition, platform);
            // Orders are unique, as those that were given to a client are.
            let resumes = since.map(|since| RecordVersion(order_at(counter - since).0 + counter));
            let on = (platform, format!("d{name}"));
            let Ok(decision) = attempt(&state, counter, (on.0, &on.1), group, resumes) else { continue };
            prop_assert_eq!(decision.state.general(), General::Online);
            let place = decision.state.sessions[&session(counter)].place();
            for (id, _) in &decision.ended {
                prop_assert!(group.holds(state.sessions[id].platform), "a login of another group is ended");
                prop_assert!(state.sessions[id].place() < place, "an older login has ended a newer one");
            }
            state = decision.state;
            newest = newest.max(place.unwrap());
            for platform in Platform::ALL {
                let group = policy.group(edition, platform);
                let held = state.sessions.values().filter(|other| group.holds(other.platform)).count();
                prop_assert!(held <= group.limit, "{policy:?} {platform} {held}");
            }
            let survives = state.sessions.values().any(|session| session.place() == Some(newest));
            prop_assert!(newest == RecordVersion(0) || survives, "the newest login is gone");
            if leaves {
                state = state.on_connection_lost(session(counter), EndReason::Closed, at(counter)).unwrap().state;
                newest = state.sessions.values().filter_map(Session::place).max().unwrap_or_default();
            }
        }
    }
}
