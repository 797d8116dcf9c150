//! What a client can ask for once it is logged in. Checks come in SPEC K1's order: the arguments, the edition,
//! the switch.

use std::{collections::VecDeque, sync::Arc};

use rollcall_domain::{
    app::Settings,
    code::{Code, Refusal},
    id::Op,
    time::Timestamp,
};
use rollcall_proto::{
    client::v1::{
        ClientFrame, GetUserStatusResult, ListSubscriptionsResult, Reply, SetSelfStatusResult,
        SubscribeResult, client_frame::Call, reply,
    },
    close::CloseCode,
    common::v1::OnlineDetail,
    convert,
    presence::v1::GetUserStatusResponse,
    trace::TraceParent,
};
use tracing::Instrument as _;

use super::{Connection, Running, refused, succeeded, transport::Transport};
use crate::{
    Gateway,
    hub::{ListDelta, SessionHandle, UserKey},
    metrics::Method,
    trace::CallTrace,
};

/// A call that changes something.
pub(super) struct Command {
    /// The ids of the calls to answer: one, save for sets that were overtaken by a newer one.
    ids: Vec<u32>,
    trace: CallTrace,
    change: CommandChange,
}

/// What a command changes.
enum CommandChange {
    /// As command of this number, to this text, which clears at this moment of the store's clock.
    Set(Op, String, Option<Timestamp>),
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    Logout,
}

impl CommandChange {
    fn method(&self) -> Method {
        match self {
            Self::Set(..) => Method::SetSelfStatus,
            Self::Subscribe(_) => Method::Subscribe,
            Self::Unsubscribe(_) => Method::Unsubscribe,
            Self::Logout => Method::Logout,
        }
    }
}

/// How a call ended.
pub(super) struct Done {
    /// The replies to write.
    pub(super) replies: Vec<Reply>,
    /// Whether it was a command, so that the next may run.
    pub(super) command: bool,
    /// The code to close with after the replies, if any.
    pub(super) leave: Option<CloseCode>,
}

type CallResult = Result<Option<reply::Result>, Refusal>;

/// Makes the refusal of a frame that names no call.
pub(super) fn no_call() -> Refusal {
    Refusal::new(Code::InvalidParameter, "the frame names no call that is known, expected one")
}

impl<T: Transport> Connection<T> {
    /// Takes a frame: answers at once what can be, and starts or queues the rest.
    pub(super) fn on_frame(&mut self, frame: ClientFrame) {
        let id = frame.id;
        let method = Method::of(frame.call.as_ref());
        let trace = CallTrace::begin(method, &TraceParent::parse(&frame.traceparent));
        if let Err(refusal) = self.take(id, trace, frame.call) {
            self.gateway.metrics.called(method, refusal.code);
            self.reply(refused(id, &refusal));
        }
    }

    fn take(&mut self, id: u32, trace: CallTrace, call: Option<Call>) -> Result<(), Refusal> {
        let call = call.ok_or_else(no_call)?;
        if !matches!(call, Call::Ping(_) | Call::Logout(_) | Call::RefreshToken(_)) {
            self.check_token()?;
        }
        match call {
            Call::Login(_) => {
                return Err(Refusal::new(
                    Code::InvalidParameter,
                    "the connection is logged in already, expected a login on a new connection",
                ));
            }
            Call::Ping(_) => {
                self.gateway.metrics.called(Method::Ping, Code::Ok);
                self.reply(succeeded(id, None));
            }
            Call::Logout(_) => self.queue(Command { ids: vec![id], trace, change: CommandChange::Logout }),
            Call::SetSelfStatus(set) => {
                convert::custom_status(&set.custom)?;
                let clear_after = convert::clear_after(set.clear_after_seconds)?;
                let clear_at = clear_after.map(|after| self.gateway.moment_in(after)).transpose()?;
                self.queue_set(id, trace, set.custom, clear_at);
            }
            Call::GetUserStatus(query) => {
                let settings = self.settings();
                check_count(query.user_ids.len(), 1, settings.limits.query_ids)?;
                if query.user_ids.iter().any(|user| user != self.handle.key.1.as_str()) {
                    settings.check_others()?;
                }
                let (gateway, key) = (Arc::clone(&self.gateway), self.handle.key);
                let passed = trace.passed().clone();
                self.ask(id, Method::GetUserStatus, trace, async move {
                    get_user_status(&gateway, key, &passed, query.user_ids).await
                });
            }
            Call::Subscribe(subscribe) => {
                self.check_targets(&subscribe.user_ids, 1)?;
                let change = CommandChange::Subscribe(subscribe.user_ids);
                self.queue(Command { ids: vec![id], trace, change });
            }
            Call::Unsubscribe(unsubscribe) => {
                self.check_targets(&unsubscribe.user_ids, 0)?;
                let change = CommandChange::Unsubscribe(unsubscribe.user_ids);
                self.queue(Command { ids: vec![id], trace, change });
            }
            Call::RefreshToken(refresh) => {
                let (gateway, handle) = (Arc::clone(&self.gateway), Arc::clone(&self.handle));
                let passed = trace.passed().clone();
                self.ask(id, Method::RefreshToken, trace, async move {
                    let end = gateway.backend.refresh_token(&passed, handle.key, refresh.token).await?;
                    gateway.hub.put_off_token_end(&handle, gateway.when(end), gateway.clock.monotonic());
                    Ok(None)
                });
            }
            Call::ListSubscriptions(_) => {
                self.settings().check_others()?;
                let (gateway, key) = (Arc::clone(&self.gateway), self.handle.key);
                let passed = trace.passed().clone();
                self.ask(id, Method::ListSubscriptions, trace, async move {
                    let (_, user_ids) = gateway.backend.list(&passed, key, false).await?;
                    Ok(Some(reply::Result::ListSubscriptions(ListSubscriptionsResult { user_ids })))
                });
            }
        }
        Ok(())
    }

