//! Serving requests, none of which is served long after its asker gave it up.
//!
//! A request can lie about for any time: in the sockets of a server that stands still, or of one that was cut
//! off, and there it stays also when its asker closes the connection. A report served late would count what it
//! heard as heard just now. A deadline in the request would need clocks that agree, and no clock of an asker is
//! known here. So the one who serves asks back: before a request is handed over, its asker must confirm within
//! [`CONFIRM_LIMIT`] that it still waits. That is one round trip more, and whatever stood still in between, a
//! request is handed over at most that much later than it was given up.
//!
//! The asker's inbox tells the two messages apart that come to it: the question has a subject for the answer, and
//! the answer has none.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Subject as Address, Subscriber};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::debug;

use super::{
    inbox::Inbox,
    link::{Life, Link},
    wire,
};
use crate::{
    port::{Error, Request, Requests},
    subject::Subject,
};

/// The queue group of all who serve: each request goes to one of them.
const GROUP: &str = "presence";

/// The greatest number of requests that wait for one who serves: a report of each of as many gateways.
const SERVER_CAPACITY: usize = 256;

/// The greatest number of requests that are confirmed, queued or answered at a time; further ones wait in the
/// client, which drops them when it has too many. Their askers repeat them.
const IN_HAND: usize = 1_024;

/// How long an asker may take to confirm that it still waits.
const CONFIRM_LIMIT: Duration = Duration::from_secs(1);

/// What it takes to ask back and to answer, without the link.
#[derive(Clone)]
struct Line {
    client: Client,
    inbox: Arc<Inbox>,
}

/// Serves a subject; waits until that is in force.
pub(super) async fn serve(link: &Link, subject: Subject) -> Result<Requests, Error> {
    let life = link.life(subject.to_string());
    let subscriber = link.client.queue_subscribe(subject.to_string(), GROUP.to_owned()).await;
    let subscriber = subscriber.map_err(|error| Error::Unavailable(error.to_string()))?;
    link.echo().await?;
    life.granted()?;
    let (sender, requests) = mpsc::channel(SERVER_CAPACITY);
    let line = Line { client: link.client.clone(), inbox: Arc::clone(&link.inbox) };
    tokio::spawn(pass_on(subscriber, life, sender, line));
    Ok(Requests { requests })
}

/// Hands requests over until the one who serves goes or the link ends, and then waits for the answers to those
/// that were handed over.
async fn pass_on(mut subscriber: Subscriber, mut life: Life, sender: mpsc::Sender<Request>, line: Line) {
    let mut in_hand = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = life.end() => break,
            () = sender.closed() => break,
            Some(()) = in_hand.next() => {}
            request = subscriber.next(), if in_hand.len() < IN_HAND => {
                let Some(request) = request else { break };
                in_hand.push(line.clone().attend(request, sender.clone()));
            }
        }
    }
    drop((subscriber, sender));
    while in_hand.next().await.is_some() {}
}

impl Line {
    /// Hands a request over if its asker still waits, and answers it.
    async fn attend(self, request: async_nats::Message, sender: mpsc::Sender<Request>) {
        // Without a subject for the answer it is no request.
        let (Some(asker), Some(message)) = (request.reply.clone(), wire::read(&request)) else { return };
        // First a place, so that a confirmed request does not wait for one.
        let Ok(place) = sender.reserve_owned().await else { return };
        if !self.is_awaited(&asker).await {
            debug!(subject = %message.subject, "left a request whose asker waits no more");
            return;
        }
        let (reply, answer) = oneshot::channel();
        drop(place.send(Request { message, reply }));
        if let Ok(answer) = answer.await {
            // If it cannot be sent, the connection is lost, and the asker asks again.
            drop(self.client.publish(asker, answer).await);
        }
    }

    /// Asks the asker whether it still waits.
    async fn is_awaited(&self, asker: &Address) -> bool {
        let Ok(waiting) = self.inbox.wait() else { return false };
        let question = self.client.publish_with_reply(asker.clone(), waiting.subject(), Bytes::new());
        let confirmed =
            async { question.await.is_ok() && waiting.answer().await.is_ok_and(|it| it.status.is_none()) };
        timeout(CONFIRM_LIMIT, confirmed).await.unwrap_or(false)
    }
}
