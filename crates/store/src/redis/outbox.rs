//! Outboxes: one stream for each partition.

use bytes::Bytes;
use redis::{Pipeline, Value};
use rollcall_domain::time::Timestamp;

use super::{Shared, connection::read, epoch, keys};
use crate::{
    partition::Partition,
    port::{Entry, Error, Heads, OUTBOX_MAX},
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

    /// Reads the last sequence of every partition, and who the server is, with commands that are sent at once.
    pub(super) async fn heads(&self) -> Result<Heads, Error> {
        let mut commands = Pipeline::with_capacity(2);
        commands.add_command(epoch::ask()).cmd("MGET");
        for partition in self.options.partitions.all() {
            commands.arg(keys::sequence(partition));
        }
        let replies: [Value; 2] = self.connection.ask_all(&commands).await?.try_into().map_err(|_| {
            Error::Unavailable("unexpected reply to heads: not one for each command".to_owned())
        })?;
        let [server, sequences] = replies;
        let epoch = epoch::read(&read::<String>(server)?).map_err(Error::Unavailable)?;
        self.connection.is_in(epoch);
        let sequences: Vec<Option<u64>> = read(sequences)?;
        Ok(Heads { epoch, sequences: sequences.into_iter().map(Option::unwrap_or_default).collect() })
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
