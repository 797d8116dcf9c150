//! SPEC L: the Rust SDK.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rollcall_client::{Client, Code, Listener, ListenerId, UserId, UserStatus};
use rollcall_conformance::{GRACE, online, says, unlogined};
use rollcall_harness::{Direction, Fault, Heard, Proxy, Recorder, Rollcall, eventually, url_of};

fn logged_in(client: &Client) -> Option<String> {
    client.get_login_user().map(|user| user.as_str().to_owned())
}

// SPEC L1
#[tokio::test]
async fn every_call_of_the_surface_succeeds() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    let recorder = Arc::new(Recorder::default());
    let listener = client.add_listener(Arc::clone(&recorder));

    let info = client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    assert!(online(&info.status) && says("")(&info.status));
    assert_eq!(info.subscriptions, Some(0));
    let set = client.set_self_status(Some("here")).await.unwrap();
    assert!(online(&set) && says("here")(&set));
    assert_eq!(client.subscribe_user_status(&["bob", "carol"]).await.unwrap().evicted, []);
    let read = client.get_user_status(&["bob", "alice", "\n"]).await.unwrap();
    assert!(unlogined(&read.statuses[0]) && read.statuses[1] == set);
    assert_eq!((read.failures[0].user_id.as_str(), read.failures[0].error.code), ("\n", Code::BadUserId));
    let list = client.list_subscriptions().await.unwrap();
    assert_eq!(list.iter().map(UserId::as_str).collect::<Vec<_>>(), ["bob", "carol"]);
    client.unsubscribe_user_status(&["bob"]).await.unwrap();
    let own = recorder.wait_status("alice", says("here")).await;
    assert_eq!(client.get_login_user(), Some(own.user_id), "so an app tells its own status from others'");
    assert!(client.remove_listener(listener));
    client.logout().await.unwrap();

    let mut reader = app.session("reader", "d").await;
    assert!(unlogined(&reader.status_of("alice").await));
}

// SPEC L1
#[tokio::test]
async fn a_refused_call_ends_with_its_code_and_a_description() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");

    let refused = client.login(app.id, "alice", &app.token("bob")).await.unwrap_err();
    assert_eq!(refused.code, Code::UserMismatch);
    assert_eq!(client.login(app.id, "alice", "no token").await.unwrap_err().code, Code::BadToken);
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    let long = "x".repeat(101);
    let errors = [
        (client.set_self_status(Some(&long)).await.unwrap_err(), Code::InvalidParameter),
        (client.get_user_status(&[""; 0]).await.unwrap_err(), Code::InvalidParameter),
        (client.get_user_status(&["\n"]).await.unwrap_err(), Code::BatchFailed),
        (client.subscribe_user_status(&["alice"]).await.unwrap_err(), Code::InvalidParameter),
        (client.subscribe_user_status(&["\n"]).await.unwrap_err(), Code::BadUserId),
        (client.unsubscribe_user_status(&["\n"]).await.unwrap_err(), Code::BadUserId),
    ];
    for (error, code) in errors {
        assert_eq!(error.code, code);
        assert!(!error.description.is_empty());
    }
    assert_eq!(logged_in(&client).as_deref(), Some("alice"), "a refused call ends no session");
}

// SPEC L1
#[tokio::test]
async fn calls_without_login_end_with_6014_and_without_server_with_9508() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let client = app.client_at(&url_of(proxy.address()), "d");
    let recorder = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&recorder));

    assert_eq!(client.logout().await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.get_user_status(&["bob"]).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.subscribe_user_status(&["bob"]).await.unwrap_err().code, Code::NotLoggedIn);
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    proxy.down();
    recorder.wait_for("the loss", |heard| heard.contains(&Heard::Disconnected(9508))).await;
    assert_eq!(client.get_user_status(&["bob"]).await.unwrap_err().code, Code::Disconnected);
    assert_eq!(logged_in(&client).as_deref(), Some("alice"), "who is cut off is still logged in");
    proxy.up();
    eventually("calls to succeed again", async || client.get_user_status(&["bob"]).await.is_ok()).await;
}