    /// Checks that the session's token has not run out (SPEC H3).
    fn check_token(&self) -> Result<(), Refusal> {
        if self.handle.token_ran_out(self.gateway.clock.monotonic()) {
            return Err(Refusal::new(
                Code::SessionTokenExpired,
                "the session's token has run out, expected refresh_token with a new one",
            ));
        }
        Ok(())
    }

    /// Checks the arguments of a subscribe or unsubscribe, and then whether the app may.
    fn check_targets(&self, ids: &[String], least: usize) -> Result<(), Refusal> {
        let settings = self.settings();
        check_count(ids.len(), least, settings.limits.subscribe_ids)?;
        for id in ids {
            convert::user_id(id)?;
        }
        if least > 0 && ids.iter().any(|id| id == self.handle.key.1.as_str()) {
            return Err(Refusal::new(
                Code::InvalidParameter,
                "the list holds the caller's own id, expected ids of others only",
            ));
        }
        settings.check_others()
    }

    /// Returns the settings of the caller's app; without any, what a new app has.
    fn settings(&self) -> Settings {
        self.gateway.hub.settings(self.handle.key.0).unwrap_or_default()
    }

    /// Starts a call that changes nothing.
    fn ask(
        &mut self,
        id: u32,
        method: Method,
        trace: CallTrace,
        call: impl Future<Output = CallResult> + Send + 'static,
    ) {
        let gateway = Arc::clone(&self.gateway);
        self.start(async move {
            let result = call.instrument(trace.span()).await;
            gateway.metrics.ended(method, &result);
            trace.ended(&result);
            Done { replies: vec![answer(id, result)], command: false, leave: None }
        });
    }

    fn start(&mut self, call: impl Future<Output = Done> + Send + 'static) {
        self.calls.get_or_insert_default().push(Box::pin(call));
    }

    /// Queues a set. One that waits already is overtaken: it will be answered together with the newer one
    /// (SPEC B4).
    fn queue_set(&mut self, id: u32, trace: CallTrace, custom: String, clear_at: Option<Timestamp>) {
        let mut ids = vec![id];
        if let Some(waiting) =
            self.commands.iter().position(|command| matches!(command.change, CommandChange::Set(..)))
            && let Some(overtaken) = self.commands.remove(waiting)
        {
            ids.splice(0..0, overtaken.ids);
        }
        self.last_op.0 += 1;
        self.queue(Command { ids, trace, change: CommandChange::Set(self.last_op, custom, clear_at) });
    }

    fn queue(&mut self, command: Command) {
        self.commands.push_back(command);
        if self.running == Running::Nothing {
            self.run_next_command();
        }
    }

    /// Starts the next command; each waits for the one before.
    pub(super) fn run_next_command(&mut self) {
        let Some(command) = self.commands.pop_front() else {
            self.commands = VecDeque::new();
            return;
        };
        self.running = match command.change {
            CommandChange::Subscribe(_) | CommandChange::Unsubscribe(_) => Running::List,
            CommandChange::Set(..) | CommandChange::Logout => Running::Own,
        };
        let (gateway, handle) = (Arc::clone(&self.gateway), Arc::clone(&self.handle));
        if matches!(command.change, CommandChange::Logout) {
            handle.leave();
        }
        self.start(async move {
            let method = command.change.method();
            let trace = command.trace;
            let executed = execute(&gateway, &handle, trace.passed(), command.change);
            let result = executed.instrument(trace.span()).await;
            trace.ended(&result);
            let leave = (method == Method::Logout && result.is_ok()).then_some(CloseCode::LoggedOut);
            let reply = |id| {
                gateway.metrics.ended(method, &result);
                answer(id, result.clone())
            };
            let replies = command.ids.into_iter().map(reply).collect();
            Done { replies, command: true, leave }
        });
    }
}

