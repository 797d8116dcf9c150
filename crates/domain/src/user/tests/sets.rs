//! Last sets that a store has lost and that gateways tell again.

use proptest::prelude::*;

use super::{any, *};

/// Reads a decision as stored in the record of this version, as the codec does.
fn stored(decision: Decision, version: u64) -> UserState {
    let mut state = decision.state;
    for session in state.sessions.values_mut() {
        session.order.get_or_insert(RecordVersion(version));
    }
    if state.custom_from == CustomFrom::ThisCommit {
        state.custom_from = CustomFrom::Version(RecordVersion(version));
    }
    state
}

fn log_in(state: &UserState, counter: u64, version: u64) -> UserState {
    let name = format!("d{counter}");
    stored(try_login(state, counter, Platform::Web, &name, version).unwrap(), version)
}

fn say(state: &UserState, counter: u64, text: &str, clear_at: Option<u64>, version: u64) -> UserState {
    let custom = CustomStatus::new(text).unwrap();
    let decision = state.on_set_custom(session(counter), Op(version), custom, clear_at.map(at), at(version));
    stored(decision.unwrap().unwrap(), version)
}

fn last_set(text: &str, clear_at: Option<u64>, version: u64) -> LastSet {
    LastSet {
        op: Op(version),
        custom: CustomStatus::new(text).unwrap(),
        clear_at: clear_at.map(at),
        version: RecordVersion(version),
    }
}

/// Asserts a session of the boot that it began in.
fn assert(state: &UserState, counter: u64, order: u64, set: Option<LastSet>, now: u64) -> Option<Decision> {
    let id = session(counter);
    let login = Session { order: Some(RecordVersion(order)), ..of(Platform::Web, &format!("d{counter}")) };
    let assertion = Assertion { session: id, former: id, login, last_set: set };
    state.on_assert(&assertion, any(Platform::Web), at(now + 400), at(now)).unwrap()
}

// FAULT 11, SPEC B5
#[test]
fn a_lost_set_of_a_session_that_is_held_comes_back_above_its_version_and_only_once() {
    let state = log_in(&UserState::default(), 1, 10);
    let decision = assert(&state, 1, 10, Some(last_set("busy", Some(90), 20)), 30).unwrap();
    assert_eq!((decision.state.custom.as_str(), decision.floor), ("busy", RecordVersion(20)));
    assert_eq!(decision.change, Some(Change::Status));
    assert_eq!(decision.timers, [Timer::SetClear(at(90))]);
    assert_eq!(decision.state.sessions[&session(1)].last_op, Op(20));
    assert_eq!(assert(&decision.state, 1, 10, Some(last_set("busy", Some(90), 20)), 40), None);
}

// FAULT 11
#[test]
fn a_lost_set_comes_back_in_the_change_that_holds_its_session_again() {
    let decision = assert(&UserState::default(), 1, 10, Some(last_set("busy", None, 20)), 30).unwrap();
    assert_eq!(decision.state.status(), Status { general: General::Online, custom: custom("busy") });
    assert_eq!((decision.change, decision.floor), (Some(Change::Status), RecordVersion(20)));
}

// FAULT 11, SPEC B6
#[test]
fn a_lost_set_whose_time_to_clear_has_passed_comes_back_as_cleared_and_one_that_cleared_does_not_come_back() {
    let before = say(&log_in(&UserState::default(), 1, 10), 1, "old", None, 15);
    let decision = assert(&before, 1, 10, Some(last_set("brief", Some(25), 20)), 30).unwrap();
    assert_eq!((decision.state.custom.as_str(), decision.state.clear_at), ("", None));

    let cleared = say(&before, 1, "brief", Some(25), 20).on_clear_due(at(26)).unwrap().state;
    assert_eq!(assert(&cleared, 1, 10, Some(last_set("brief", Some(25), 20)), 30), None);
    // Nor does the clear stand in the way of what was set before it and lost.
    let decision = assert(&cleared, 1, 10, Some(last_set("next", None, 22)), 30).unwrap();
    assert_eq!(decision.state.custom.as_str(), "next");
}

// FAULT 11, SPEC B3
#[test]
fn nothing_of_before_the_user_left_online_comes_back() {
    let said = say(&log_in(&UserState::default(), 1, 10), 1, "busy", None, 20);
    let left = stored(said.on_connection_lost(session(1), EndReason::Closed, at(30)).unwrap(), 30);
    let back = assert(&left, 1, 10, Some(last_set("busy", None, 20)), 40).unwrap();
    assert_eq!(back.state.status(), Status { general: General::Online, custom: custom("") });
    assert_eq!(back.floor, RecordVersion(0));

    // The leaving itself was lost: a session that began after it tells that it found nothing.
    let bare = LastSet { op: Op::NONE, ..last_set("", None, 30) };
    let decision = assert(&said, 2, 35, Some(bare), 40).unwrap();
    assert_eq!(decision.state.custom.as_str(), "");
}

