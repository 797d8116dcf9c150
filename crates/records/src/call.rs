//! What a change takes from the call that asks for it.

use rollcall_domain::time::Timestamp;
use rollcall_proto::trace::TraceParent;

/// A call that changes a record. One of a trace alone has no last moment.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The trace that the change belongs to.
    pub trace: &'a TraceParent,
    /// The last moment, by the store's clock, at which the change may be stored; `None` where there is none.
    ///
    /// With it the call's outcome is certain: a change that comes later is refused with
    /// [`Error::Late`](crate::Error::Late), and one to which the store did not reply is looked for, also beyond
    /// this moment (by 2 s at most). So it is to be earlier than the moment at which the caller gives up.
    pub not_after: Option<Timestamp>,
}

impl<'a> From<&'a TraceParent> for Call<'a> {
    fn from(trace: &'a TraceParent) -> Self {
        Self { trace, not_after: None }
    }
}
