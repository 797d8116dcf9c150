//! One connection to one server, which is never connected again.
//!
//! The client of `async-nats` keeps what could not be sent, connects again and sends it: a report would be served
//! long after its asker gave it up, and ages in it are relative to when it is served. A subscriber would not
//! learn that it missed something. So the client is let connect once: the second address that it is given is one
//! where nobody listens. When the connection is lost, everything ends with it (subscriptions, whoever waits for
//! an answer, what was not sent), and the keeper builds another link.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, ReconnectToServer, ServerAddr};
use bytes::Bytes;
use futures_util::future;
use tokio::{
    fs,
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tracing::warn;

use super::{
    error::{ConnectError, OLDEST},
    inbox::{Inbox, Waiting},
    options::{Options, Tls},
    wire,
};
use crate::port;

/// How many messages may wait to be sent; further ones wait for those, each no longer than its time-out.
const SEND_QUEUE: usize = 1_024;

/// How many answers may wait for the inbox, which gives them on at once; more than can be asked for at a time.
const ANSWERS: usize = 8_192;

/// An address where nobody listens, so that a lost connection stays lost.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// One connection. Dropping it closes it, and ends the subscriptions.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) inbox: Arc<Inbox>,
    /// Told when the stream seems to be away.
    pub(super) doubt: Notify,
    /// What ends subscriptions, as does the end of the link.
    cuts: Arc<watch::Sender<Cuts>>,
    /// The inbox.
    reader: AbortHandle,
}

/// What is wrong with subscriptions of a link.
#[derive(Default)]
struct Cuts {
    /// How often messages were dropped by the client. It names a subscription by a number that it tells nobody, so
    /// all of the link end: those who subscribe again lose nothing.
    drops: u64,
    /// What the server said of subscriptions that it refuses, one text for each.
    refusals: BTreeSet<String>,
}

/// What a subscription needs to know of its link without holding it.
pub(super) struct Life {
    cuts: watch::Receiver<Cuts>,
    /// The drops when it began.
    drops: u64,
    subject: String,
}

impl Link {
    /// Connects to a server, and proves that answers come through. The handle ends when the connection is lost.
    pub(super) async fn build(
        server: ServerAddr,
        options: &Options,
        dropped: Arc<AtomicU64>,
    ) -> Result<(Self, JoinHandle<()>), ConnectError> {
        let limit = options.connect_timeout;
        let built = timeout(limit, Self::try_build(server, options, dropped));
        built.await.unwrap_or(Err(ConnectError::Silent(limit)))
    }

    async fn try_build(
        server: ServerAddr,
        options: &Options,
        dropped: Arc<AtomicU64>,
    ) -> Result<(Self, JoinHandle<()>), ConnectError> {
        let cuts = Arc::new(watch::Sender::new(Cuts::default()));
        let settings = settings(&server, options).await?;
        let settings = settings.event_callback({
            let cuts = Arc::downgrade(&cuts);
            move |event| {
                if let Some(cuts) = cuts.upgrade() {
                    note(&event, &cuts, &dropped);
                }
                future::ready(())
            }
        });
        let servers = [without_login(server), nowhere()];
        let client = settings.connect(servers.as_slice()).await?;
        let (major, minor) = OLDEST;
        if !client.is_server_compatible(major, minor, 0) {
            return Err(ConnectError::TooOld(client.server_info().version));
        }

        let inbox = Inbox::new(client.new_inbox());
        let pattern = inbox.pattern();
        let subscriber = client.subscribe(pattern.clone()).await;
        let subscriber = subscriber.map_err(|error| ConnectError::Unusable(error.to_string()))?;
        let reader = tokio::spawn(Arc::clone(&inbox).run(client.clone(), subscriber));
        let link = Self { client, inbox, doubt: Notify::new(), cuts, reader: reader.abort_handle() };
        let mut life = link.life(pattern);
        let echoed = tokio::select! {
            echoed = link.echo() => echoed,
            () = life.end() => life.granted(),
        };
        echoed.map_err(|error| ConnectError::Unusable(error.to_string()))?;
        Ok((link, reader))
    }

    /// Waits until the server has done all that it was sent before: only an answer proves that.
    pub(super) async fn echo(&self) -> Result<(), port::Error> {
        let waiting = self.inbox.wait()?;
        let sent = self.client.publish(waiting.subject(), Bytes::new()).await;
        sent.map_err(|error| port::Error::Unavailable(error.to_string()))?;
        waiting.answer().await?;
        Ok(())
    }

    /// Sends a message whose answer comes to the inbox.
    pub(super) async fn send(&self, message: port::Message) -> Result<Waiting, port::Error> {
        let waiting = self.inbox.wait()?;
        let (subject, headers) = (message.subject.to_string(), wire::headers(&message));
        let sent =
            self.client.publish_with_reply_and_headers(subject, waiting.subject(), headers, message.payload);
        sent.await.map_err(|error| port::Error::Unavailable(error.to_string()))?;
        Ok(waiting)
    }

