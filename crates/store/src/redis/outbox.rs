//! Outboxes: one stream for each partition.

use bytes::Bytes;
use rollcall_domain::time::Timestamp;

use super::{Shared, keys};
use crate::{
    partition::Partition,
    port::{Entry, Error, OUTBOX_MAX},
};

/// An entry of a stream: its id, and its field with its value.
type Stored = (String, (String, Bytes));

impl Shared {
    /// Lists entries in order.
    pub(super) async fn unpublished(&self, partition: Partition, limit: usize) -> Result<Vec<Entry>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("XRANGE");
        command.arg(keys::outbox(partition)).arg("-").arg("+").arg("COUNT").arg(limit.min(OUTBOX_MAX));
        let stored: Vec<Stored> = self.connection.ask(&command).await?;
        stored.into_iter().map(|stored| entry(partition, stored)).collect()
    }

    /// Forgets entries.
    pub(super) async fn published(&self, partition: Partition, sequences: &[u64]) -> Result<(), Error> {
        if sequences.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("XDEL");
        command.arg(keys::outbox(partition));
        for sequence in sequences {
            command.arg(format!("{sequence}-0"));
        }
        self.connection.ask(&command).await
    }

    /// Reads the last sequence of every partition.
    pub(super) async fn heads(&self) -> Result<Vec<u64>, Error> {
        let mut command = redis::cmd("MGET");
        for partition in self.options.partitions.all() {
            command.arg(keys::sequence(partition));
        }
        let heads: Vec<Option<u64>> = self.connection.ask(&command).await?;
        Ok(heads.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// Reads a stored entry.
fn entry(partition: Partition, (id, (_, stored)): Stored) -> Result<Entry, Error> {
    let sequence = id.strip_suffix("-0").and_then(|sequence| sequence.parse().ok());
    let (Some(sequence), Some((at, _))) = (sequence, stored.split_first_chunk::<8>()) else {
        return Err(Error::Unavailable(format!("outbox entry {id} is not one of ours")));
    };
    let at = Timestamp(u64::from_le_bytes(*at));
    Ok(Entry { partition, sequence, at, bytes: stored.slice(8..) })
}
