//! The stream that captures changes, for those who read them later.
//!
//! It is made where it is absent. Where it is there, what would lose changes, or would answer in the place of
//! others, is refused; limits are the operator's and at most remarked on, so that nothing is ever changed back.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self, ErrorCode,
        context::{
            CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind,
        },
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use tracing::{info, warn};

use crate::subject::{ALL_STATUS, Subject};

/// The name of the stream.
pub const STREAM: &str = "ROLLCALL_STATUS";

/// How much the stream keeps. What is there already may keep more, or less, which is remarked on in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On how many servers each message is: 1, or 3 in a cluster that must not lose any with one server. 1 by
    /// default.
    pub replicas: u8,
    /// How long a message is kept, and so how long a reader may be away. 7 days by default.
    pub max_age: Duration,
    /// How many bytes are kept on each server; then the oldest messages go. 4 GiB by default: a million users, each
    /// with four changes a day of some 150 bytes, make that in a week.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { replicas: 1, max_age: Duration::from_secs(7 * 24 * 60 * 60), max_bytes: 4 << 30 }
    }
}

/// Says what is wrong with the stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The server keeps no streams.
    #[error("bus server has no JetStream, which keeps changes for later readers: it must be switched on")]
    NoJetStream,
    /// It is there, and would lose changes or answer in the place of others.
    #[error("stream {STREAM} is not as it must be: {0}")]
    Unfit(String),
    /// Another one is in its place.
    #[error("stream {STREAM} cannot be made: another stream captures {ALL_STATUS}")]
    Overlap,
    /// The server refuses it, or does not answer.
    #[error("stream {STREAM} cannot be looked at or made: {0}")]
    Failed(String),
}

