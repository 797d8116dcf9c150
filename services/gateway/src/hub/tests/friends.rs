//! Who hears of friends, and when friends are read.

use super::*;

fn switches(edition: Edition, status: bool, friend_status: bool) -> Settings {
    Settings { edition, status, friend_status, ..Settings::default() }
}

/// A hub whose app is STANDARD and hears of friends.
fn friendly() -> Hub {
    let hub = Hub::new(EXPIRY, TOKEN_GRACE, ENDS_KEPT, Duration::from_millis(100), seconds(0));
    hub.set_settings(app(), switches(Edition::Standard, true, true), 1);
    hub
}

fn befriended(hub: &Hub, user: &str, friends: &[&str]) -> Arc<SessionHandle> {
    let handle = login(hub, user);
    hub.apply_friends(&handle.key, 1, &ids(friends));
    handle
}

fn ids(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| id(name)).collect()
}

fn news(user: &str, version: u64) -> Change {
    Change {
        kind: ChangeKind::Friends as i32,
        app_id: 1,
        user_id: user.to_owned(),
        record_version: version,
        ..Change::default()
    }
}

// SPEC F2, F3
#[test]
fn subscribers_and_friends_hear_by_the_switches_and_the_edition() {
    use Edition::{Premium, Standard};
    for (edition, status, friend_status, hear) in [
        (Premium, true, true, &["both", "friend", "subscriber"][..]),
        (Premium, true, false, &["both", "subscriber"]),
        (Standard, true, true, &["both", "friend"]),
        (Standard, true, false, &[]),
        (Premium, false, true, &[]),
        (Standard, false, true, &[]),
    ] {
        let hub = friendly();
        let both = befriended(&hub, "both", &["t"]);
        hub.apply_list(&both.key, 2, &[id("t")]);
        let friend = befriended(&hub, "friend", &["t"]);
        let subscriber = login(&hub, "subscriber");
        hub.apply_list(&subscriber.key, 2, &[id("t")]);
        hub.set_settings(app(), switches(edition, status, friend_status), 2);
        show(&hub, "t", "", 1);
        let heard: Vec<&str> = [&both, &friend, &subscriber]
            .into_iter()
            .filter(|session| taken(&hub, session) == owed(&[("t", 1)]))
            .map(|session| session.key.1.as_str())
            .collect();
        assert_eq!(heard, hear, "{edition:?} {status} {friend_status}");
    }
}

// SPEC F2
#[test]
fn every_session_of_a_user_hears_of_friends_present_and_future() {
    let hub = friendly();
    let first = befriended(&hub, "w", &["t"]);
    show(&hub, "t", "", 1);
    let second = login(&hub, "w");
    assert_eq!(taken(&hub, &first), owed(&[("t", 1)]));
    assert_eq!(taken(&hub, &second), owed(&[("t", 1)]));
    assert!(!hub.friends_due(&second.key), "they are held");
}

// SPEC F4, G1
#[test]
fn when_friends_are_heard_of_again_a_session_is_told_just_what_it_missed() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["changes", "stays"]);
    show(&hub, "changes", "", 1);
    show(&hub, "stays", "", 1);
    assert_eq!(taken(&hub, &watcher).len(), 2);
    hub.set_settings(app(), switches(Edition::Standard, true, false), 2);
    show(&hub, "changes", "", 2);
    show(&hub, "changes", "", 3);
    assert_eq!(taken(&hub, &watcher), []);
    let due = hub.set_settings(app(), switches(Edition::Standard, true, true), 3);
    assert!(due.is_empty(), "{due:?}");
    assert_eq!(taken(&hub, &watcher), owed(&[("changes", 3)]));
}

// SPEC G1
#[test]
fn a_fall_to_standard_mutes_subscriptions_and_not_friends() {
    let hub = friendly();
    hub.set_settings(app(), switches(Edition::Premium, true, true), 2);
    let watcher = befriended(&hub, "w", &["friend", "both"]);
    hub.apply_list(&watcher.key, 2, &ids(&["subscribed", "both"]));
    hub.set_settings(app(), switches(Edition::Standard, true, true), 3);
    for user in ["friend", "both", "subscribed"] {
        show(&hub, user, "", 1);
    }
    assert_eq!(taken(&hub, &watcher), owed(&[("both", 1), ("friend", 1)]));
    hub.set_settings(app(), switches(Edition::Premium, true, true), 4);
    assert_eq!(taken(&hub, &watcher), owed(&[("subscribed", 1)]));
}