fn answer(id: u32, result: CallResult) -> Reply {
    match result {
        Ok(result) => succeeded(id, result),
        Err(refusal) => refused(id, &refusal),
    }
}

fn check_count(count: usize, least: usize, most: u32) -> Result<(), Refusal> {
    if count < least || count > most as usize {
        let message = format!("the list has {count} ids, expected {least} to {most}");
        return Err(Refusal::new(Code::InvalidParameter, message));
    }
    Ok(())
}

async fn execute(
    gateway: &Arc<Gateway>,
    handle: &SessionHandle,
    trace: &TraceParent,
    change: CommandChange,
) -> CallResult {
    let session = gateway.session(handle.counter);
    match change {
        CommandChange::Set(op, custom, clear_at) => {
            let change = gateway.change(trace, handle.key);
            let set = gateway.backend.set_self_status(change, session, op, custom.clone(), clear_at);
            let (status, set_version) = set.await?;
            let (_, own, version) = convert::status(&status)?;
            gateway.hub.keep_set(handle, op, custom, clear_at, set_version);
            gateway.hub.merge_own(handle, own, version);
            Ok(Some(reply::Result::SetSelfStatus(SetSelfStatusResult { status: Some(status) })))
        }
        CommandChange::Subscribe(ids) => {
            let evicted = subscribe(gateway, handle.key, trace, ids).await?;
            Ok(Some(reply::Result::Subscribe(SubscribeResult { evicted })))
        }
        CommandChange::Unsubscribe(ids) => unsubscribe(gateway, handle.key, trace, ids).await.map(|()| None),
        CommandChange::Logout => {
            gateway.backend.logout(gateway.change(trace, handle.key), session).await.map(|()| None)
        }
    }
}

async fn get_user_status(
    gateway: &Gateway,
    key: UserKey,
    trace: &TraceParent,
    ids: Vec<String>,
) -> CallResult {
    let GetUserStatusResponse { statuses, failures, details } =
        gateway.backend.get_user_status(trace, key, ids).await?;
    // What was read is also shown to whoever watches, so that no reply is newer than a notification after it.
    let read = statuses.iter().filter_map(|status| convert::status(status).ok()).collect();
    gateway.hub.merge(key.0, read, None);
    Ok(Some(reply::Result::GetUserStatus(GetUserStatusResult { statuses, failures, own: own(key, details) })))
}

/// Takes what more is known of the caller; nothing of anybody else is passed on (SPEC A9).
fn own(key: UserKey, details: Vec<OnlineDetail>) -> Option<OnlineDetail> {
    details.into_iter().find(|detail| detail.user_id == key.1.as_str())
}

/// Subscribes a user: stored first, then in the interest, then answered; statuses follow the reply.
async fn subscribe(
    gateway: &Arc<Gateway>,
    key: UserKey,
    trace: &TraceParent,
    ids: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    gateway.hub.begin_list_command(&key);
    let result = gateway.backend.subscribe(gateway.change(trace, key), ids).await;
    let delta = result.as_ref().ok().map(|response| ListDelta {
        previous: response.previous_version,
        version: response.version,
        added: response.added.iter().filter_map(|id| id.parse().ok()).collect(),
        removed: response.evicted.iter().filter_map(|id| id.parse().ok()).collect(),
    });
    follow_list(gateway, key, delta).await;
    result.map(|response| response.evicted)
}

/// Unsubscribes a user: once it is answered, nothing of those users reaches the session (SPEC E2).
async fn unsubscribe(
    gateway: &Arc<Gateway>,
    key: UserKey,
    trace: &TraceParent,
    ids: Vec<String>,
) -> Result<(), Refusal> {
    gateway.hub.begin_list_command(&key);
    let result = gateway.backend.unsubscribe(gateway.change(trace, key), ids).await;
    let delta = result.as_ref().ok().map(|response| ListDelta {
        previous: response.previous_version,
        version: response.version,
        added: Vec::new(),
        removed: response.removed.iter().filter_map(|id| id.parse().ok()).collect(),
    });
    follow_list(gateway, key, delta).await;
    result.map(drop)
}

/// Brings edges and interest in line with a list that a command has changed. What cannot be done now goes on
/// in the background: the change itself is stored.
async fn follow_list(gateway: &Arc<Gateway>, key: UserKey, delta: Option<ListDelta>) {
    let read_again = gateway.hub.end_list_command(&key, delta.as_ref());
    let listed = if read_again { gateway.load_list(key).await } else { gateway.interest_settled().await };
    // Its receiver is for logins that wait.
    drop(gateway.attach(key, read_again && listed.is_err()));
}
