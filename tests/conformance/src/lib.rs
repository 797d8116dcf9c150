//! Tests of every SPEC clause, from outside: over a WebSocket, with the SDK, with the CLI, and over gRPC.
//!
//! The tests lie in `tests/`, a file for each chapter of SPEC; each names its claim, and its clause in a comment
//! above it. What they share is in `rollcall-harness`, save for the few words here.

use std::time::Duration;

use rollcall_harness::{App, General, Raw, UserStatus};

/// The expiry of the profile `fast`.
pub const EXPIRY: Duration = Duration::from_secs(8);

/// How long silence is listened to.
pub const GRACE: Duration = Duration::from_millis(1500);

/// Tells a status that is ONLINE.
pub fn online(status: &UserStatus) -> bool {
    status.general == General::Online
}

/// Tells a status that is OFFLINE.
pub fn offline(status: &UserStatus) -> bool {
    status.general == General::Offline
}

/// Tells a status that is UNLOGINED.
pub fn unlogined(status: &UserStatus) -> bool {
    status.general == General::Unlogined
}

/// Tells statuses with this custom status.
pub fn says(custom: &str) -> impl Fn(&UserStatus) -> bool {
    move |status| status.custom == custom
}

/// Makes the ids `<prefix>0`, `<prefix>1` and so on.
pub fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// Borrows ids, as calls take them.
pub fn borrowed(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

/// Logs in alice and bob, with alice watching bob and having heard that he is ONLINE.
pub async fn alice_watching_bob(app: &App) -> (Raw, Raw) {
    let mut alice = app.session("alice", "d").await;
    let bob = app.session("bob", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    alice.expect("bob", online).await;
    (alice, bob)
}
