//! What an operator reads of a process that is used: each service tells what it did, in text that parses.

use rollcall_conformance::{alice_watching_bob, offline, says};
use rollcall_harness::{Deployment, Metrics, Rollcall, ask, eventually};
use rollcall_proto::subscription::v1::{FriendEdge, ImportFriendsRequest};

/// Starts all in one process, which tells of everything.
async fn embedded() -> Rollcall {
    Rollcall::builder().deployment(Deployment::Embedded).start().await
}

/// Waits until values are at least these.
async fn reaches(rollcall: &Rollcall, expected: &[(&str, u64)]) -> Metrics {
    let mut metrics = rollcall.metrics().await;
    eventually(&format!("{expected:?}"), async || {
        metrics = rollcall.metrics().await;
        expected.iter().all(|(series, least)| metrics.of(series) >= *least)
    })
    .await;
    metrics
}

#[tokio::test]
async fn the_gateway_tells_of_connections_calls_and_frames() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    bob.set("busy").await.ok();
    alice.expect("bob", says("busy")).await;
    bob.set(&"x".repeat(101)).await.refused(6017);
    rollcall.dial().subprotocol(None).refused(400).await;

    let metrics = reaches(
        &rollcall,
        &[
            ("rollcall_gateway_frames_sent_total{kind=\"push\"}", 2),
            ("rollcall_gateway_frames_sent_total{kind=\"reply\"}", 4),
            ("rollcall_gateway_frames_received_total", 3),
            ("rollcall_gateway_changes_total", 1),
            ("rollcall_gateway_statuses_applied_total", 2),
        ],
    )
    .await;

    for (series, value) in [
        ("rollcall_gateway_connections", 2),
        ("rollcall_gateway_sessions", 2),
        ("rollcall_gateway_users", 2),
        ("rollcall_gateway_edges", 1),
        ("rollcall_gateway_calls_total{method=\"login\",code=\"0\"}", 2),
        ("rollcall_gateway_calls_total{method=\"set_self_status\",code=\"0\"}", 1),
        ("rollcall_gateway_calls_total{method=\"set_self_status\",code=\"6017\"}", 1),
        ("rollcall_gateway_connections_refused_total{reason=\"subprotocol\"}", 1),
    ] {
        assert_eq!(metrics.of(series), value, "{series}");
    }
}

#[tokio::test]
async fn presence_and_its_engines_tell_of_reports_ends_and_sweeps() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let (mut alice, bob) = alice_watching_bob(&app).await;
    let _replaced = app.session("carol", "d").await;
    let mut carol = app.session("carol", "d").await;
    carol.logout().await.ok();

    bob.lose().await;

    alice.expect("bob", offline).await;
    reaches(
        &rollcall,
        &[
            ("rollcall_presence_reports_total{result=\"answered\"}", 1),
            ("rollcall_gateway_reports_total{result=\"answered\"}", 1),
            ("rollcall_presence_sessions_ended_total{reason=\"closed\"}", 1),
            ("rollcall_presence_sessions_ended_total{reason=\"logout\"}", 1),
            ("rollcall_presence_sessions_ended_total{reason=\"replaced\"}", 1),
            ("rollcall_presence_sessions_touched_total", 1),
            ("rollcall_presence_sweeps_total", 1),
            ("rollcall_presence_gateways", 1),
            ("rollcall_presence_outbox_published_total", 5),
            ("rollcall_store_commits_total{outcome=\"committed\"}", 6),
            ("rollcall_store_operation_seconds_count{operation=\"commit\"}", 6),
            ("rollcall_bus_calls_total{operation=\"publish\",result=\"ok\"}", 5),
            ("rollcall_bus_operation_seconds_count{operation=\"request\"}", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_silent_client_is_counted_as_one() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    alice.keep_alive();

    bob.fall_silent().await;

    alice.expect("bob", offline).await;
    // By the gateway's report or by a sweep, whichever came first.
    reaches(&rollcall, &[("rollcall_presence_sessions_ended_total{reason=\"timeout\"}", 1)]).await;
}

#[tokio::test]
async fn subscription_tells_of_calls_and_lists() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol", "dave"]).await.ok();
    alice.unsubscribe(&["bob"]).await.ok();

    let metrics = rollcall.metrics().await;

    for (series, value) in [
        ("rollcall_subscription_calls_total{method=\"subscribe\",code=\"0\"}", 1),
        ("rollcall_subscription_calls_total{method=\"unsubscribe\",code=\"0\"}", 1),
        // The list of the login was empty, then it held three and two.
        ("rollcall_subscription_list_size_bucket{le=\"0.0\"}", 1),
        ("rollcall_subscription_list_size_bucket{le=\"2.0\"}", 2),
        ("rollcall_subscription_list_size_bucket{le=\"5.0\"}", 3),
    ] {
        assert_eq!(metrics.of(series), value, "{series}");
    }
}

#[tokio::test]
async fn subscription_tells_of_friends_and_of_what_becomes_of_imported_edges() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    app.befriend("alice", &["bob", "carol", "dave"]).await;
    app.unfriend("alice", &["bob"]).await;
    let edge = |user: &str, friend: &str| {
        let (user_id, friend_id) = (user.to_owned(), friend.to_owned());
        FriendEdge { user_id, friend_id }
    };
    let edges = vec![edge("alice", "carol"), edge("alice", "bob"), edge("alice", "alice")];
    app.friends().import_friends(ImportFriendsRequest { app_id: app.id, edges }).await.unwrap();

    let metrics = rollcall.metrics().await;

    for (series, value) in [
        ("rollcall_subscription_calls_total{method=\"add_friends\",code=\"0\"}", 1),
        ("rollcall_subscription_calls_total{method=\"remove_friends\",code=\"0\"}", 1),
        ("rollcall_subscription_calls_total{method=\"import_friends\",code=\"0\"}", 1),
        ("rollcall_subscription_imported_edges_total{result=\"added\"}", 1),
        ("rollcall_subscription_imported_edges_total{result=\"known\"}", 1),
        ("rollcall_subscription_imported_edges_total{result=\"refused\"}", 1),
        // Two after the removal, and three before and after.
        ("rollcall_subscription_friends_bucket{le=\"2.0\"}", 1),
        ("rollcall_subscription_friends_bucket{le=\"5.0\"}", 3),
    ] {
        assert_eq!(metrics.of(series), value, "{series}");
    }
}

