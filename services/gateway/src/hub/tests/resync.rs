//! What is read again, and who is asked for.

use super::*;

fn watching(hub: &Hub) -> Arc<SessionHandle> {
    let watcher = login(hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("a"), id("b")]);
    let (_, era) = hub.unsynced(&watcher.key);
    let read = ["w", "a", "b"].map(|user| (id(user), online(""), StatusVersion(5))).to_vec();
    hub.merge(app(), read, Some(era));
    watcher
}

fn versions(of: &[(&str, u64)]) -> Vec<(UserId, StatusVersion)> {
    of.iter().map(|(user, version)| (id(user), StatusVersion(*version))).collect()
}

#[test]
fn of_those_concerned_only_what_is_newer_is_read_again() {
    let hub = hub();
    let watcher = watching(&hub);
    let stale = hub.begin_resync(|(_, user)| *user != id("b"));
    let mut shown = stale.shown[&app()].clone();
    shown.sort();
    assert_eq!((shown, &stale.here[&app()]), (vec![id("a"), id("w")], &vec![id("w")]));
    assert_eq!(hub.unsynced(&watcher.key).0, [id("w"), id("a")]);

    let read = versions(&[("w", 5), ("a", 6), ("gone", 9)]);
    assert_eq!(hub.behind(app(), &read, stale.era), [id("a")]);
    assert_eq!(hub.unsynced(&watcher.key).0, [id("a")]);
    hub.merge(app(), vec![(id("a"), online("new"), StatusVersion(6))], Some(stale.era));
    assert_eq!(hub.unsynced(&watcher.key).0, []);
}

#[test]
fn a_version_that_was_read_before_another_resync_began_settles_nothing() {
    let hub = hub();
    let watcher = watching(&hub);
    let first = hub.begin_resync(|_| true);
    let second = hub.begin_resync(|_| true);
    assert_eq!(hub.behind(app(), &versions(&[("w", 5), ("a", 5), ("b", 5)]), first.era), []);
    assert_eq!(hub.unsynced(&watcher.key).0.len(), 3);
    assert_eq!(hub.behind(app(), &versions(&[("w", 5), ("a", 5), ("b", 5)]), second.era), []);
    assert_eq!(hub.unsynced(&watcher.key).0, []);
}

#[test]
fn a_list_is_read_again_if_it_is_newer_than_the_one_held() {
    let hub = hub();
    let watcher = watching(&hub);
    assert_eq!(hub.lists_behind(app(), &[(id("w"), 2), (id("gone"), 7)]), []);
    assert_eq!(hub.lists_behind(app(), &[(id("w"), 3)]), [watcher.key]);
}

#[test]
fn presence_is_asked_for_the_sessions_of_those_concerned_once_more_than_it_was_told() {
    let hub = hub();
    let watcher = watching(&hub);
    let report = |hub: &Hub| hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1));
    let counters = |report: &Report| {
        let heard = report.request.heard.iter();
        heard.map(|heard| heard.session.as_ref().unwrap().counter).collect::<Vec<_>>()
    };
    watcher.heard(seconds(1));
    hub.begin_resync(|_| true);
    let before = report(&hub);
    hub.reported(&before, &ReportResponse::default(), seconds(1));
    assert_eq!(counters(&before), [watcher.counter]);
    assert_eq!(counters(&report(&hub)), Vec::<u64>::new());

    let early = hub.report(&boot(BOOT, 0), Duration::ZERO, LEFT, seconds(2));
    hub.begin_resync(|_| true);
    hub.reported(&early, &ReportResponse::default(), seconds(2));
    assert_eq!(counters(&report(&hub)), [watcher.counter], "the answer is from before the doubt");
}
