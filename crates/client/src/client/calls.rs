//! Calls that wait for their reply. Each ends exactly once (SPEC L1).

use std::{collections::BTreeMap, time::Duration};

use prost::Message as _;
use rollcall_proto::client::v1::{self as wire, client_frame::Call as Request, reply::Result as Returned};
use tokio::sync::oneshot;
use tracing::debug;

use crate::{Code, Error, clock};

/// Most calls in flight; further ones wait for their turn. It is what a server answers before it stops reading.
pub(super) const MAX_IN_FLIGHT: usize = 64;

/// Most entries of the table: those in flight, and as many that nobody waits for any more, kept because their
/// reply may still come. At the limit the latter are dropped.
const MAX_WAITING: usize = 2 * MAX_IN_FLIGHT;

/// Where the end of a call goes.
pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, Error>>;

/// A call as the app made it.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: ReplyTo<Option<Returned>>,
}

/// What the success of a call changes on this side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// The own status is replied; what its version was before the call.
    Set(Option<u64>),
    /// Subscriptions came, others may have gone.
    Subscribe,
    /// Subscriptions went; an empty list means all.
    Unsubscribe(Vec<String>),
    /// This token counts from now on.
    Refresh(String),
}

/// A call that waits.
pub(super) struct Waiting {
    pub(super) effect: Effect,
    pub(super) reply: ReplyTo<Option<Returned>>,
}

#[derive(Default)]
pub(super) struct Calls {
    last_id: u32,
    waiting: BTreeMap<u32, Waiting>,
}

impl Calls {
    /// Returns an id that no waiting call has.
    pub(super) fn next_id(&mut self) -> u32 {
        loop {
            // 0 is what the server says when it could not read the id.
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.waiting.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Begins a call and returns its frame; none when the call has ended already.
    pub(super) fn begin(&mut self, call: Call, own_version: Option<u64>) -> Option<Vec<u8>> {
        if call.reply.is_closed() {
            return None;
        }
        let effect = effect(&call.request, own_version);
        let id = self.next_id();
        match encode(id, call.request, FrameLimit::AfterLogin) {
            Ok(frame) => {
                if self.waiting.len() >= MAX_WAITING {
                    self.waiting.retain(|_, waiting| !waiting.reply.is_closed());
                }
                self.waiting.insert(id, Waiting { effect, reply: call.reply });
                Some(frame)
            }
            Err(error) => {
                let _ = call.reply.send(Err(error));
                None
            }
        }
    }

    /// Takes out the call with this id.
    pub(super) fn take(&mut self, id: u32) -> Option<Waiting> {
        self.waiting.remove(&id)
    }

    /// Returns the token that the last call was to show of those that wait.
    pub(super) fn token_on_its_way(&self) -> Option<String> {
        self.waiting.values().rev().find_map(|waiting| match &waiting.effect {
            Effect::Refresh(token) => Some(token.clone()),
            _ => None,
        })
    }

    /// Says whether nobody waits for a reply.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.values().all(|waiting| waiting.reply.is_closed())
    }

    /// Ends all calls with an error.
    pub(super) fn fail(&mut self, error: &Error) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }
}

fn effect(request: &Request, own_version: Option<u64>) -> Effect {
    match request {
        Request::SetSelfStatus(_) => Effect::Set(own_version),
        Request::Subscribe(_) => Effect::Subscribe,
        Request::RefreshToken(refresh) => Effect::Refresh(refresh.token.clone()),
        Request::Unsubscribe(unsubscribe) => Effect::Unsubscribe(unsubscribe.user_ids.clone()),
        _ => Effect::Nothing,
    }
}

/// The longest frame that the server takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum FrameLimit {
    BeforeLogin,
    AfterLogin,
}

impl FrameLimit {
    fn bytes(self) -> usize {
        match self {
            Self::BeforeLogin => 4 * 1024,
            Self::AfterLogin => 64 * 1024,
        }
    }
}

