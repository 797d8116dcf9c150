//! Tests of the faults that the system survives: a cluster of real processes on real servers, some of which are
//! killed or stopped, or whose links are broken, while users watch each other.
//!
//! The tests lie in `tests/`; each names its claim, and the row of the table of faults in a comment above it. What
//! they share is in `rollcall-harness`, save for the few words here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rollcall_harness::{
    App, Client, Dial, General, Proxy, Raw, Recorder, Rollcall, UserStatus, eventually, stream_url_of, url_of,
};

/// SPEC A11's lower bounds in the profile `fast`: after a gateway died, and after a drain closed the connection.
pub const DEAD_AFTER: Duration = Duration::from_secs(4);
/// See [`DEAD_AFTER`].
pub const MOVED_AFTER: Duration = Duration::from_secs(5);

/// The expiry in the profile `fast`.
pub const EXPIRY: Duration = Duration::from_secs(8);

/// How long silence is listened to.
pub const GRACE: Duration = Duration::from_secs(2);

/// A user with the SDK, behind a proxy over all gateways.
pub struct User {
    /// The name.
    pub name: String,
    /// The SDK.
    pub client: Client,
    /// What its listener heard.
    pub heard: Arc<Recorder>,
}

/// Users of one app in a ring: each watches the next.
pub struct Ring {
    /// The users.
    pub users: Vec<User>,
    // Ends all connections when it goes.
    _proxy: Proxy,
}

impl Ring {
    /// Logs in `count` users, spread over all gateways, each subscribed to the next; every other over a gRPC stream.
    pub async fn start(rollcall: &Rollcall, app: &App, count: usize) -> Self {
        let proxy = Proxy::over(&rollcall.addresses().clients);
        let mut users = Vec::new();
        for number in 0..count {
            let name = format!("user{number}");
            let url = if number % 2 == 0 { url_of } else { stream_url_of };
            let (client, heard) = app.sdk_at(&url(proxy.address()), &name, &format!("device{number}")).await;
            users.push(User { name, client, heard });
        }
        let ring = Self { users, _proxy: proxy };
        for (watcher, target) in ring.edges() {
            watcher.client.subscribe_user_status(&[&target.name]).await.expect("a subscription");
        }
        ring.wait("everybody to be shown ONLINE", |status| status.general == General::Online).await;
        ring
    }

    /// Lists who watches whom.
    pub fn edges(&self) -> impl Iterator<Item = (&User, &User)> {
        self.users.iter().zip(self.users.iter().cycle().skip(1))
    }

    /// Has everybody set a custom status, and returns how many calls failed on the way; each is made again.
    pub async fn say(&self, text: &str) -> usize {
        let failed = AtomicUsize::new(0);
        for user in &self.users {
            eventually("a set to be stored", async || {
                let stored = user.client.set_self_status(Some(text)).await;
                if let Err(error) = &stored {
                    eprintln!("{} could not say {text:?}: {error}", user.name);
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                stored.is_ok()
            })
            .await;
        }
        failed.into_inner()
    }

    /// Waits until the last status shown of everybody to their watcher satisfies `until`.
    pub async fn wait(&self, what: &str, until: impl Fn(&UserStatus) -> bool) {
        for (watcher, target) in self.edges() {
            eventually(&format!("{what}: {} by {}", target.name, watcher.name), async || {
                watcher.heard.shown(&target.name).last().is_some_and(&until)
            })
            .await;
        }
    }

    /// Checks that nobody was ever shown as gone, and that versions only grew.
    pub fn assert_nobody_left(&self) {
        for (watcher, target) in self.edges() {
            let shown = watcher.heard.shown(&target.name);
            let begun = shown.iter().position(|status| status.general == General::Online).unwrap_or_default();
            for status in &shown[begun..] {
                assert_eq!(
                    status.general,
                    General::Online,
                    "{} shown to {}: {shown:?}",
                    target.name,
                    watcher.name
                );
            }
            assert!(shown.windows(2).all(|pair| pair[0].version < pair[1].version), "{shown:?}");
        }
    }
}

/// Prepares a connection to a gateway of a cluster, by its number from 0.
pub fn at(rollcall: &Rollcall, gateway: usize) -> Dial {
    Dial::new(&rollcall.addresses().clients[gateway])
}

/// Makes a proxy before a gateway of a cluster, by its number from 0.
pub fn proxy_at(rollcall: &Rollcall, gateway: usize) -> Proxy {
    Proxy::start(&rollcall.addresses().clients[gateway])
}

/// Logs a user in on a Linux device.
pub async fn log_in(app: &App, dial: Dial, user: &str, device: &str) -> Raw {
    app.session_by(dial, "PLATFORM_LINUX", user, device).await
}

/// Logs `watcher` in on gateway 1, subscribed to users.
pub async fn watcher(rollcall: &Rollcall, app: &App, users: &[&str]) -> Raw {
    let mut watcher = log_in(app, at(rollcall, 1), "watcher", "d").await;
    watcher.subscribe(users).await.ok();
    watcher
}

/// Logs a user in on gateway 0, and a [`watcher`] that has been shown the user ONLINE.
pub async fn watched(rollcall: &Rollcall, app: &App, user: &str) -> (Raw, Raw) {
    let watched = log_in(app, at(rollcall, 0), user, "d").await;
    let mut watcher = watcher(rollcall, app, &[user]).await;
    watcher.expect(user, |status| status.general == General::Online).await;
    (watched, watcher)
}

/// Sets a custom status, and waits until a watcher is shown it.
pub async fn say(user: &mut Raw, name: &str, watcher: &mut Raw, custom: &str) {
    user.set(custom).await.ok();
    let shown = watcher.expect(name, |status| status.custom == custom).await;
    assert_eq!(shown.general, General::Online);
}

/// Starts a cluster.
pub async fn cluster() -> Rollcall {
    Rollcall::builder().deployment(rollcall_harness::Deployment::Cluster).start().await
}