/// Makes the stream where it is absent, and checks it. Any number of processes may do so at once.
pub(super) async fn ensure(client: &Client, limits: Limits) -> Result<(), StreamError> {
    let api = jetstream::new(client.clone());
    let found = match api.get_stream(STREAM).await {
        Ok(found) => found,
        Err(error) if code(&error) == Some(ErrorCode::STREAM_NOT_FOUND) => {
            match api.create_stream(config(limits)).await {
                Ok(_) => {
                    info!(stream = STREAM, "made the stream that captures changes");
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    // Another process, with other limits, was first.
                    CreateStreamErrorKind::JetStream(error)
                        if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
                    {
                        api.get_stream(STREAM).await.map_err(|error| unreadable(&error))?
                    }
                    CreateStreamErrorKind::JetStream(error)
                        if error.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP =>
                    {
                        return Err(StreamError::Overlap);
                    }
                    _ => return Err(StreamError::Failed(error.to_string())),
                },
            }
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let found = &found.cached_info().config;
    let faults = faults(found);
    if !faults.is_empty() {
        return Err(StreamError::Unfit(faults.join("; ")));
    }
    let remarks = remarks(found, limits);
    if !remarks.is_empty() {
        warn!(stream = STREAM, remarks = remarks.join("; "), "the stream keeps less than is configured");
    }
    Ok(())
}

/// Returns the settings of a stream that is made.
fn config(limits: Limits) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some(
            "changes of statuses, sessions and lists, as Rollcall's outboxes tell them".to_owned(),
        ),
        // One message a change: the same publish that notifiers hear. Nothing else of ours is captured, above all
        // no request, which JetStream would answer with its acknowledgment.
        subjects: vec![ALL_STATUS.to_owned()],
        // Messages go by age and size alone, whoever has read them: readers come and go.
        retention: RetentionPolicy::Limits,
        // A full stream loses its oldest messages. The other choice would refuse new ones, and let outboxes fill
        // because a reader is slow or a disk is small.
        discard: DiscardPolicy::Old,
        max_age: limits.max_age,
        max_bytes: i64::try_from(limits.max_bytes).unwrap_or(i64::MAX),
        // Bytes are the limit, not messages, whether of all partitions or of one.
        max_messages: -1,
        max_messages_per_subject: -1,
        // What the server lets through is kept; a single change is some hundred bytes.
        max_message_size: -1,
        // A restart of the server must lose nothing that was acknowledged. It does not sync before it
        // acknowledges: what a power failure takes is what replicas are for.
        storage: StorageType::File,
        num_replicas: usize::from(limits.replicas),
        // An outbox entry is forgotten when the acknowledgment came.
        no_ack: false,
        // No message carries an id to find doubles by, so the window is as small as the server lets it be. An
        // entry can be published twice, and readers know it by its sequence and versions, which they need anyway
        // once the window is over. Partition and sequence alone would be worse than no id: they begin anew when a
        // store is wiped, and the stream would swallow the first changes after it.
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

/// Finds what would lose changes, or would answer in the place of others.
fn faults(found: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, text: String| {
        if !holds {
            faults.push(text);
        }
    };
    let subjects = &found.subjects;
    expect(
        subjects.iter().any(|pattern| covers(pattern, ALL_STATUS)),
        format!("its subjects are {subjects:?}, expected {ALL_STATUS:?}"),
    );
    let heartbeat = Subject::Heartbeat.to_string();
    expect(
        !subjects.iter().any(|pattern| covers(pattern, &heartbeat)),
        format!(
            "its subjects are {subjects:?}, which must not cover {heartbeat:?}: it would answer requests"
        ),
    );
    expect(
        found.subject_transform.is_none(),
        "it changes subjects, expected none of that: they name the partition".to_owned(),
    );
    expect(
        found.retention == RetentionPolicy::Limits,
        format!("its retention is {:?}, expected limits: readers come and go", found.retention),
    );
    expect(
        found.discard == DiscardPolicy::Old,
        "it refuses new messages when it is full, expected to lose old ones".to_owned(),
    );
    expect(!found.no_ack, "it acknowledges nothing, expected acknowledgments".to_owned());
    expect(!found.sealed, "it is sealed, expected to take messages".to_owned());
    faults
}

/// Finds where the stream keeps less than is asked for.
fn remarks(found: &Config, limits: Limits) -> Vec<String> {
    let mut remarks = Vec::new();
    if found.storage != StorageType::File {
        remarks.push("it is in memory, and lost with its servers".to_owned());
    }
    if found.num_replicas < usize::from(limits.replicas) {
        remarks.push(format!("it has {} replicas, {} are configured", found.num_replicas, limits.replicas));
    }
    if !found.max_age.is_zero() && found.max_age < limits.max_age {
        remarks.push(format!("it keeps {:?}, {:?} are configured", found.max_age, limits.max_age));
    }
    if u64::try_from(found.max_bytes).is_ok_and(|bytes| bytes > 0 && bytes < limits.max_bytes) {
        remarks.push(format!("it keeps {} bytes, {} are configured", found.max_bytes, limits.max_bytes));
    }
    if found.max_messages > 0 || found.max_messages_per_subject > 0 {
        remarks.push("it keeps a number of messages, expected none but the limit in bytes".to_owned());
    }
    remarks
}

/// Says whether every subject that `covered` matches is matched by the pattern too.
fn covers(pattern: &str, covered: &str) -> bool {
    let (mut pattern, mut covered) = (pattern.split('.'), covered.split('.'));
    loop {
        match (pattern.next(), covered.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

fn code(error: &GetStreamError) -> Option<ErrorCode> {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    }
}

fn unreadable(error: &GetStreamError) -> StreamError {
    let request = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RequestError>());
    let absent = request.is_some_and(|request| request.kind() == RequestErrorKind::NoResponders);
    let off = [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];
    if absent || code(error).is_some_and(|code| off.contains(&code)) {
        StreamError::NoJetStream
    } else {
        StreamError::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_as_we_make_it_is_without_fault() {
        let limits = Limits::default();
        assert_eq!(faults(&config(limits)), [""; 0]);
        assert_eq!(remarks(&config(limits), limits), [""; 0]);
    }

    #[test]
    fn larger_limits_are_the_operators() {
        let limits = Limits::default();
        let larger = Config { max_age: Duration::ZERO, max_bytes: -1, num_replicas: 5, ..config(limits) };
        assert_eq!(remarks(&larger, limits), [""; 0]);
    }

    #[test]
    fn smaller_limits_are_remarked_on_and_no_fault() {
        let limits = Limits { replicas: 3, ..Limits::default() };
        let smaller = Config {
            max_age: Duration::from_secs(1),
            max_bytes: 1,
            num_replicas: 1,
            max_messages: 10,
            storage: StorageType::Memory,
            ..config(limits)
        };
        assert_eq!(remarks(&smaller, limits).len(), 5);
        assert_eq!(faults(&smaller), [""; 0]);
    }

    #[test]
    fn each_fault_is_told() {
        let good = || config(Limits::default());
        let with = |subjects: &[&str]| Config {
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            ..good()
        };
        for unfit in [
            with(&[]),
            with(&["rollcall.status.1"]),
            with(&["rollcall.>"]),
            with(&["rollcall.status.*", "*.heartbeat"]),
            Config { retention: RetentionPolicy::Interest, ..good() },
            Config { retention: RetentionPolicy::WorkQueue, ..good() },
            Config { discard: DiscardPolicy::New, ..good() },
            Config { no_ack: true, ..good() },
            Config { sealed: true, ..good() },
        ] {
            assert_eq!(faults(&unfit).len(), 1, "{unfit:?}");
        }
        for fit in [with(&["rollcall.status.>"]), with(&["other", "rollcall.status.*"])] {
            assert_eq!(faults(&fit), [""; 0]);
        }
    }
}
