//! SPEC J4: every change, as internal services follow them.

use std::collections::BTreeMap;

use rollcall_conformance::ids;
use rollcall_harness::{App, Deployment, Process, Proxy, Rollcall, eventually, within};
use rollcall_proto::{
    event::v1::{
        Change, ChangeKind, Event, FollowRequest, FollowResponse, Gap, GapReason, follow_request::Start,
        follow_response::Told,
    },
    refusal,
};
use serde_json::Value;
use tonic::{Code, Status, Streaming};

/// Greatest number of followers of one notifier.
const FOLLOWERS_MAX: usize = 64;

/// The example that reads changes with a plain client of the bus.
const TAP: &str = "docs/examples/tap.py";

/// One who follows changes.
struct Follower {
    stream: Streaming<FollowResponse>,
    /// Where to go on.
    position: u64,
}

impl Follower {
    /// Follows an app, 0 for all; from then on every change is brought.
    async fn new(rollcall: &Rollcall, app_id: u32, start: Option<Start>) -> Self {
        Self::of(rollcall, FollowRequest { app_id, start, kinds: vec![] }).await.unwrap()
    }

    async fn of(rollcall: &Rollcall, request: FollowRequest) -> Result<Self, Status> {
        let stream = rollcall.events().follow(request).await?.into_inner();
        let mut follower = Self { stream, position: 0 };
        assert_eq!(follower.answer().await, None, "the first answer tells the position");
        Ok(follower)
    }

    async fn answer(&mut self) -> Option<Told> {
        let answer = within("an answer", self.stream.message()).await.unwrap().expect("the stream goes on");
        self.position = answer.position;
        answer.told
    }

    async fn told(&mut self) -> Told {
        loop {
            if let Some(told) = self.answer().await {
                return told;
            }
        }
    }

    async fn event(&mut self) -> Event {
        match self.told().await {
            Told::Event(event) => event,
            Told::Gap(gap) => panic!("expected an event, found {gap:?}"),
        }
    }

    async fn change(&mut self) -> Change {
        self.event().await.change.expect("an event has a change")
    }

    /// Reads until a status of a user says this.
    async fn until(&mut self, user: &str, custom: &str) -> Change {
        loop {
            let change = self.change().await;
            if change.user_id == user && change.custom == custom && change.kind() == ChangeKind::Status {
                return change;
            }
        }
    }
}

/// Sets statuses of bob that say these.
async fn bob_says(app: &App, texts: &[&str]) {
    let mut bob = app.session("bob", "d").await;
    for text in texts {
        bob.set(text).await.ok();
    }
}

// SPEC J4
#[tokio::test]
async fn every_change_of_a_user_is_brought_in_the_order_of_its_commits() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut follower = Follower::new(&rollcall, app.id, None).await;

    let mut bob = app.session("bob", "d").await;
    let said = bob.set("lunch").await.ok().status();
    bob.subscribe(&["carol"]).await.ok();
    app.befriend("bob", &["dave"]).await;
    let second = app.session("bob", "e").await;
    bob.logout().await.ok();
    second.close().await;

    let mut kinds = Vec::new();
    let mut version = 0;
    loop {
        let change = follower.change().await;
        assert_eq!((change.app_id, change.user_id.as_str()), (app.id, "bob"));
        match change.kind() {
            ChangeKind::Status => {
                assert_eq!(change.previous_status_version, version);
                assert!(change.status_version > version);
                version = change.status_version;
                if change.custom == "lunch" && change.sessions.len() == 1 && kinds.len() == 1 {
                    assert_eq!(change.status_version, said.version);
                }
            }
            ChangeKind::Sessions => assert_eq!(change.status_version, version),
            _ => assert_eq!(change.status_version, 0),
        }
        let general = change.general();
        kinds.push((change.kind(), general.as_str_name(), change.sessions.len()));
        if general.as_str_name() == "GENERAL_STATUS_OFFLINE" {
            break;
        }
    }
    let told: Vec<_> = kinds.iter().map(|(kind, _, sessions)| (*kind, *sessions)).collect();
    let user: Vec<_> =
        told.iter().filter(|(kind, _)| matches!(kind, ChangeKind::Status | ChangeKind::Sessions)).collect();
    assert_eq!(
        user,
        [
            &(ChangeKind::Status, 1),
            &(ChangeKind::Status, 1),
            &(ChangeKind::Sessions, 2),
            &(ChangeKind::Sessions, 1),
            &(ChangeKind::Status, 0),
        ],
        "login, set, second login, logout, close"
    );
    for kind in [ChangeKind::List, ChangeKind::Friends] {
        assert!(told.contains(&(kind, 0)), "{kind:?} in {told:?}");
    }
}