#[tokio::test]
async fn the_notifier_tells_of_streams_interest_and_changes() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    bob.set("busy").await.ok();
    alice.expect("bob", says("busy")).await;

    let metrics = reaches(
        &rollcall,
        &[
            ("rollcall_notifier_streams", 1),
            ("rollcall_notifier_interest_users", 2),
            ("rollcall_notifier_interest", 2),
            ("rollcall_notifier_changes_total{result=\"routed\"}", 1),
            ("rollcall_notifier_changes_routed_total", 1),
        ],
    )
    .await;

    assert_eq!(metrics.of("rollcall_notifier_messages_malformed_total"), 0);
}

#[tokio::test]
async fn no_label_tells_an_app_or_a_user() {
    let rollcall = embedded().await;
    let app = rollcall.app().await;
    let (_alice, mut bob) = alice_watching_bob(&app).await;
    bob.set("busy").await.ok();

    let metrics = rollcall.metrics().await;

    let app = app.id.to_string();
    for series in metrics.series() {
        for id in ["alice", "bob", &app] {
            assert!(!series.contains(id), "{series}");
        }
    }
}

#[tokio::test]
async fn each_process_of_a_cluster_answers_its_operator() {
    let rollcall = Rollcall::builder().deployment(Deployment::Cluster).start().await;
    let app = rollcall.app().await;
    let _alice = app.session("alice", "d").await;

    assert_eq!(rollcall.ops().count(), 8);
    for address in rollcall.ops() {
        for path in ["/livez", "/readyz", "/metrics"] {
            eventually(&format!("{path} of {address}"), async || ask(address, path).await.0 == 200).await;
        }
        let metrics = Metrics::read(address).await;
        assert!(metrics.series().any(|series| series.starts_with("rollcall_bus_")), "{address}");
    }
}

#[tokio::test]
async fn each_notifier_hears_how_much_there_is_and_misses_nothing_while_all_is_well() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let mut notifiers = 0;
    for address in rollcall.ops() {
        let begun = Metrics::read(address).await;
        if !begun.series().any(|series| series.starts_with("rollcall_notifier_heads")) {
            continue;
        }
        notifiers += 1;
        let mut metrics = begun;
        eventually("some heads", async || {
            bob.set(&format!("{notifiers}")).await.ok();
            metrics = Metrics::read(address).await;
            metrics.of("rollcall_notifier_heads_total") >= 4
        })
        .await;
        assert_eq!(metrics.of("rollcall_notifier_holes_total"), 0);
    }
    assert!(notifiers > 0, "some process is a notifier");
}
