//! What is shown, what is not, and what is forgotten.

use proptest::prelude::*;

use super::*;

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn status(id: &str, custom: &str, version: u64) -> UserStatus {
    UserStatus { user_id: user(id), general: General::Online, custom: custom.to_owned(), version }
}

fn alice() -> Diff {
    let mut diff = Diff::default();
    diff.start(user("alice"));
    diff
}

fn versions(statuses: &[UserStatus]) -> Vec<u64> {
    statuses.iter().map(|status| status.version).collect()
}

// SPEC F4
#[test]
fn only_a_greater_version_is_shown() {
    let mut diff = alice();
    let shown = diff.on_push(vec![status("bob", "a", 5), status("bob", "b", 4), status("bob", "a", 5)]);
    assert_eq!(versions(&shown), [5]);
    assert_eq!(versions(&diff.on_push(vec![status("bob", "a", 6)])), [6]);
}

#[test]
fn a_user_whose_status_never_changed_is_shown_once() {
    let mut diff = alice();
    assert_eq!(versions(&diff.on_push(vec![status("bob", "", 0)])), [0]);
    assert_eq!(versions(&diff.on_push(vec![status("bob", "", 0)])), []);
}

// SPEC F6
#[test]
fn after_a_reconnect_only_a_difference_is_shown() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "", 1), status("bob", "b", 2), status("carol", "c", 3)]);
    diff.on_reconnect();
    let sent = vec![status("alice", "", 7), status("bob", "b", 2), status("carol", "", 8)];
    assert_eq!(versions(&diff.on_push(sent)), [8]);
}

#[test]
fn while_connected_each_newer_version_is_shown_even_if_it_looks_the_same() {
    let mut diff = alice();
    diff.on_push(vec![status("bob", "b", 2)]);
    diff.on_reconnect();
    diff.on_push(vec![status("bob", "b", 2)]);
    assert_eq!(versions(&diff.on_push(vec![status("bob", "b", 3)])), [3]);
}

#[test]
fn a_version_that_was_no_difference_still_counts_as_shown() {
    let mut diff = alice();
    diff.on_push(vec![status("bob", "b", 2)]);
    diff.on_reconnect();
    assert_eq!(versions(&diff.on_push(vec![status("bob", "b", 5)])), []);
    assert_eq!(versions(&diff.on_push(vec![status("bob", "x", 4)])), []);
}

// SPEC B3
#[test]
fn a_text_that_was_cleared_while_away_is_shown_once() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "lunch", 1)]);
    diff.on_reconnect();
    assert_eq!(versions(&diff.on_push(vec![status("alice", "", 4)])), [4]);
    assert_eq!(versions(&diff.on_push(vec![status("alice", "", 4)])), []);
}

// SPEC B5
#[test]
fn setting_an_equal_text_is_shown_again() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "lunch", 1)]);
    let before = diff.own_version();
    assert_eq!(diff.on_set_reply(status("alice", "lunch", 1), before), Some(status("alice", "lunch", 1)));
}

// SPEC B5
#[test]
fn a_set_is_shown_once_whichever_of_push_and_reply_comes_first() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "", 1)]);
    let before = diff.own_version();
    assert_eq!(versions(&diff.on_push(vec![status("alice", "lunch", 2)])), [2]);
    assert_eq!(diff.on_set_reply(status("alice", "lunch", 2), before), None);

    let before = diff.own_version();
    assert!(diff.on_set_reply(status("alice", "tea", 3), before).is_some());
    assert_eq!(versions(&diff.on_push(vec![status("alice", "tea", 3)])), []);
}

#[test]
fn a_reply_older_than_what_is_shown_is_not_shown() {
    let mut diff = alice();
    let before = diff.own_version();
    diff.on_push(vec![status("alice", "newer", 9)]);
    assert_eq!(diff.on_set_reply(status("alice", "mine", 8), before), None);
}

// SPEC F4
#[test]
fn subscribing_anew_starts_anew() {
    let mut diff = alice();
    diff.on_push(vec![status("bob", "b", 2), status("carol", "c", 3)]);
    diff.forget(["bob", "\n", "nobody"]);
    let again = vec![status("bob", "b", 2), status("carol", "c", 3)];
    assert_eq!(versions(&diff.on_push(again.clone())), [2]);
    diff.forget_others();
    assert_eq!(versions(&diff.on_push(again)), [2, 3]);
}

#[test]
fn the_own_status_is_never_forgotten() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "", 1)]);
    diff.forget(["alice"]);
    diff.forget_others();
    assert_eq!(diff.own_version(), Some(1));
}

#[test]
fn at_the_limit_the_oldest_change_is_forgotten_but_never_the_own() {
    let mut diff = alice();
    diff.on_push(vec![status("alice", "", 0)]);
    for n in 1..=MAX_USERS as u64 {
        diff.on_push(vec![status(&format!("u{n}"), "", n)]);
    }
    assert_eq!(diff.shown.len(), MAX_USERS);
    assert_eq!(diff.own_version(), Some(0));
    assert!(!diff.shown.contains_key(&user("u1")));
    assert!(diff.shown.contains_key(&user("u2")));
}

#[derive(Debug, Clone)]
enum Step {
    Push { user: usize, version: u64 },
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 0..40_u64).prop_map(|(user, version)| Step::Push { user, version }),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    // SPEC F4, F6: whatever arrives in whatever order, versions strictly increase, and what a listener was told
    // last looks like the newest that arrived.
    #[test]
    fn a_listener_sees_increasing_versions_and_ends_with_the_newest(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        const IDS: [&str; 3] = ["alice", "bob", "carol"];
        let mut diff = alice();
        let mut newest: BTreeMap<usize, UserStatus> = BTreeMap::new();
        let mut told: BTreeMap<usize, UserStatus> = BTreeMap::new();
        for step in steps {
            let Step::Push { user, version } = step else { diff.on_reconnect(); continue };
            // The content is a function of the version, as it is on the server.
            let sent = status(IDS[user], if version % 3 == 0 { "" } else { "busy" }, version);
            if newest.get(&user).is_none_or(|newest| newest.version < version) {
                newest.insert(user, sent.clone());
            }
            for shown in diff.on_push(vec![sent]) {
                let before = told.insert(user, shown.clone());
                prop_assert!(before.is_none_or(|before| before.version < shown.version));
            }
            prop_assert_eq!(&told[&user].custom, &newest[&user].custom);
        }
    }
}