    /// Sends a message that asks for no answer.
    pub(super) async fn send_without_answer(&self, message: port::Message) -> Result<(), port::Error> {
        let (subject, headers) = (message.subject.to_string(), wire::headers(&message));
        let sent = self.client.publish_with_headers(subject, headers, message.payload).await;
        sent.map_err(|error| port::Error::Unavailable(error.to_string()))
    }

    /// Begins to watch over a subscription that is made next.
    pub(super) fn life(&self, subject: String) -> Life {
        // Rights may have been granted since.
        self.cuts.send_modify(|cuts| cuts.refusals.retain(|refusal| !refusal.contains(&subject)));
        let cuts = self.cuts.subscribe();
        let drops = cuts.borrow().drops;
        Life { cuts, drops, subject }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It holds the client; the connection is closed when all who do are gone.
        self.reader.abort();
    }
}

impl Life {
    /// Waits until the subscription must end.
    pub(super) async fn end(&mut self) {
        let (drops, subject) = (self.drops, &self.subject);
        // An error says that the link is gone.
        let _ = self.cuts.wait_for(|cuts| cuts.drops > drops || cuts.refusal(subject).is_some()).await;
    }

    /// Fails if the server has said that it refuses the subscription. It says so before it echoes, but the client
    /// tells it by another way: a word that is not heard yet ends the subscription.
    pub(super) fn granted(&self) -> Result<(), port::Error> {
        let refusal = self.cuts.borrow().refusal(&self.subject);
        refusal.map_or(Ok(()), |refusal| Err(port::Error::Unavailable(refusal)))
    }
}

impl Cuts {
    fn refusal(&self, subject: &str) -> Option<String> {
        self.refusals.iter().find(|refusal| refusal.contains(subject)).cloned()
    }
}

/// Notes what an event means for subscriptions.
fn note(event: &Event, cuts: &watch::Sender<Cuts>, dropped: &AtomicU64) {
    match event {
        Event::SlowConsumer(_) => {
            dropped.fetch_add(1, Ordering::Relaxed);
            cuts.send_modify(|cuts| cuts.drops += 1);
        }
        Event::ServerError(error) => {
            warn!(%error, "the bus server refuses something");
            let text = error.to_string();
            if text.to_lowercase().contains("permissions violation for subscription") {
                cuts.send_modify(|cuts| {
                    cuts.refusals.insert(text);
                });
            }
        }
        _ => {}
    }
}

/// Makes the client's settings for a connection to one server.
async fn settings(server: &ServerAddr, options: &Options) -> Result<ConnectOptions, ConnectError> {
    // The first of the addresses, then the other.
    let dialed = AtomicBool::new(false);
    let mut settings = ConnectOptions::new()
        .name(&options.name)
        .custom_inbox_prefix(&options.inbox)
        .connection_timeout(options.connect_timeout)
        // Of questions to JetStream; all else has time-outs of its own.
        .request_timeout(Some(options.connect_timeout))
        .ping_interval(options.ping_interval)
        .client_capacity(SEND_QUEUE)
        .subscription_capacity(
            options.subscriber_capacity.max(options.publish_window.saturating_add(ANSWERS)),
        )
        .ignore_discovered_servers()
        .max_reconnects(1)
        .reconnect_to_server_callback(move |servers, _| {
            let next = servers.into_iter().nth(usize::from(dialed.swap(true, Ordering::Relaxed)));
            let delay = Some(Duration::ZERO);
            future::ready(next.map(|server| ReconnectToServer { addr: server.addr, delay }))
        });
    if let Some(user) = server.username() {
        let password = server.password().unwrap_or_default();
        settings = settings.user_and_password(decoded(user), decoded(password));
    } else if let Some(login) = &options.login {
        let path = &login.password_file;
        let password = fs::read_to_string(path).await;
        let password = password.map_err(|source| ConnectError::Password { path: path.clone(), source })?;
        settings = settings.user_and_password(login.user.clone(), password.trim().to_owned());
    }
    if let Some(Tls { authorities, identity }) = &options.tls {
        settings = settings.require_tls(true);
        if let Some(authorities) = authorities {
            settings = settings.add_root_certificates(authorities.clone());
        }
        if let Some(identity) = identity {
            settings = settings.add_client_certificate(identity.certificate.clone(), identity.key.clone());
        }
    }
    Ok(settings)
}

/// Takes the login out of an address, as the client writes addresses into its log.
fn without_login(server: ServerAddr) -> ServerAddr {
    let mut url = server.clone().into_inner();
    // Both fail only for addresses that can have no login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    ServerAddr::from_url(url).unwrap_or(server)
}

fn nowhere() -> ServerAddr {
    NOWHERE.parse().expect("the address is one")
}

/// Replaces what stands in a URL for characters that cannot stand there (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let hex = hex.and_then(|hex| str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_url_is_decoded_and_kept_out_of_the_log() {
        let server: ServerAddr = "tls://us%3Aer:p%40ss%zz%+f%C3%A9%@host:1".parse().unwrap();

        assert_eq!(server.username().map(decoded).as_deref(), Some("us:er"));
        assert_eq!(server.password().map(decoded).as_deref(), Some("p@ss%zz%+fé%"));
        assert_eq!(without_login(server).as_url_str(), "tls://host:1");
    }
}
