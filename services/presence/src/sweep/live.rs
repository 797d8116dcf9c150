//! Due timers of gateways that live: sessions that were to move and did not end, of the others the gateway is asked.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::{
    id::{AppId, UserId},
    time::Timestamp,
    user::UserState,
};
use rollcall_records::Error;
use rollcall_store::{
    Partition,
    port::{Lease, Timer, TimerSet},
};

use super::{PAGE, Sweep, Swept};

impl Sweep {
    /// Looks at the due timers of a live boot in a partition, at each of them once while it stands still.
    pub(super) async fn live(&self, partition: Partition, lease: &Lease, until: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let mut seen = self.looks.seen(partition, lease.boot, until);
        let mut after = seen;
        // Mostly nothing is due, and one question tells so.
        let mut earliest = match self.earliest(partition, lease, after).await {
            Ok(earliest) => earliest,
            Err(error) => return Swept::failure(error),
        };
        while earliest.is_some_and(|timer| timer.deadline <= until) {
            let set = TimerSet::Sessions(lease.boot);
            let page = match self.store.due(partition, set, until, after, PAGE).await {
                Ok(page) => page,
                Err(error) => return swept.and(Swept::failure(error.into())),
            };
            let Some(last) = page.last().copied() else { break };
            swept = swept.and(self.sift(partition, lease, page, until).await);
            // What cannot be settled now is looked at again.
            if swept.failed.is_none() {
                seen = Some(last);
            }
            after = Some(last);
            earliest = match self.earliest(partition, lease, after).await {
                Ok(earliest) => earliest,
                Err(error) => return swept.and(Swept::failure(error)),
            };
        }
        if swept.failed.is_none() {
            self.looks.looked(partition, lease, seen, earliest.as_ref(), until);
        }
        swept
    }

    /// Settles those of due timers about which there is nothing to ask: of sessions that moved, or that are no more.
    /// Then it notes that there are others.
    async fn sift(&self, partition: Partition, lease: &Lease, page: Vec<Timer>, until: Timestamp) -> Swept {
        let mut users: BTreeMap<AppId, BTreeSet<UserId>> = BTreeMap::new();
        for timer in &page {
            users.entry(timer.id.app).or_default().insert(timer.id.user);
        }
        let mut states: BTreeMap<(AppId, UserId), Result<UserState, Error>> = BTreeMap::new();
        for (app, of_app) in users {
            let of_app = Vec::from_iter(of_app);
            let read = match self.users.states(app, &of_app).await {
                Ok(read) => read,
                Err(error) => return Swept::failure(error),
            };
            let read = read.into_iter().map(|state| state.map(|(state, _)| state));
            states.extend(of_app.iter().map(|user| (app, *user)).zip(read));
        }
        let is_over = |timer: &Timer| {
            let (state, session) = (states.get(&(timer.id.app, timer.id.user)), timer.id.session());
            match (state, session) {
                (Some(Ok(state)), Some(session)) => {
                    state.sessions.get(&session).is_none_or(|session| session.moved)
                }
                // A record that cannot be read is told of by who tries to end its sessions.
                _ => false,
            }
        };
        let count = page.len();
        let over: Vec<_> = page.into_iter().filter(is_over).map(|timer| (timer, false)).collect();
        let is_rest = over.len() < count;
        let swept = self.settle(over, until).await;
        if is_rest {
            self.overdue.note(partition, lease.boot, until);
        }
        swept
    }
}
