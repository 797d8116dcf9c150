//! Replays of what the stream keeps: a consumer of its own for each reader, which goes when it is asked nothing for
//! [`INACTIVE`].

use std::time::Duration;

use async_nats::{
    datetime::DateTime,
    jetstream::{
        self,
        consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
        stream::Stream,
    },
};
use futures_util::StreamExt as _;
use rollcall_domain::time::Timestamp;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    link::{Life, Link},
    options::Options,
    stream::STREAM,
    wire,
};
use crate::{
    port::{Error, Kept, Replay, Start},
    subject::ALL_STATUS,
};

/// How long the server keeps a consumer that nobody reads from: a reader that is slow for longer is dropped.
const INACTIVE: Duration = Duration::from_secs(60);
/// How many messages may wait for one reader; further ones wait in the stream.
const READER_CAPACITY: usize = 256;

/// Begins a replay.
pub(super) async fn replay(link: &Link, start: Start, options: &Options) -> Result<Replay, Error> {
    let life = link.life(link.inbox.pattern());
    let stream = jetstream::new(link.client.clone()).get_stream(STREAM).await.map_err(unavailable)?;
    let state = &stream.cached_info().state;
    let gone = state.first_sequence.saturating_sub(1);
    let (policy, is_cut) = match start {
        Start::Now => (after(state.last_sequence), false),
        Start::Since(time) => match point(time) {
            Some(start_time) => {
                let is_cut = gone > 0 && state.first_timestamp >= start_time;
                (DeliverPolicy::ByStartTime { start_time }, is_cut)
            }
            None => (after(state.last_sequence), false),
        },
        Start::After(position) if position > state.last_sequence => (after(gone), true),
        Start::After(position) => (after(position.max(gone)), position < gone),
    };
    let consumer = consume(link, &stream, policy, options).await?;
    let after = consumer.cached_info().delivered.stream_sequence;
    let before = lasts(link, &stream, after, options).await?;
    let messages = consumer.stream().max_messages_per_batch(READER_CAPACITY).messages();
    let messages = messages.await.map_err(unavailable)?;
    let (sender, receiver) = mpsc::channel(READER_CAPACITY);
    tokio::spawn(bring(messages, life, sender));
    Ok(Replay { after, is_cut, before, messages: receiver })
}

/// Lists the last messages of partitions that have none after a position.
async fn lasts(link: &Link, stream: &Stream, after: u64, options: &Options) -> Result<Vec<Kept>, Error> {
    let consumer = consume(link, stream, DeliverPolicy::LastPerSubject, options).await?;
    let count = usize::try_from(consumer.cached_info().num_pending).unwrap_or(usize::MAX);
    let mut before = Vec::new();
    if count == 0 {
        return Ok(before);
    }
    let mut messages = consumer.fetch().max_messages(count).messages().await.map_err(unavailable)?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| Error::Unavailable(error.to_string()))?;
        before.extend(kept(&message)?.filter(|kept| kept.position <= after));
    }
    Ok(before)
}

async fn consume(
    link: &Link,
    stream: &Stream,
    deliver_policy: DeliverPolicy,
    options: &Options,
) -> Result<Consumer<pull::Config>, Error> {
    // The client's own, which is unique.
    let inbox = link.client.new_inbox();
    let unique = inbox.rsplit('.').next().unwrap_or_default();
    let config = pull::Config {
        // With a name, so that the right to make one says of which subjects.
        name: Some(format!("replay-{unique}")),
        description: Some(options.name.clone()),
        filter_subject: ALL_STATUS.to_owned(),
        deliver_policy,
        // A reader that was cut off begins a new replay where it stopped.
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        num_replicas: 1,
        memory_storage: true,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(unavailable)
}

/// Gives messages on, until the reader or the link goes, or the consumer does.
async fn bring(mut messages: pull::Stream, mut life: Life, reader: mpsc::Sender<Kept>) {
    loop {
        let message = tokio::select! {
            biased;
            () = life.end() => return,
            () = reader.closed() => return,
            message = messages.next() => message,
        };
        let kept = match message {
            Some(Ok(message)) => kept(&message),
            Some(Err(error)) => Err(unavailable(error)),
            None => return,
        };
        match kept {
            Ok(Some(kept)) => {
                let sent = tokio::select! {
                    biased;
                    () = life.end() => return,
                    sent = reader.send(kept) => sent,
                };
                if sent.is_err() {
                    return;
                }
            }
            Ok(None) => debug!("skipped a message whose subject names no partition"),
            Err(error) => {
                warn!(%error, "dropped a reader of what is kept");
                return;
            }
        }
    }
}

/// Reads a message as the stream brings it; `None` if its subject is not one of ours.
fn kept(message: &jetstream::Message) -> Result<Option<Kept>, Error> {
    let info = message.info().map_err(|error| Error::Unavailable(format!("unexpected message: {error}")))?;
    let micros = u64::try_from(info.published.unix_timestamp_nanos() / 1_000).unwrap_or_default();
    let (position, at, behind) = (info.stream_sequence, Timestamp(micros), info.pending);
    Ok(wire::read(message).map(|message| Kept { position, at, behind, message }))
}

fn after(position: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence { start_sequence: position.saturating_add(1) }
}

/// Returns the time as the server reads it; `None` for one beyond its calendar.
fn point(time: Timestamp) -> Option<DateTime> {
    DateTime::from_unix_timestamp_nanos(i128::from(time.0) * 1_000).ok()
}

fn unavailable(error: impl std::error::Error) -> Error {
    Error::Unavailable(format!("stream {STREAM} cannot be read: {error}"))
}
