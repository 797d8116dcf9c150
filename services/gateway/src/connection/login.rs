//! The first part of a connection's life: everything but a login is refused (SPEC H1, H6).

use std::{sync::Arc, time::Duration};

use rollcall_domain::{
    code::{Code, Refusal},
    time::Timestamp,
};
use rollcall_proto::{
    client::v1::{Login, LoginResult, ServerFrame, client_frame::Call, reply, server_frame::Event},
    close::CloseCode,
    convert,
    presence::v1::LoginRequest,
    trace::TraceParent,
};
use tracing::Instrument as _;
use tungstenite::Message;

use super::{
    FRAME_MAX_BEFORE_LOGIN, refused, succeeded,
    transport::{Received, Transport, receive, send},
};
use crate::{
    Gateway,
    codec::Codec,
    hub::{LoginRecord, SessionHandle},
    metrics::Method,
    trace::CallTrace,
};

/// How long the reply to a login waits for the subscription list.
const LIST_LIMIT: Duration = Duration::from_secs(2);

/// How a connection began.
pub(super) enum Begun {
    /// With a login that succeeded: the session, and the reply to send.
    LoggedIn(Arc<SessionHandle>, Message),
    /// It is to close, after a last reply.
    Close(Option<Message>, CloseCode),
    /// The client has gone.
    Gone,
}

/// How the wait for a login ended.
enum First {
    /// A login came.
    Login {
        /// The id of the call.
        id: u32,
        /// Its trace.
        trace: TraceParent,
        /// What it says.
        login: Box<Login>,
    },
    /// The connection is to close, after a last reply.
    Close(Option<Message>, CloseCode),
    /// The client has gone.
    Gone,
}

/// Waits for a login, not for ever, and logs the client in.
pub(super) async fn begin(gateway: &Arc<Gateway>, transport: &mut impl Transport, codec: Codec) -> Begun {
    match tokio::time::timeout(gateway.config.login_timeout, first_login(transport, codec)).await {
        // Boxed: the wait keeps no room for it.
        Ok(First::Login { id, trace, login }) => Box::pin(log_in(gateway, codec, id, &trace, *login)).await,
        Ok(First::Gone) => Begun::Gone,
        Ok(First::Close(reply, code)) => Begun::Close(reply, code),
        Err(_) => Begun::Close(None, CloseCode::LoginTimeout),
    }
}

/// Reads until a login comes.
async fn first_login(transport: &mut impl Transport, codec: Codec) -> First {
    loop {
        let message = match receive(transport).await {
            Received::Message(message) => message,
            Received::Broken(code) => return First::Close(None, code),
            Received::Gone => return First::Gone,
        };
        if message.len() > FRAME_MAX_BEFORE_LOGIN {
            return First::Close(None, CloseCode::FrameTooLarge);
        }
        let frame = match codec.decode(&message) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(error) => {
                let reply = reply_message(codec, refused(0, &Refusal::invalid(&error)));
                return First::Close(Some(reply), CloseCode::MalformedFrame);
            }
        };
        let refusal = match frame.call {
            Some(Call::Login(login)) => {
                let trace = TraceParent::parse(&frame.traceparent);
                return First::Login { id: frame.id, trace, login: Box::new(login) };
            }
            Some(_) => Refusal::new(Code::NotLoggedIn, "no login came before this call, expected a login"),
            None => super::calls::no_call(),
        };
        if send(transport, reply_message(codec, refused(frame.id, &refusal))).await.is_err() {
            return First::Gone;
        }
    }
}

/// Logs a client in: presence decides, then the session joins the hub, and the reply waits a while for the
/// subscription list.
async fn log_in(gateway: &Arc<Gateway>, codec: Codec, id: u32, trace: &TraceParent, login: Login) -> Begun {
    let trace = CallTrace::begin(Method::Login, trace);
    let logged_in = try_log_in(gateway, codec, trace.passed(), login).instrument(trace.span()).await;
    gateway.metrics.ended(Method::Login, &logged_in);
    trace.ended(&logged_in);
    match logged_in {
        Ok((handle, result)) => {
            let reply = succeeded(id, Some(reply::Result::Login(result)));
            Begun::LoggedIn(handle, reply_message(codec, reply))
        }
        Err(refusal) => {
            let code = if is_transient(&refusal) { CloseCode::TryAgain } else { CloseCode::LoginRefused };
            Begun::Close(Some(reply_message(codec, refused(id, &refusal))), code)
        }
    }
}

async fn try_log_in(
    gateway: &Arc<Gateway>,
    codec: Codec,
    trace: &TraceParent,
    login: Login,
) -> Result<(Arc<SessionHandle>, LoginResult), Refusal> {
    let key = (convert::app_id(login.app_id)?, convert::user_id(&login.user_id)?);
    let device = convert::device_id(&login.device_id)?;
    convert::platform(login.platform)?;
    // Heard before presence counts from its own now: our deadline is never the later one.
    let heard = gateway.clock.monotonic();
    let under_way = gateway.hub.begin_login();
    let counter = under_way.counter;
    let session = gateway.session(counter);
    let request = LoginRequest {
        app_id: login.app_id,
        user_id: login.user_id,
        token: login.token,
        platform: login.platform,
        device_id: login.device_id,
        session: Some(convert::session_to_wire(session)),
        not_after: gateway.not_after(),
        resumes: login.resumes,
    };
    let response = gateway
        .backend
        .login(trace, request)
        .await
        // Whether it was stored is not known: if it was, it ends as a lost connection. From now on it will not be.
        .inspect_err(|refusal| {
            if is_transient(refusal) {
                gateway.hub.report_lost(key, counter);
            }
        })?;
    let incomplete = || Refusal::new(Code::Internal, "presence answered a login incompletely");
    let status = response.status.ok_or_else(incomplete)?;
    let app = response.app.ok_or_else(incomplete)?;
    let (_, own, version) = convert::status(&status)?;

    gateway.set_settings(key.0, convert::settings(&app)?, app.version);
    // Absent where presence is of the release before there was one.
    let place = if response.place == 0 { response.login_order } else { response.place };
    let (order, bare_since) = (response.login_order, response.bare_since);
    let record = LoginRecord { platform: login.platform, device, order, place, bare_since };
    let token_end = gateway.when(Timestamp::from_seconds(response.token_expires_at));
    let handle = gateway.hub.add_session(key, counter, record, codec, heard, token_end);
    drop(under_way);
    gateway.hub.merge_own(&handle, own, version);
    let listed = gateway.attach(key, gateway.hub.list_length(&key).is_none());
    // Without the list in time the count is absent, and it is read in the background.
    let _ = tokio::time::timeout(LIST_LIMIT, listed).await;
    // What ended the session between its commit and our interest was told to nobody here.
    gateway.hub.doubt(&handle);
    let subscriptions = gateway.hub.list_length(&key).map(|length| u32::try_from(length).unwrap_or(u32::MAX));
    let result = LoginResult {
        heartbeat_seconds: u32::try_from(gateway.config.heartbeat.as_secs()).unwrap_or(u32::MAX),
        status: Some(status),
        subscriptions,
        login_order: place,
    };
    Ok((handle, result))
}

/// Says whether a refusal is a fault of ours, which may pass.
fn is_transient(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::Timeout | Code::ServerTimeout | Code::Internal)
}

fn reply_message(codec: Codec, reply: rollcall_proto::client::v1::Reply) -> Message {
    codec.encode(&ServerFrame { event: Some(Event::Reply(reply)) })
}