// SPEC B5
#[test]
fn a_set_is_told_its_version_while_it_is_what_the_custom_status_is_from() {
    let said = say(&log_in(&UserState::default(), 1, 10), 1, "busy", None, 20);
    assert_eq!(said.version_of_set(&custom("busy"), None), Some(RecordVersion(20)));
    assert_eq!(said.version_of_set(&custom("busy"), Some(at(50))), None);
    assert_eq!(said.version_of_set(&custom("other"), None), None);
    assert_eq!(UserState::default().version_of_set(&custom(""), None), None);
}

fn custom(text: &str) -> CustomStatus {
    CustomStatus::new(text).unwrap()
}

/// A step of a history: who comes, says something, or goes.
#[derive(Debug, Clone)]
enum Step {
    Login(u64),
    Set(u64, String),
    Lost(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let counter = || 1u64..5;
    prop_oneof![
        2 => counter().prop_map(Step::Login),
        3 => (counter(), "[a-e]{0,1}").prop_map(|(counter, text)| Step::Set(counter, text)),
        1 => counter().prop_map(Step::Lost),
    ]
}

/// What the gateway of a session keeps of it.
#[derive(Debug, Clone)]
struct Kept {
    order: u64,
    last_set: Option<LastSet>,
}

/// A history: the state after each step, and in the end what gateways keep of live sessions.
fn played(steps: &[Step]) -> (Vec<UserState>, BTreeMap<u64, Kept>) {
    let mut states = vec![UserState::default()];
    let mut kept: BTreeMap<u64, Kept> = BTreeMap::new();
    // A session id is never used again once it has ended.
    let mut ids: BTreeMap<u64, u64> = BTreeMap::new();
    for (step, version) in steps.iter().zip((1..).map(|n| n * 10)) {
        let before = states.last().unwrap();
        let after = match step {
            Step::Login(n) => {
                let id = ids.entry(*n).or_insert(*n);
                if kept.contains_key(id) {
                    continue;
                }
                *id += 100;
                let after = log_in(before, *id, version);
                let since = after.version_of_set(&custom(""), None);
                let last_set = since.map(|since| LastSet { op: Op::NONE, ..last_set("", None, since.0) });
                kept.insert(*id, Kept { order: version, last_set });
                after
            }
            Step::Set(n, text) => {
                let Some(of) = ids.get(n).and_then(|id| kept.get_mut(id)) else { continue };
                of.last_set = Some(last_set(text, None, version));
                say(before, ids[n], text, None, version)
            }
            Step::Lost(n) => {
                let Some(id) = ids.get(n).filter(|id| kept.remove(id).is_some()) else { continue };
                let lost = before.on_connection_lost(session(*id), EndReason::Closed, at(version));
                stored(lost.unwrap(), version)
            }
        };
        states.push(after);
    }
    (states, kept)
}

proptest! {
    // FAULT 11
    #[test]
    fn whatever_was_lost_the_latest_set_that_somebody_knows_stands_in_whatever_order_sessions_are_asserted(
        steps in prop::collection::vec(step(), 1..40),
        survived in 0..40_usize,
        order in Just((1u64..5).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (states, kept) = played(&steps);
        let found = &states[survived % states.len()];
        let truth = states.last().unwrap();

        let mut state = found.clone();
        let mut asserts: Vec<_> = kept.iter().collect();
        asserts.sort_by_key(|(id, _)| order.iter().position(|n| **id % 100 == *n));
        for ((id, kept), now) in asserts.into_iter().zip(1_000..) {
            if let Some(decision) = assert(&state, *id, kept.order, kept.last_set.clone(), now) {
                state = stored(decision, now);
            }
        }

        let known = kept.values().filter_map(|kept| kept.last_set.as_ref());
        let latest = known.max_by_key(|set| set.version).filter(|set| {
            CustomFrom::Version(set.version) > found.custom_from
        });
        let expected = latest.map_or(found.custom.as_str(), |set| set.custom.as_str());
        prop_assert_eq!(state.custom.as_str(), if kept.is_empty() { found.custom.as_str() } else { expected });
        // Where a live session made the last set, or nobody did since the user left ONLINE, that is the truth.
        let is_known = kept.values().any(|kept| {
            kept.last_set.as_ref().is_some_and(|set| CustomFrom::Version(set.version) == truth.custom_from)
        });
        if is_known {
            prop_assert_eq!(state.custom.as_str(), truth.custom.as_str());
        }
    }
}
