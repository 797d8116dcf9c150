//! Two users see each other: the second subscribes to the first, the first sets a custom status and logs out, and
//! what the second hears is printed.
//!
//! ```text
//! cargo run -p rollcall-client --example two_users -- ws://127.0.0.1:7700/v1/connect 1 alice $ALICE bob $BOB
//! ```
//!
//! The tokens are made by the app's backend, or by `rollcallctl token`.

use std::{
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

use rollcall_client::{Client, Code, Config, General, Listener, Platform, UserStatus};
use tokio::{sync::mpsc, time::timeout};

/// Hands what it hears to the main task. A listener should return soon, so it never waits.
struct Forward(mpsc::Sender<UserStatus>);

impl Listener for Forward {
    fn on_user_status_changed(&self, statuses: &[UserStatus]) {
        for status in statuses {
            // Full only if the main task has stopped taking.
            let _ = self.0.try_send(status.clone());
        }
    }

    fn on_disconnected(&self, code: Code, description: &str) {
        let _ = writeln!(io::stderr().lock(), "disconnected: {description} ({code})");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, app_id, shown, shown_token, watcher, watcher_token] = args.as_slice() else {
        return Err("expected: url app_id user token watcher watcher_token".into());
    };
    let app_id: u32 = app_id.parse()?;
    let device = |name: &str| Ok::<_, Box<dyn Error>>(Config::new(url, Platform::Linux, name.parse()?));

    // Room for all that this story can raise.
    let (status_tx, mut status_rx) = mpsc::channel(100);
    let bob = Client::new(device("example-watcher")?);
    bob.add_listener(Forward(status_tx));
    bob.login(app_id, watcher, watcher_token).await?;
    bob.subscribe_user_status(&[shown]).await?;

    let alice = Client::new(device("example-shown")?);
    let before = alice.login(app_id, shown, shown_token).await?.status.version;
    alice.set_self_status(Some("listening to music")).await?;
    alice.logout().await?;

    // A watcher may skip states in between, but never the last one.
    loop {
        let status = timeout(Duration::from_secs(10), status_rx.recv()).await?.ok_or("the client is gone")?;
        writeln!(io::stdout().lock(), "{} {} {:?}", status.user_id, status.general, status.custom)?;
        let is_shown = status.user_id.as_str() == shown && status.version > before;
        if is_shown && status.general == General::Unlogined {
            break;
        }
    }
    bob.unsubscribe_user_status(&[shown]).await?;
    bob.logout().await?;
    Ok(())
}