// SPEC J4
#[tokio::test]
async fn what_was_committed_while_nobody_followed_is_brought_from_a_position_and_from_a_time() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut follower = Follower::new(&rollcall, app.id, None).await;
    bob_says(&app, &["one"]).await;
    follower.until("bob", "one").await;
    let position = follower.position;
    drop(follower);

    bob_says(&app, &["two", "three"]).await;

    let mut from_position = Follower::new(&rollcall, app.id, Some(Start::After(position))).await;
    let two = loop {
        let event = from_position.event().await;
        let change = event.change.as_ref().unwrap();
        assert_ne!(
            (change.custom.as_str(), change.kind()),
            ("one", ChangeKind::Status),
            "it was brought before"
        );
        if change.custom == "two" {
            break event;
        }
    };
    from_position.until("bob", "three").await;

    let mut from_time = Follower::new(&rollcall, app.id, Some(Start::Since(two.at))).await;
    let mut at = 0;
    loop {
        let event = from_time.event().await;
        assert!(event.at >= two.at.max(at), "none older than asked for, and in order");
        at = event.at;
        if event.change.unwrap().custom == "three" {
            break;
        }
    }
    let mut from_the_beginning = Follower::new(&rollcall, app.id, Some(Start::After(0))).await;
    for text in ["one", "two", "three"] {
        from_the_beginning.until("bob", text).await;
    }
}

// SPEC J4
#[tokio::test]
async fn of_many_users_who_change_at_once_none_is_missing_and_each_is_in_order() {
    const USERS: usize = 20;
    const CHANGES: usize = 25;
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut follower = Follower::new(&rollcall, app.id, None).await;

    let users = ids("u", USERS);
    let change = users.iter().map(async |user| {
        let mut session = app.session(user, "d").await;
        for n in 1..=CHANGES {
            session.set(&n.to_string()).await.ok();
        }
        session
    });
    let sessions = futures_util::future::join_all(change);
    let heard = async {
        let mut versions: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        while versions.values().filter(|(_, count)| *count == CHANGES + 1).count() < USERS {
            let change = follower.change().await;
            if change.kind() == ChangeKind::Status {
                let (version, count) = versions.entry(change.user_id.clone()).or_default();
                assert_eq!(change.previous_status_version, *version, "{}", change.user_id);
                let text = if *count == 0 { String::new() } else { count.to_string() };
                assert_eq!(change.custom, text);
                *version = change.status_version;
                *count += 1;
            }
        }
    };
    // They stay logged in until all is heard.
    let (_sessions, ()) = tokio::join!(sessions, heard);
}

// SPEC J4, SPEC G3
#[tokio::test]
async fn who_follows_an_app_hears_of_no_other_and_who_follows_all_of_each() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let mut of_app = Follower::new(&rollcall, app.id, None).await;
    let mut of_all = Follower::new(&rollcall, 0, None).await;

    bob_says(&other, &["elsewhere"]).await;
    bob_says(&app, &["here"]).await;

    assert_eq!(of_app.until("bob", "here").await.app_id, app.id);
    let mut apps = Vec::new();
    while apps.len() < 2 {
        let change = of_all.change().await;
        if change.kind() == ChangeKind::Status && !change.custom.is_empty() && !apps.contains(&change.app_id)
        {
            apps.push(change.app_id);
        }
    }
    let mut from_the_beginning = Follower::new(&rollcall, app.id, Some(Start::After(0))).await;
    while from_the_beginning.position < of_app.position {
        assert_eq!(from_the_beginning.change().await.app_id, app.id);
    }
}

// SPEC J4
#[tokio::test]
async fn only_the_kinds_that_are_asked_for_are_brought() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let kinds = vec![ChangeKind::List.into(), ChangeKind::Friends.into()];
    let request = FollowRequest { app_id: app.id, start: None, kinds };
    let mut follower = Follower::of(&rollcall, request).await.unwrap();

    let mut bob = app.session("bob", "d").await;
    bob.set("lunch").await.ok();
    bob.subscribe(&["carol"]).await.ok();
    assert_eq!(follower.change().await.kind(), ChangeKind::List);
    app.befriend("bob", &["dave"]).await;
    assert_eq!(follower.change().await.kind(), ChangeKind::Friends);
}

// SPEC J4
#[tokio::test]
async fn a_position_that_was_not_reached_is_a_gap_and_all_that_is_kept_follows() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    bob_says(&app, &["one"]).await;

    let mut follower = Follower::new(&rollcall, app.id, Some(Start::After(u64::MAX))).await;
    let not_kept = Gap { reason: GapReason::NotKept.into(), ..Gap::default() };
    assert_eq!(follower.told().await, Told::Gap(not_kept));
    follower.until("bob", "one").await;
}