// SPEC E2, F2
#[test]
fn a_friend_is_heard_of_after_an_unsubscribe_and_nobody_else() {
    let hub = friendly();
    hub.set_settings(app(), switches(Edition::Premium, true, true), 2);
    let watcher = befriended(&hub, "w", &["friend"]);
    hub.apply_list(&watcher.key, 2, &ids(&["friend", "other"]));
    show(&hub, "friend", "", 1);
    show(&hub, "other", "", 1);
    let removed = ids(&["friend", "other"]);
    hub.begin_list_command(&watcher.key);
    let delta = ListDelta { previous: 2, version: 3, added: vec![], removed };
    hub.end_list_command(&watcher.key, Some(&delta));
    assert_eq!(taken(&hub, &watcher), owed(&[("friend", 1)]));
    show(&hub, "friend", "", 2);
    show(&hub, "other", "", 2);
    assert_eq!(taken(&hub, &watcher), owed(&[("friend", 2)]));
    assert_eq!(hub.list_length(&watcher.key), Some(0));
}

// SPEC E2, F3
#[test]
fn while_friends_are_mute_an_unsubscribed_friend_is_not_heard_of() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["t"]);
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    hub.set_settings(app(), switches(Edition::Premium, true, false), 2);
    show(&hub, "t", "", 1);
    hub.apply_list(&watcher.key, 3, &[]);
    assert_eq!(taken(&hub, &watcher), []);
    hub.set_settings(app(), switches(Edition::Premium, true, true), 3);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]), "what it missed as a friend's");
}

// SPEC F4
#[test]
fn a_user_who_is_watched_already_is_not_shown_again_when_befriended() {
    let hub = hub();
    hub.set_settings(app(), switches(Edition::Premium, true, true), 2);
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    show(&hub, "t", "", 1);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]));
    hub.apply_friends(&watcher.key, 1, &[id("t")]);
    assert_eq!(taken(&hub, &watcher), []);
    hub.apply_friends(&watcher.key, 2, &[]);
    show(&hub, "t", "", 2);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 2)]), "the subscription is left");
}

// SPEC D6
#[test]
fn a_friend_who_is_subscribed_is_shown_anew() {
    let hub = hub();
    hub.set_settings(app(), switches(Edition::Premium, true, true), 2);
    let watcher = befriended(&hub, "w", &["t"]);
    show(&hub, "t", "", 1);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]));
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]));
}

// SPEC I2
#[test]
fn newer_friends_are_read_again_and_what_was_owed_of_former_ones_goes() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["former", "kept"]);
    for user in ["former", "kept", "new"] {
        show(&hub, user, "", 1);
    }
    assert_eq!(hub.apply_change(&news("w", 1), BOOT), None, "they are held");
    assert_eq!(hub.apply_change(&news("w", 2), BOOT), Some(ToRead::Friends(watcher.key)));
    assert!(hub.friends_due(&watcher.key));
    assert!(hub.apply_friends(&watcher.key, 2, &ids(&["kept", "new"])));
    assert!(!hub.friends_due(&watcher.key));
    show(&hub, "new", "", 1);
    assert_eq!(taken(&hub, &watcher), owed(&[("kept", 1), ("new", 1)]));
    assert!(hub.apply_friends(&watcher.key, 1, &ids(&["former"])), "an older read changes nothing");
    show(&hub, "former", "", 2);
    assert_eq!(taken(&hub, &watcher), []);
}

// SPEC I2
#[test]
fn a_part_of_older_friends_that_comes_after_newer_ones_changes_nothing() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["t"]);
    hub.apply_friends(&watcher.key, 2, &ids(&["t", "u"]));
    hub.change_friends(&watcher.key, 1, &ids(&["v"]), &ids(&["u"]));
    for user in ["t", "u", "v"] {
        show(&hub, user, "", 1);
    }
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1), ("u", 1)]));
}

// SPEC I2, F5
#[test]
fn who_is_muted_as_a_subscription_is_told_of_at_once_when_befriended() {
    let hub = friendly();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    show(&hub, "t", "", 1);
    assert_eq!(taken(&hub, &watcher), []);
    let waker = futures_util::task::noop_waker();
    watcher.poll_output(&waker);
    hub.apply_friends(&watcher.key, 1, &[id("t")]);
    assert!(watcher.poll_output(&waker), "the connection is woken");
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]));
}

