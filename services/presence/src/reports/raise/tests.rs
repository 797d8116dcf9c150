//! Statuses that are raised, over the memory store.

use rollcall_domain::{id::Platform, status::General};
use rollcall_store::port::Store as _;

use super::*;
use crate::fixture::{Fixture, app, code, user};

async fn raise(
    fixture: &Fixture,
    users: &[(&str, u64)],
) -> Result<Vec<(UserId, Status, StatusVersion)>, Error> {
    let users = users.iter().map(|(name, shown)| (user(name), StatusVersion(*shown))).collect();
    fixture.parts.reports.raise(app(), users, &TraceParent::default()).await
}

// FAULT 11
#[tokio::test]
async fn statuses_get_versions_above_those_that_were_shown_and_are_answered_in_order() {
    let fixture = Fixture::new().await;
    let held = fixture.log_in("held", 1, Platform::Web).await;
    let behind = fixture.log_in("behind", 2, Platform::Web).await;
    let shown = behind.version.0 + 60_000_000;

    for _ in 0..2 {
        let users = [("lost", shown), ("behind", shown), ("held", held.version.0)];
        let [lost, raised, same] = raise(&fixture, &users).await.unwrap().try_into().unwrap();
        assert_eq!((lost.0, lost.1.general), (user("lost"), General::Unlogined));
        assert!(lost.2.0 > shown && raised.2.0 > shown, "{lost:?} {raised:?}");
        assert_eq!((raised.0, &raised.1), (user("behind"), &behind.status));
        assert_eq!(same, (user("held"), held.status.clone(), held.version));
    }
    assert_eq!(fixture.outbox("behind").await.iter().filter(|told| told.user_id == "behind").count(), 2);
}

#[tokio::test]
async fn a_version_that_was_given_to_nobody_is_refused_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let before = fixture.log_in("alice", 1, Platform::Web).await.version;
    let now = fixture.store.now().await.unwrap();
    let most = now.plus(AHEAD_MAX).0;
    for shown in [0, most + 1, u64::MAX] {
        let refused = raise(&fixture, &[("alice", before.0 + 1), ("bob", shown)]).await;
        assert_eq!(code(refused), Code::InvalidParameter, "{shown}");
    }
    assert_eq!(fixture.status("alice").await.2, before.0);
    assert!(raise(&fixture, &[("bob", most)]).await.unwrap()[0].2.0 > most);
}

// FAULT 11, SPEC A11
#[tokio::test]
async fn nothing_is_raised_while_gateways_still_tell_what_was_lost() {
    let fixture = Fixture::new().await;
    let before = fixture.log_in("alice", 1, Platform::Web).await.version;
    fixture.begin_epoch(2);
    assert_eq!(code(raise(&fixture, &[("alice", before.0 + 1)]).await), Code::ServerTimeout);
    assert_eq!(fixture.status("alice").await.2, before.0);
}
