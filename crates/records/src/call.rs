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
    /// A change that comes later is refused with [`Error::Late`](crate::Error::Late). One to which the store did
    /// not reply is looked for until this moment has passed, and then a few seconds at most: so it is to be earlier
    /// than the moment at which the caller gives up. What is looked for in vain, because somebody else changed
    /// the record, is [`Error::Store`](crate::Error::Store) and takes no effect later.
    pub not_after: Option<Timestamp>,
    /// Whether the decision, made upon a record in which its change is, or was overtaken, changes nothing.
    ///
    /// Then a change that was looked for in vain is decided anew, and so either found or made.
    pub leaves_mark: bool,
    /// Whether the call was made before and not answered; then it counts against no window.
    pub again: bool,
}

impl<'a> Call<'a> {
    /// Makes a call with a last moment, or without.
    pub fn until(trace: &'a TraceParent, not_after: Option<Timestamp>) -> Self {
        Self { not_after, ..Self::from(trace) }
    }
}

impl<'a> From<&'a TraceParent> for Call<'a> {
    fn from(trace: &'a TraceParent) -> Self {
        Self { trace, not_after: None, leaves_mark: false, again: false }
    }
}
