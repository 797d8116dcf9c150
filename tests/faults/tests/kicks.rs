//! Clients that were kicked where they could not hear of it.

use std::sync::Arc;

use rollcall_faults::{GRACE, cluster, proxy_at};
use rollcall_harness::{
    App, Client, Heard, LoginPolicy, Proxy, Raw, Recorder, Rollcall, Setup, eventually, url_of,
};

/// A cluster with an app of policy SINGLE, a watcher of bob, and bob's phone on gateway 0 behind a proxy.
struct Scene {
    rollcall: Rollcall,
    app: App,
    watcher: Raw,
    proxy: Proxy,
    phone: Client,
    heard: Arc<Recorder>,
}

impl Scene {
    async fn start() -> Self {
        let rollcall = cluster().await;
        let setup = Setup { login_policy: LoginPolicy::Single, ..Setup::default() };
        let app = rollcall.app_with(setup).await;
        let watcher = rollcall_faults::watcher(&rollcall, &app, &["bob"]).await;
        let proxy = proxy_at(&rollcall, 0);
        let (phone, heard) = app.sdk_at(&url_of(proxy.address()), "bob", "phone").await;
        Self { rollcall, app, watcher, proxy, phone, heard }
    }

    /// Logs bob in on a device at gateway 1 and waits until he says so.
    async fn log_in(&mut self, device: &str) -> (Client, Arc<Recorder>) {
        let url = url_of(&self.rollcall.addresses().clients[1]);
        let (client, heard) = self.app.sdk_at(&url, "bob", device).await;
        client.set_self_status(Some("newer")).await.unwrap();
        self.watcher.expect("bob", |status| status.custom == "newer").await;
        (client, heard)
    }

    /// Checks that the phone was kicked once and for all, and that the other neither lost its connection nor bob his
    /// status.
    async fn phone_is_out(mut self, (other, other_heard): (Client, Arc<Recorder>)) {
        self.heard.wait_for("the kick", |heard| heard.contains(&Heard::Kicked)).await;
        assert_eq!(self.phone.get_login_user(), None);
        let attempts = self.proxy.connections();
        assert_eq!(self.watcher.pushed_during(GRACE).await, [], "nobody sees it");
        assert_eq!(self.heard.heard().last(), Some(&Heard::Kicked));
        assert_eq!(self.proxy.connections(), attempts, "it stops");
        let lost = |heard: &Heard| matches!(heard, Heard::Disconnected(_) | Heard::Kicked);
        assert!(!other_heard.heard().iter().any(lost), "{:?}", other_heard.heard());
        other.set_self_status(Some("still here")).await.unwrap();
    }
}

// FAULT 26, SPEC H4
#[tokio::test]
async fn a_kicked_device_that_comes_back_from_no_network_is_told_and_kicks_nobody() {
    let mut scene = Scene::start().await;
    scene.proxy.down();
    let attempts = scene.proxy.connections();
    eventually("the phone to try again", async || scene.proxy.connections() > attempts + 1).await;
    let newer = scene.log_in("desk").await;
    scene.proxy.up();
    scene.phone_is_out(newer).await;
}

// FAULT 26, SPEC H4
#[tokio::test]
async fn a_device_that_was_kicked_on_a_dead_connection_is_told_when_it_dials_anew() {
    let mut scene = Scene::start().await;
    scene.proxy.vanish();
    let newer = scene.log_in("desk").await;
    scene.phone_is_out(newer).await;
}

// FAULT 26, SPEC H5
#[tokio::test]
async fn two_clients_with_one_device_id_do_not_fight() {
    let mut scene = Scene::start().await;
    scene.proxy.down();
    let newer = scene.log_in("phone").await;
    scene.proxy.up();
    scene.phone_is_out(newer).await;
}

// SPEC H4, A5
#[tokio::test]
async fn a_device_without_network_that_nobody_has_overtaken_comes_back() {
    let mut scene = Scene::start().await;
    for fault in [Proxy::vanish, Proxy::cut] {
        fault(&scene.proxy);
        let since = scene.heard.mark();
        scene
            .heard
            .wait_for("the phone to be back", |heard| heard[since..].contains(&Heard::Connected))
            .await;
    }
    scene.phone.set_self_status(Some("back")).await.unwrap();
    scene.watcher.expect("bob", |status| status.custom == "back").await;
}
