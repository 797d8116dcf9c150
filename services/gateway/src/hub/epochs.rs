//! What presence is told again when the store is in another epoch: it may have lost what it had acknowledged.

use rollcall_domain::epoch::{Epoch, Epochs, Heard};
use rollcall_proto::gateway::v1::EndedConnection;

use super::{Hub, reports::Report, session_ref};

/// How many reports that assert nothing are answered before ends are told again: by then other gateways have asserted the
/// sessions to which users went on, and nobody is shown as gone in between.
const REPORTS: u32 = 3;

/// The epochs of the store as replies named them.
#[derive(Debug, Default)]
pub(super) struct Followed {
    epochs: Epochs,
    /// Ends to be told again, and after how many answered reports.
    again: Option<(u32, Vec<EndedConnection>)>,
}

impl Followed {
    /// Returns the number of the newest epoch; 0 before a reply named one.
    pub(super) fn newest(&self) -> u64 {
        self.epochs.newest().map_or(0, Epoch::get)
    }

    /// Says whether there are ends to be told again.
    pub(super) fn tells_again(&self) -> bool {
        self.again.is_some()
    }
}

impl Hub {
    /// Takes the epoch that a reply named, and says whether the store has left the one before. Then presence is told of all
    /// sessions here at once, and later again how others ended that it may have forgotten.
    pub(crate) fn follow_epoch(&self, epoch: Option<Epoch>) -> bool {
        let mut state = self.state.lock();
        let is_new = epoch.is_some_and(|epoch| state.epochs.epochs.hear(epoch) == Heard::New);
        if is_new {
            let ends = state.ends.all().map(|(key, counter, reason)| EndedConnection {
                session: Some(session_ref(key, counter)),
                reason: reason as i32,
            });
            state.epochs.again = Some((REPORTS, ends.collect()));
            drop(state);
            self.assert_all();
        }
        is_new
    }

    /// Notes that a report was answered, and tells ends again if it is time for that.
    pub(crate) fn tell_ends_again(&self, report: &Report) {
        let mut state = self.state.lock();
        if let Some((reports, _)) = &mut state.epochs.again
            && report.request.asserted.is_empty()
        {
            *reports = reports.saturating_sub(1);
        }
        if let Some((_, ends)) = state.epochs.again.take_if(|(reports, _)| *reports == 0)
            && !ends.is_empty()
        {
            state.ended.extend(ends);
            self.to_report.notify_one();
        }
    }
}
