//! Calls that change something, and what became of those that were lost on their way.
//!
//! Until its last moment a call that has left may still be served, so nobody is told before that it failed. After it
//! the same call is made once more: it comes too late to change anything, and its answer tells whether it did before.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rollcall_domain::code::Refusal;
use rollcall_runtime::grpc::{Endpoints, Traced};
use tonic::{ConnectError, Response, Status};

use super::{Backend, answer};

/// Added to a wait for a last moment, since a timer counts in whole milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

impl Backend {
    /// Returns how long after its beginning the last moment of a call is: so much earlier than its deadline that
    /// who serves it can look for a lost reply of the store, and still answer.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout * 3 / 5
    }

    /// Makes a call whose last moment is `not_after`; 0 is none, and then nothing is settled.
    pub(super) async fn settle<T, F>(
        &self,
        endpoints: &Endpoints,
        not_after: u64,
        call: impl Fn(Traced) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let passed = tokio::time::sleep(self.patience() + ROUNDING);
        let left = AtomicBool::new(false);
        let watched = |channel| {
            let (call, left) = (call(channel), &left);
            async move {
                let ended = call.await;
                left.fetch_or(ended.as_ref().is_err_and(may_be_served), Ordering::Relaxed);
                ended
            }
        };
        let ended = endpoints.call(watched).await;
        if not_after == 0 || ended.is_ok() || !left.load(Ordering::Relaxed) {
            return answer(ended);
        }
        passed.await;
        let rest = self.timeout.saturating_sub(self.patience());
        let again = tokio::time::timeout(rest, endpoints.call(&call)).await;
        answer(again.unwrap_or(ended))
    }
}

/// Says whether a call that ended so has left, and was not answered: answers of ours have details.
fn may_be_served(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
    status.details().is_empty() && !causes.any(<dyn Error>::is::<ConnectError>)
}

#[cfg(test)]
mod tests;