// SPEC J1
#[tokio::test]
async fn bad_input_is_refused_with_what_was_expected_and_followers_are_no_more_than_the_limit() {
    let rollcall = Rollcall::start().await;
    for kind in [0, 99, -1] {
        let request = FollowRequest { kinds: vec![kind], ..FollowRequest::default() };
        let status = rollcall.events().follow(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{kind}");
        assert_eq!(refusal::from_status(&status).code.number(), 6017);
        assert!(status.message().contains("CHANGE_KIND_STATUS"), "{}", status.message());
    }

    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS_MAX {
        followers.push(Follower::new(&rollcall, 0, None).await);
    }
    let status = rollcall.events().follow(FollowRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    followers.pop();
    eventually("a place to be free", async || {
        rollcall.events().follow(FollowRequest::default()).await.is_ok()
    })
    .await;
}

// SPEC J4
#[tokio::test]
async fn the_command_line_shows_changes_from_a_position_on() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    bob_says(&app, &["lunch"]).await;

    let app_id = app.id.to_string();
    let arguments = ["events", "--app-id", &app_id, "--after", "0", "--kind", "status", "--count", "2"];
    let arguments = [&arguments[..], &["--for", "60s", "--output", "json"]].concat();
    let mut ctl = rollcall.follow_by_ctl("events", &arguments);
    eventually("the command to end", async || ctl.ended().is_some()).await;

    let lines: Vec<Value> = ctl.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| [&line["kind"], &line["user_id"], &line["custom"]]).collect();
    assert_eq!(told, [["STATUS", "bob", ""], ["STATUS", "bob", "lunch"]], "{}", ctl.errors());
    assert_eq!(lines[1]["previous_version"], lines[0]["version"]);
}

// SPEC J4
#[tokio::test]
async fn a_plain_client_of_the_bus_reads_changes_and_goes_on_where_it_stopped() {
    let mut rollcall = Rollcall::builder().deployment(Deployment::Node).start().await;
    let app = rollcall.app().await;
    bob_says(&app, &["one"]).await;
    let url = rollcall.engines().nats.url("tap");

    let mut first = rollcall.script("first", TAP, &[&url, "--count", "2"]);
    eventually("the first to end", async || first.ended().is_some()).await;
    let read = |process: &Process| -> Vec<Value> {
        process.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let texts: Vec<_> = read(&first).iter().map(|line| line["custom"].clone()).collect();
    assert_eq!(texts, ["", "one"], "login and set: {}", first.errors());

    bob_says(&app, &["two"]).await;
    let second = rollcall.script("second", TAP, &[&url]);
    eventually("the second to read on", async || {
        read(&second).iter().any(|line| line["custom"] == "two" && line["kind"] == "CHANGE_KIND_STATUS")
    })
    .await;
    let statuses = read(&second).into_iter().filter(|line| line["kind"] == "CHANGE_KIND_STATUS");
    let texts: Vec<_> = statuses.map(|line| line["custom"].clone()).collect();
    // He went, which cleared what he said, and came again.
    assert_eq!(texts.iter().filter(|text| *text == "one").count(), 0, "{texts:?}");

    let since = ["--name", "from-a-time", "--since", "2026-01-02T03:04:05Z", "--count", "1"];
    let mut from_time = rollcall.script("time", TAP, &[&[url.as_str()], &since[..]].concat());
    eventually("the third to end", async || from_time.ended().is_some()).await;
    assert_eq!(read(&from_time)[0]["user_id"], "bob", "{}", from_time.errors());
}

// SPEC J4
#[tokio::test]
async fn the_example_in_rust_goes_on_where_it_stopped_when_the_notifier_was_lost() {
    // It shows no certificate.
    let rollcall = Rollcall::builder().deployment(Deployment::Embedded).start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(&rollcall.addresses().notifier);
    bob_says(&app, &["one"]).await;
    let url = format!("http://{}", proxy.address());
    let example = rollcall.example("follow_events", &[&url, &app.id.to_string(), "0"]);
    eventually("the first change", async || example.output().contains("says \"one\"")).await;

    proxy.down();
    eventually("the loss", async || example.errors().contains("lost the notifier")).await;
    bob_says(&app, &["two"]).await;
    proxy.up();

    eventually("the second change", async || example.output().contains("says \"two\"")).await;
    let once = |text: &str| example.output().lines().filter(|line| line.contains(text)).count();
    assert_eq!([once("\"one\""), once("\"two\"")], [1, 1], "{}", example.output());
}
