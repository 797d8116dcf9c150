//! Gives statuses versions above those that were shown, where the store has lost these (DESIGN section 5, resync).

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rollcall_domain::{
    code::{Code, Refusal},
    id::{AppId, UserId},
    status::{RecordVersion, Status, StatusVersion},
    time::Timestamp,
};
use rollcall_proto::trace::TraceParent;
use rollcall_records::Error;
use tracing::info;

use super::{Reports, USERS_AT_ONCE};

/// How far a version may be ahead of the store's clock that a gateway says was given away. Versions are times of the store,
/// and clocks of two servers that differ by more are wrong.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// Says whether a version can have been given away by `now`.
pub(super) fn is_given(version: RecordVersion, now: Timestamp) -> bool {
    version.0 != 0 && version.0 <= now.plus(AHEAD_MAX).0
}

impl Reports {
    /// Gives each status a version that is not below the one that was shown, and returns those that could be read, in the
    /// order of the users. Refused with 70169 in a quiet time, when what is lost may still be told; and with 6017, before
    /// anything is changed, for a version that was given to nobody.
    pub(crate) async fn raise(
        &self,
        app: AppId,
        users: Vec<(UserId, StatusVersion)>,
        trace: &TraceParent,
    ) -> Result<Vec<(UserId, Status, StatusVersion)>, Error> {
        let now = self.store.now().await?;
        if let Some((_, shown)) = users.iter().find(|(_, shown)| !is_given(RecordVersion(shown.0), now)) {
            let message = format!(
                "version {} was not given away, expected 1 to a day ahead of the store's clock",
                shown.0
            );
            return Err(Refusal::new(Code::InvalidParameter, message).into());
        }
        let asked = users.len();
        let raises = users.into_iter().map(|(user, shown)| self.raise_one(app, user, shown, trace));
        let read: Vec<Raised> = stream::iter(raises).buffered(USERS_AT_ONCE).try_collect().await?;
        let raised = read.iter().filter(|user| user.raised).count();
        self.metrics.lost.raised.inc_by(raised as u64);
        if raised > 0 {
            info!(raised, asked, "the store had lost versions that were shown, gave later ones");
        }
        Ok(read.into_iter().filter_map(|user| user.status).collect())
    }

    async fn raise_one(
        &self,
        app: AppId,
        user: UserId,
        shown: StatusVersion,
        trace: &TraceParent,
    ) -> Result<Raised, Error> {
        let may_raise = || if self.quiet.is_now() { Err(not_yet()) } else { Ok(()) };
        match self.users.raise(app, &user, trace, shown, may_raise).await {
            Ok(applied) => Ok(Raised {
                raised: applied.changed.is_some(),
                status: Some((user, applied.state.status(), applied.status_version)),
            }),
            Err(error @ Error::Unreadable { .. }) => {
                error.log();
                Ok(Raised { raised: false, status: None })
            }
            Err(error) => Err(error),
        }
    }
}

fn not_yet() -> Refusal {
    let message = "gateways still tell what the store has lost, expected a call after that, try again";
    Refusal::new(Code::ServerTimeout, message)
}

/// What became of the status of one user.
struct Raised {
    raised: bool,
    /// The status; `None` where the record cannot be read.
    status: Option<(UserId, Status, StatusVersion)>,
}

#[cfg(test)]
mod tests;
