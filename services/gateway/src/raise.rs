//! Asks presence for later versions of statuses that are shown here and that the store has lost (DESIGN section 5,
//! resync). Watchers then hear of what they are as of any change.
//!
//! Users wait here by themselves, so that nothing else that is read again waits for them: presence refuses while gateways
//! still tell what was lost.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use rollcall_domain::{
    code::Code,
    id::{AppId, UserId},
};
use rollcall_proto::convert::READ_IDS;
use rollcall_runtime::backoff::Backoff;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    Gateway,
    attach::{RETRY_FIRST, RETRY_MOST},
    hub::UserKey,
};

/// Users whose status is to be raised: at most those who are shown here.
#[derive(Debug, Default)]
pub(crate) struct Raises {
    waiting: Mutex<BTreeSet<UserKey>>,
    asked: Notify,
}

impl Raises {
    /// Asks for users. Never waits.
    pub(crate) fn ask(&self, users: Vec<UserKey>) {
        if !users.is_empty() {
            self.waiting.lock().extend(users);
            self.asked.notify_one();
        }
    }

    /// Waits for users of one app, as many as a call may have.
    async fn next(&self) -> (AppId, Vec<UserId>) {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some((app, _)) = waiting.first().copied() {
                    let of_app = waiting.iter().take_while(|(of, _)| *of == app).take(READ_IDS);
                    let taken: Vec<UserId> = of_app.map(|(_, user)| *user).collect();
                    for user in &taken {
                        waiting.remove(&(app, *user));
                    }
                    return (app, taken);
                }
            }
            self.asked.notified().await;
        }
    }
}

/// Raises what is asked for, until `shutdown`.
pub(crate) async fn run(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    let raising = async {
        loop {
            let (app, users) = gateway.raises.next().await;
            gateway.raise(app, &users).await;
        }
    };
    shutdown.run_until_cancelled(raising).await;
}

impl Gateway {
    /// Has statuses raised, trying again until presence has answered.
    async fn raise(&self, app: AppId, users: &[UserId]) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        loop {
            // As they are shown by now: what has come meanwhile needs nothing more.
            let shown = self.hub.shown_versions(app, users);
            if shown.is_empty() {
                return;
            }
            match self.backend.raise(app, &shown).await {
                Ok(statuses) => {
                    self.metrics.raises.inc_by(shown.len() as u64);
                    info!(asked = shown.len(), "the store has versions again that are not below those shown");
                    return self.hub.merge(app, statuses, None);
                }
                Err(refusal) if refusal.code == Code::InvalidParameter => {
                    return error!(reason = %refusal.message, "presence refuses versions that are shown here");
                }
                Err(refusal) => {
                    let (code, wait) = (refusal.code, backoff.wait());
                    info!(%code, reason = %refusal.message, ?wait, "versions were not raised yet, trying again");
                }
            }
            backoff.pause().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_wait_once_each_and_are_taken_by_app_in_calls_of_500() {
        let raises = Raises::default();
        let user = |n: usize| UserId::new(&format!("u{n}")).unwrap();
        let [one, two] = [1, 2].map(|app| AppId::new(app).unwrap());
        raises.ask((0..501).map(|n| (one, user(n))).collect());
        raises.ask(vec![(two, user(1)), (one, user(1))]);
        let mut taken = Vec::new();
        for _ in 0..3 {
            let (app, users) = raises.next().await;
            taken.push((app, users.len()));
        }
        assert_eq!(taken, [(one, 500), (one, 1), (two, 1)]);
        assert!(raises.waiting.lock().is_empty());
    }
}