// SPEC L1
#[tokio::test]
async fn a_call_that_the_server_does_not_answer_ends_once_all_the_same() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let (client, recorder) = app.sdk_at(&url_of(proxy.address()), "alice", "d").await;

    proxy.set(Direction::Both, Fault::Hold);
    let error = client.set_self_status(Some("into the void")).await.unwrap_err();

    // Which of the two it is depends on what is noticed first: the time, or the loss.
    assert!(matches!(error.code, Code::Timeout | Code::Disconnected), "{error}");
    recorder.wait_for("the loss", |heard| heard.contains(&Heard::Disconnected(9508))).await;
    proxy.set(Direction::Both, Fault::Nothing);
    eventually("calls to succeed again", async || client.set_self_status(Some("heard")).await.is_ok()).await;
}

// SPEC L2
#[tokio::test]
async fn listeners_are_called_in_order_and_a_removed_one_no_more() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    let log: Log = Arc::default();
    let first = client.add_listener(Named("first", Arc::clone(&log)));
    client.add_listener(Named("second", Arc::clone(&log)));
    client.add_listener(Named("third", Arc::clone(&log)));
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();

    client.set_self_status(Some("one")).await.unwrap();
    heard_in_order(&log, "one", &["first", "second", "third"]).await;
    assert!(client.remove_listener(first));
    assert!(!client.remove_listener(first));
    client.set_self_status(Some("two")).await.unwrap();

    heard_in_order(&log, "two", &["second", "third"]).await;
}

type Log = Arc<Mutex<Vec<(&'static str, String)>>>;

/// Writes its name and each custom status into a log that several share.
struct Named(&'static str, Log);

impl Listener for Named {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        self.1.lock().extend(statuses.iter().map(|status| (self.0, status.custom.clone())));
    }
}

async fn heard_in_order(log: &Log, text: &str, expected: &[&str]) {
    let hearers = || -> Vec<&str> {
        log.lock().iter().filter(|(_, custom)| custom == text).map(|(name, _)| *name).collect()
    };
    eventually("all listeners to be called", async || hearers().len() >= expected.len()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(hearers(), expected);
}

// SPEC L2
#[tokio::test]
async fn a_listener_may_call_the_client_and_remove_itself() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    let itself = Arc::new(Mutex::new(None));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let meddler = Meddler { client: client.clone(), itself: Arc::clone(&itself), seen: Arc::clone(&seen) };
    *itself.lock() = Some(client.add_listener(meddler));
    let after = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&after));

    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    client.set_self_status(Some("again")).await.unwrap();

    after.wait_status("alice", says("again")).await;
    assert_eq!(*seen.lock(), ["alice"], "it was called once, and could ask who is logged in");
}

/// Uses the client from within its first callback, and removes itself there.
struct Meddler {
    client: Client,
    itself: Arc<Mutex<Option<ListenerId>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Listener for Meddler {
    fn on_user_status_changed(&self, _: &[UserStatus]) {
        self.seen.lock().extend(logged_in(&self.client));
        self.client.add_listener(Recorder::default());
        if let Some(id) = *self.itself.lock() {
            self.client.remove_listener(id);
        }
    }
}

// SPEC L3
#[tokio::test]
async fn a_null_text_clears_and_an_empty_list_unsubscribes_from_all() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (client, recorder) = app.sdk("alice", "d").await;

    for clearing in [None, Some("")] {
        client.set_self_status(Some("busy")).await.unwrap();
        let cleared = client.set_self_status(clearing).await.unwrap();
        assert!(says("")(&cleared) && online(&cleared));
        recorder.wait_status("alice", |status| *status == cleared).await;
    }
    client.subscribe_user_status(&["bob", "carol"]).await.unwrap();
    client.unsubscribe_user_status::<&str>(&[]).await.unwrap();
    assert_eq!(client.list_subscriptions().await.unwrap(), []);
}

// SPEC L3
#[tokio::test]
async fn nobody_is_logged_in_before_login_and_after_logout_or_kick() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    assert_eq!(logged_in(&client), None);
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    assert_eq!(logged_in(&client).as_deref(), Some("alice"));
    client.logout().await.unwrap();
    assert_eq!(logged_in(&client), None);

    // The oldest of 4 sessions on one platform is kicked.
    let recorder = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&recorder));
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    let mut others = Vec::new();
    for number in 0..3 {
        others.push(app.session("alice", &format!("device-{number}")).await);
    }
    recorder.wait_for("the kick", |heard| heard.contains(&Heard::Kicked)).await;
    assert_eq!(logged_in(&client), None);
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    tokio::time::sleep(GRACE).await;
    assert_eq!(recorder.heard().last(), Some(&Heard::Kicked), "it does not come back by itself");
}
