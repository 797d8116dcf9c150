//! SPEC L2: how an SDK calls its listeners.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rollcall_client::{Client, Code, Listener, ListenerId, UserStatus};
use rollcall_conformance::{GRACE, says};
use rollcall_harness::{Proxy, Rollcall, eventually, url_of};

/// What several listeners share.
#[derive(Default)]
struct Shared {
    is_called: AtomicBool,
    /// The tasks that called.
    tasks: Mutex<BTreeSet<String>>,
    /// Who was called, and what with.
    calls: Mutex<Vec<(&'static str, String)>>,
}

/// Takes its time over each call.
struct Slow {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Slow {
    fn note(&self, what: String) {
        assert!(!self.shared.is_called.swap(true, Ordering::SeqCst), "{what}: another listener is at it");
        self.shared.tasks.lock().insert(format!("{:?}", tokio::task::try_id()));
        self.shared.calls.lock().push((self.name, what));
        // Blocks the thread, as a listener should not: so two at once would be seen.
        std::thread::sleep(Duration::from_millis(5));
        self.shared.is_called.store(false, Ordering::SeqCst);
    }
}

impl Listener for Slow {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        let texts: Vec<String> =
            statuses.iter().map(|status| format!("{} {}", status.user_id, status.version)).collect();
        self.note(texts.join(", "));
    }

    fn on_connecting(&self) {
        self.note("connecting".to_owned());
    }

    fn on_connected(&self) {
        self.note("connected".to_owned());
    }

    fn on_disconnected(&self, code: Code, _: &str) {
        self.note(format!("disconnected {code}"));
    }
}

// SPEC L2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callbacks_of_every_kind_come_one_at_a_time_on_one_task_to_each_listener_in_order() {
    const NAMES: [&str; 3] = ["first", "second", "third"];
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let proxy = Proxy::start(rollcall.addresses().client());
    let client = app.client_at(&url_of(proxy.address()), "d");
    let shared = Arc::<Shared>::default();
    for name in NAMES {
        client.add_listener(Slow { name, shared: Arc::clone(&shared) });
    }
    client.login(app.id, "alice", &app.token("alice")).await.unwrap();
    client.subscribe_user_status(&["bob"]).await.unwrap();
    let mut bob = app.session("bob", "d").await;
    let heard = |what: &str| shared.calls.lock().iter().any(|(name, said)| *name == "third" && said == what);

    // Changes of the own status and of another's, and a lost connection, all at once.
    for round in 0..10 {
        bob.set(&round.to_string()).await.ok();
        client.set_self_status(Some(&round.to_string())).await.unwrap();
    }
    proxy.cut();
    eventually("the loss", async || heard("disconnected 9508")).await;
    eventually("calls to succeed again", async || client.set_self_status(Some("last")).await.is_ok()).await;
    let last = bob.set("last").await.ok().status();
    eventually("the last change", async || heard(&format!("bob {}", last.version))).await;

    tokio::time::sleep(GRACE).await;
    let calls = shared.calls.lock();
    for each in calls.chunks(NAMES.len()) {
        let names: Vec<&str> = each.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, NAMES);
        assert!(each.iter().all(|(_, what)| *what == each[0].1), "{each:?}");
    }
    let tasks = shared.tasks.lock();
    assert!(tasks.len() == 1 && !tasks.contains("None"), "{tasks:?}");
}

/// Uses the client from within its callbacks, and in the first removes another listener and begins a call.
struct Busy {
    client: Client,
    other: Arc<Mutex<Option<ListenerId>>>,
    done: Arc<AtomicBool>,
}

impl Listener for Busy {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        let shown = self.client.shown_status(statuses[0].user_id.as_str());
        assert!(shown.is_ok() && self.client.get_login_user().is_some());
        if let Some(other) = self.other.lock().take() {
            assert!(self.client.remove_listener(other));
            let client = self.client.clone();
            tokio::spawn(async move { client.set_self_status(Some("from a callback")).await });
        }
        self.done.store(true, Ordering::SeqCst);
    }
}

/// Counts its calls.
#[derive(Default)]
struct Counting(Mutex<usize>);

impl Listener for Counting {
    fn on_user_status_changed(&self, _: &[UserStatus]) {
        *self.0.lock() += 1;
    }
}

// SPEC L2
#[tokio::test]
async fn no_lock_is_held_in_a_callback_and_who_is_removed_by_an_earlier_listener_is_not_called() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    let (other, done) = (Arc::default(), Arc::<AtomicBool>::default());
    client.add_listener(Busy { client: client.clone(), other: Arc::clone(&other), done: Arc::clone(&done) });
    let (removed, stays) = (Arc::<Counting>::default(), Arc::<Counting>::default());
    *other.lock() = Some(client.add_listener(Arc::clone(&removed)));
    client.add_listener(Arc::clone(&stays));

    client.login(app.id, "alice", &app.token("alice")).await.unwrap();

    let mut reader = app.session("alice", "reader").await;
    eventually("the set of the callback", async || says("from a callback")(&reader.status_of("alice").await))
        .await;
    eventually("the last listener to be called", async || *stays.0.lock() > 0).await;
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(*removed.0.lock(), 0);
}
