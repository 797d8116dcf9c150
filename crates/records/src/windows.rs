//! How often a user may call (SPEC C4, D1, E1).

use std::{sync::Arc, time::Duration};

use rollcall_domain::{
    code::{Code, Refusal},
    id::{AppId, UserId},
};
use rollcall_store::{
    Store,
    port::{Window, WindowKind},
};
use tracing::{debug, warn};

/// Counts calls in windows of one span. Clones are cheap and the same.
#[derive(Clone)]
pub struct Windows {
    store: Arc<dyn Store>,
    span: Duration,
}

impl Windows {
    /// Makes it of a store, and of the span in which an app's limit of calls may be made.
    pub fn new(store: Arc<dyn Store>, span: Duration) -> Self {
        Self { store, span }
    }

    /// Counts a call of a user; refused with 7008 beyond `limit` calls of its kind in the span before, and then it
    /// counts as none. The last check before a call is served (SPEC K1). While the store does not answer, a call is
    /// allowed: what it does needs the store too.
    pub async fn take(&self, app: AppId, user: UserId, kind: WindowKind, limit: u32) -> Result<(), Refusal> {
        let admission = match self.store.window(&Window { app, user, kind }, limit, self.span).await {
            Ok(admission) => admission,
            Err(error) => {
                warn!(%error, "could not count a call, allowing it");
                return Ok(());
            }
        };
        let allowed = admission.retry_after.is_none();
        debug!(%app, %user, ?kind, at = admission.at.0, allowed, "counted a call");
        let Some(wait) = admission.retry_after else { return Ok(()) };
        let message = format!(
            "more than {limit} calls in {:?}, expected at most that many; try again in {} ms",
            self.span,
            wait.as_micros().div_ceil(1_000)
        );
        Err(Refusal { retry_after: Some(wait), ..Refusal::new(Code::RateLimit, message) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, app, user};

    // SPEC C4, D1
    #[tokio::test]
    async fn one_call_more_than_the_limit_is_refused_with_when_to_try_again() {
        let fixture = Fixture::new();
        let windows = Windows::new(fixture.store.clone(), Duration::from_secs(5));
        let take = async |name: &str, kind| windows.take(app(), user(name), kind, 2).await;
        take("alice", WindowKind::Query).await.unwrap();
        take("alice", WindowKind::Query).await.unwrap();
        let refusal = take("alice", WindowKind::Query).await.unwrap_err();
        assert_eq!(refusal.code, Code::RateLimit);
        let wait = refusal.retry_after.unwrap();
        assert!(Duration::ZERO < wait && wait <= Duration::from_secs(5), "{wait:?}");
        take("alice", WindowKind::Subscribe).await.unwrap();
        take("bob", WindowKind::Query).await.unwrap();
    }
}
