//! Lets subscription lists go whose users have left (SPEC D5).
//!
//! The timers of a partition say which lists may go, and presence whether their users were ONLINE since. Who is ONLINE,
//! or was within the span, keeps the list: the timer is put off to when that will be over. Else the list is emptied,
//! unless its timer was put off meanwhile: so a user who comes back at that moment wins. While the store or presence do
//! not answer, nothing goes. Any instance may look at any partition.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rollcall_domain::{code::Refusal, subscription::SubscriptionList, time::Timestamp};
use rollcall_proto::{
    presence::v1::{
        GetLastOnlineRequest, LastOnline, UserRef, last_online_service_client::LastOnlineServiceClient,
    },
    refusal,
};
use rollcall_records::{Error, Lists};
use rollcall_runtime::grpc::Endpoints;
use rollcall_store::{Partition, Store, port::Timer};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;

/// Timers read at a time, whose users presence is asked of in one call; it takes 500.
const PAGE: usize = 256;
/// Lists of one page that are emptied at once.
const LISTS_AT_ONCE: usize = 16;
/// How long presence may take to answer.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Looks for lists whose users have left: one page after the other, so that it takes little of what the store can do.
pub(crate) struct Idle {
    pub(crate) lists: Lists<SubscriptionList>,
    pub(crate) presence: Presence,
    pub(crate) store: Arc<dyn Store>,
    /// How long after its user was ONLINE last a list goes.
    pub(crate) after: Duration,
    /// The time between two looks.
    pub(crate) every: Duration,
    pub(crate) metrics: Metrics,
}

/// Presence, as far as it is asked here.
pub(crate) struct Presence(Endpoints);

/// Says why a look was given up; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The store did not serve it.
    #[error(transparent)]
    Records(#[from] Error),
    /// Presence did not answer.
    #[error("presence did not tell who is online: {0}")]
    Presence(Refusal),
}

/// What one look came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Lists that went.
    pub(crate) gone: usize,
    /// Lists whose users were ONLINE since.
    pub(crate) put_off: usize,
    /// Lists of whose users nothing is known.
    pub(crate) unknown: usize,
}

/// What becomes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    KeptUntil(Timestamp),
    Unknown,
}

impl Presence {
    /// Makes it of the instances of presence.
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        Self(endpoints)
    }

    /// Asks when the users of timers were ONLINE last.
    async fn last_online(&self, timers: &[Timer]) -> Result<Vec<LastOnline>, Failure> {
        let user = |timer: &Timer| UserRef {
            app_id: timer.id.app.get(),
            user_id: timer.id.user.as_str().to_owned(),
        };
        let message = GetLastOnlineRequest { users: timers.iter().map(user).collect() };
        let call = async |channel| {
            let mut request = Request::new(message.clone());
            request.set_timeout(ASK_LIMIT);
            LastOnlineServiceClient::new(channel).get_last_online(request).await
        };
        let answered = self.0.call(call).await;
        let answer = answered.map_err(|status| Failure::Presence(refusal::from_status(&status)))?;
        Ok(answer.into_inner().users)
    }
}

impl Idle {
    /// Looks until `shutdown`. A look that takes longer than its time delays the next.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let look = async {
                ticks.tick().await;
                self.look().await
            };
            let Some(looked) = shutdown.run_until_cancelled(look).await else { return };
            self.metrics.looks[usize::from(looked.is_err())].inc();
            match (&looked, failing) {
                (Err(error), false) => {
                    warn!(%error, "could not look for lists whose users have left, trying on");
                }
                (Ok(_), true) => info!("looking for lists whose users have left again"),
                _ => {}
            }
            failing = looked.is_err();
        }
    }

    /// Looks at every list that may go now.
    pub(crate) async fn look(&self) -> Result<Looked, Failure> {
        let mut looked = Looked::default();
        for partition in self.store.partitions().all() {
            let mut after = None;
            loop {
                let now = self.store.now().await.map_err(Error::from)?;
                let page = self.lists.due(partition, now, after, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                after = page.last().copied();
                let settled = self.settle(partition, &page, now).await?;
                looked.gone += settled.gone;
                looked.put_off += settled.put_off;
                looked.unknown += settled.unknown;
            }
        }
        if looked != Looked::default() {
            let Looked { gone, put_off, unknown } = looked;
            debug!(gone, put_off, unknown, "looked at lists whose users might have left");
        }
        Ok(looked)
    }

    /// Empties the lists of a page whose users have left for so long, and puts the others off.
    async fn settle(&self, partition: Partition, page: &[Timer], now: Timestamp) -> Result<Looked, Failure> {
        let answers = self.presence.last_online(page).await?;
        // A timer without an answer is one of which nothing is known.
        let answers = answers.iter().map(Some).chain(std::iter::repeat(None));
        let (mut kept, mut leaving, mut unknown) = (Vec::new(), Vec::new(), 0);
        for (timer, answer) in page.iter().zip(answers) {
            match answer.map_or(Fate::Unknown, |answer| self.judge(answer, now)) {
                Fate::Goes => leaving.push(timer.id),
                Fate::KeptUntil(deadline) => kept.push(Timer { deadline, id: timer.id }),
                Fate::Unknown => unknown += 1,
            }
        }
        if !kept.is_empty() {
            self.lists.put_off(partition, &kept).await?;
        }
        let going =
            leaving.into_iter().map(|id| async move { self.lists.let_go(id.app, &id.user, now).await });
        let gone: Vec<bool> = stream::iter(going).buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
        let gone = gone.into_iter().filter(|gone| *gone).count();
        for (counter, count) in self.metrics.idle.iter().zip([gone, kept.len(), unknown]) {
            counter.inc_by(count as u64);
        }
        Ok(Looked { gone, put_off: kept.len(), unknown })
    }

    /// Judges by when a user was ONLINE last. Of one who never was the timer alone counts: so long ago the list was made.
    fn judge(&self, answer: &LastOnline, now: Timestamp) -> Fate {
        if answer.unreadable {
            return Fate::Unknown;
        }
        let last = if answer.online { now } else { Timestamp(answer.left_at) };
        let until = last.plus(self.after);
        if until > now { Fate::KeptUntil(until) } else { Fate::Goes }
    }
}

#[cfg(test)]
mod tests;