// SPEC I2
#[test]
fn friends_read_before_their_newest_change_are_read_again() {
    let hub = friendly();
    let watcher = login(&hub, "w");
    assert_eq!(hub.apply_change(&news("w", 2), BOOT), None, "the first read is still to come");
    assert!(!hub.apply_friends(&watcher.key, 1, &[]), "it came before the change");
    assert!(hub.friends_due(&watcher.key));
    assert!(hub.apply_friends(&watcher.key, 2, &[]));
}

// SPEC G1
#[test]
fn friends_are_first_read_when_the_app_hears_of_them() {
    let hub = hub();
    let (alice, _again, bob) = (login(&hub, "alice"), login(&hub, "alice"), login(&hub, "bob"));
    let other = (AppId::new(2).unwrap(), id("bob"));
    hub.add_session(other, hub.begin_login().counter, record(), Codec::Json, seconds(0), Monotonic(u64::MAX));
    assert!(!hub.friends_due(&alice.key));
    assert_eq!(hub.apply_change(&news("alice", 5), BOOT), None);
    for (version, status, friend_status) in [(2, false, true), (3, true, false)] {
        let due = hub.set_settings(app(), switches(Edition::Premium, status, friend_status), version);
        assert!(due.is_empty(), "{due:?}");
    }
    let on = switches(Edition::Standard, true, true);
    let mut due: Vec<UserKey> = hub.set_settings(app(), on, 4).into_iter().collect();
    due.sort();
    assert_eq!(due, [alice.key, bob.key], "of this app, each once");
    assert!(hub.set_settings(app(), on, 4).is_empty(), "the same settings change nothing");
    assert!(!hub.apply_friends(&alice.key, 4, &[]), "version 5 was heard of meanwhile");
}

// SPEC P6
#[test]
fn friends_that_are_held_follow_what_changes_also_while_they_are_mute() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["former"]);
    hub.set_settings(app(), switches(Edition::Standard, true, false), 2);
    show(&hub, "former", "", 1);
    assert_eq!(hub.apply_change(&news("w", 2), BOOT), Some(ToRead::Friends(watcher.key)));
    assert!(hub.friends_due(&watcher.key));
    hub.apply_friends(&watcher.key, 2, &[]);
    hub.set_settings(app(), switches(Edition::Standard, true, true), 3);
    assert_eq!(taken(&hub, &watcher), []);
}

#[test]
fn friends_are_read_again_after_a_resync_if_they_are_newer_than_those_held() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["t"]);
    let _unread = login(&hub, "unread");
    let versions = |version| [("w", version), ("unread", 7), ("gone", 7)].map(|(user, v)| (id(user), v));
    assert_eq!(hub.friends_behind(app(), &versions(1)), []);
    assert_eq!(hub.friends_behind(app(), &versions(2)), [watcher.key]);
}

// SPEC I1
#[test]
fn three_thousand_friends_are_watched_shown_and_left() {
    let hub = friendly();
    let friends: Vec<UserId> = (0..3_000).map(|n| id(&format!("t{n}"))).collect();
    let watcher = login(&hub, "w");
    hub.apply_friends(&watcher.key, 1, &friends);
    assert_eq!((hub.counts(), hub.edges()), ((1, 3_001), 3_000));
    let (unsynced, era) = hub.unsynced(&watcher.key);
    assert_eq!(unsynced.len(), 3_001);
    let read = unsynced.iter().map(|user| (*user, online(""), StatusVersion(1))).collect();
    hub.merge(app(), read, Some(era));
    assert_eq!(taken(&hub, &watcher).len(), 3_001);
    hub.apply_friends(&watcher.key, 2, &friends[..1]);
    assert_eq!((hub.counts(), hub.edges()), ((1, 2), 1));
    hub.remove_session(&watcher, EndReason::Logout);
    assert_eq!((hub.counts(), hub.edges()), ((0, 0), 0));
}

#[test]
fn a_user_who_is_their_own_friend_hears_once_and_leaves_nothing_behind() {
    let hub = friendly();
    let watcher = befriended(&hub, "w", &["w", "t"]);
    show(&hub, "w", "", 1);
    assert_eq!(taken(&hub, &watcher), owed(&[("w", 1)]));
    hub.remove_session(&watcher, EndReason::Logout);
    assert_eq!((hub.counts(), hub.edges()), ((0, 0), 0));
}