/// Writes the frame of a call. One that the server would close the connection for is refused with 6017.
pub(super) fn encode(id: u32, request: Request, limit: FrameLimit) -> Result<Vec<u8>, Error> {
    let traceparent = match request {
        Request::Ping(_) => String::new(),
        _ => new_trace(),
    };
    let frame = wire::ClientFrame { id, traceparent, call: Some(request) }.encode_to_vec();
    if frame.len() > limit.bytes() {
        let (length, limit) = (frame.len(), limit.bytes());
        return Err(Error::invalid(format!("the call is {length} bytes long, at most {limit} are allowed")));
    }
    Ok(frame)
}

/// Reads how a call ended.
pub(super) fn outcome(reply: wire::Reply) -> Result<Option<Returned>, Error> {
    match reply.code {
        0 => Ok(reply.result),
        code => {
            let wait = Duration::from_millis(reply.retry_after_ms.into());
            let retry_after = (!wait.is_zero()).then_some(wait);
            Err(Error { retry_after, ..Error::from_reply(code, reply.message) })
        }
    }
}

/// Begins a trace, which the server goes on with: W3C Trace Context, sampled.
fn new_trace() -> String {
    // The specification forbids ids of zeros.
    let [high, low, span] = [clock::random(), clock::random() | 1, clock::random() | 1];
    let trace = format!("{high:016x}{low:016x}");
    debug!(trace, "began a call");
    format!("00-{trace}-{span:016x}-01")
}

impl Error {
    /// Makes the error of a call that was not answered in time.
    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new(Code::Timeout, format!("not answered within {limit:?}"))
    }
}

#[cfg(test)]
mod tests {
    use rollcall_proto::trace::TraceParent;

    use super::*;

    fn call(request: Request) -> (Call, oneshot::Receiver<Result<Option<Returned>, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Call { request, reply }, answer)
    }

    fn set(custom: &str) -> Request {
        Request::SetSelfStatus(wire::SetSelfStatus { custom: custom.to_owned(), clear_after_seconds: 0 })
    }

    #[test]
    fn a_call_is_written_with_its_id_and_a_trace() {
        let mut calls = Calls::default();
        let (call, _answer) = call(set("a"));
        let frame = wire::ClientFrame::decode(&*calls.begin(call, Some(3)).unwrap()).unwrap();
        assert_eq!(frame.id, 1);
        assert_eq!(TraceParent::parse(&frame.traceparent).as_str(), frame.traceparent);
        assert_eq!(frame.call, Some(set("a")));
        assert_eq!(calls.take(1).unwrap().effect, Effect::Set(Some(3)));
        assert!(calls.take(1).is_none());
    }

    #[test]
    fn ids_come_around_without_zero_and_without_one_that_waits() {
        let mut calls = Calls::default();
        let (call, _answer) = call(set("a"));
        calls.begin(call, None);
        calls.last_id = u32::MAX - 1;
        assert_eq!([calls.next_id(), calls.next_id(), calls.next_id()], [u32::MAX, 2, 3]);
    }

    #[test]
    fn a_call_too_long_for_the_server_is_refused_and_not_sent() {
        let mut calls = Calls::default();
        let (call, mut answer) = call(set(&"x".repeat(64 * 1024)));
        assert!(calls.begin(call, None).is_none());
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code, Code::InvalidParameter);
    }

    #[test]
    fn a_call_that_nobody_waits_for_is_not_sent() {
        let mut calls = Calls::default();
        let (call, answer) = call(set("a"));
        drop(answer);
        assert!(calls.begin(call, None).is_none());
    }

    // SPEC L1
    #[test]
    fn calls_in_flight_end_once_when_the_connection_does() {
        let mut calls = Calls::default();
        let (first, mut answer) = call(set("a"));
        calls.begin(first, None);
        calls.fail(&Error::disconnected("gone"));
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code, Code::Disconnected);
        assert!(calls.take(1).is_none());
    }

    #[test]
    fn abandoned_calls_do_not_fill_the_table() {
        let mut calls = Calls::default();
        for _ in 0..10 * MAX_WAITING {
            let (abandoned, answer) = call(set("a"));
            calls.begin(abandoned, None).unwrap();
            drop(answer);
        }
        assert!(calls.waiting.len() <= MAX_WAITING);
    }
}
