//! The rules around subscription lists: bounds, gates, and the commit of what changed (SPEC D and E).

use rollcall_domain::{
    app::{Limits, Settings},
    code::{Code, Refusal},
    id::{AppId, UserId},
    subscription::{Subscribed, SubscriptionList},
};
use rollcall_proto::convert;
use rollcall_records::{Apps, Call, Error, HeldList, Lists, Revised, Windows};
use rollcall_store::port::WindowKind;
use tracing::debug;

use crate::metrics::Metrics;

/// Changes and reads subscription lists.
#[derive(Clone)]
pub(crate) struct Subscriptions {
    pub(crate) lists: Lists<SubscriptionList>,
    pub(crate) apps: Apps,
    pub(crate) windows: Windows,
    pub(crate) metrics: Metrics,
}

impl Subscriptions {
    /// Subscribes to all targets or to none, in list order; the least recently subscribed go beyond the app's
    /// limit.
    ///
    /// Refused, the first that applies: no target or too many (6017), a malformed one (7003), the subscriber's
    /// own id (6017), an unknown app (70020), the app's edition (7013), its switch (72001), the user's window
    /// (7008).
    pub(crate) async fn subscribe(
        &self,
        app: AppId,
        user: &UserId,
        targets: &[String],
        call: impl Into<Call<'_>>,
    ) -> Result<Revised<Subscribed>, Error> {
        if targets.is_empty() {
            let message = "the list holds no ids, expected at least 1";
            return Err(Refusal::new(Code::InvalidParameter, message).into());
        }
        let targets = read(targets)?;
        if targets.contains(user) {
            let message = "the list holds the caller's own id, expected ids of others only";
            return Err(Refusal::new(Code::InvalidParameter, message).into());
        }
        let call = call.into();
        let settings = self.admit(app, *user, WindowKind::Subscribe, targets.len(), call.again).await?;
        let limit = settings.limits.subscriptions as usize;
        let mut size = 0;
        let subscribe = |list: &mut SubscriptionList| {
            let subscribed = list.subscribe(user, &targets, limit);
            size = list.ids().len();
            subscribed
        };
        let revised = self.lists.revise(app, user, call, subscribe).await?;
        self.metrics.listed(size);
        let Subscribed { added, evicted } = &revised.value;
        debug!(%user, added = added.len(), evicted = evicted.len(), "subscribed");
        Ok(revised)
    }

    /// Removes targets from the list, or all that is on it if none is named, and returns those that were on it.
    /// Refused as in [`Subscriptions::subscribe`], save for an empty list and the own id.
    pub(crate) async fn unsubscribe(
        &self,
        app: AppId,
        user: &UserId,
        targets: &[String],
        call: impl Into<Call<'_>>,
    ) -> Result<Revised<Vec<UserId>>, Error> {
        let targets = read(targets)?;
        let call = call.into();
        self.admit(app, *user, WindowKind::Unsubscribe, targets.len(), call.again).await?;
        let mut size = 0;
        let unsubscribe = |list: &mut SubscriptionList| {
            let removed = list.unsubscribe(&targets);
            size = list.ids().len();
            Ok(removed)
        };
        let revised = self.lists.revise(app, user, call, unsubscribe).await?;
        self.metrics.listed(size);
        debug!(%user, removed = revised.value.len(), "unsubscribed");
        Ok(revised)
    }

    /// Reads the list; an unknown app is refused with 70020. That of a user who is `online` is kept on (SPEC D5).
    ///
    /// Neither edition nor switch is asked here: gateways read the lists of their users at login whatever the
    /// app's settings, so that turning *status* on again resumes what was kept (SPEC G1). They ask both
    /// before they show a list to a client (SPEC D6).
    pub(crate) async fn list(
        &self,
        app: AppId,
        user: &UserId,
        online: bool,
    ) -> Result<HeldList<SubscriptionList>, Error> {
        self.apps.get(app).await?;
        let held = if online {
            self.lists.read_online(app, user).await?
        } else {
            self.lists.read(app, user).await?
        };
        self.metrics.listed(held.list.ids().len());
        Ok(held)
    }

    /// Checks what depends on the app: its limit of ids in a call, then its edition, its switch, and at last the user's
    /// window, in which a call that is made `again` does not count.
    async fn admit(
        &self,
        app: AppId,
        user: UserId,
        kind: WindowKind,
        ids: usize,
        again: bool,
    ) -> Result<Settings, Error> {
        let settings = self.apps.get(app).await?.settings;
        check_count(ids, settings.limits)?;
        settings.check_others()?;
        if !again {
            self.windows.take(app, user, kind, settings.limits.window_calls).await?;
        }
        Ok(settings)
    }
}

/// Reads the ids of a call, which are refused as a whole if there are too many or one is malformed (SPEC D3).
fn read(ids: &[String]) -> Result<Vec<UserId>, Refusal> {
    check_count(ids.len(), Limits::default())?;
    ids.iter().map(|id| convert::user_id(id)).collect()
}

fn check_count(count: usize, limits: Limits) -> Result<(), Refusal> {
    if count <= limits.subscribe_ids as usize {
        return Ok(());
    }
    let message = format!("the list holds {count} ids, expected at most {}", limits.subscribe_ids);
    Err(Refusal::new(Code::InvalidParameter, message))
}

#[cfg(test)]
mod tests;
