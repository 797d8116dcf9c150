//! The audit log of an app: who changed what, when (SPEC G2).
//!
//! A commit writes one record, so the entry of a change is committed in the record of the app, with the change. There
//! it stays until the next change, which first keeps it in a record of its own, in a ring of [`AUDIT_MAX`] of those.
//! So no change is without its entry, and the record that every call reads holds one entry, however long the log is.

use bytes::Bytes;
use rollcall_domain::{app::Settings, id::AppId, status::RecordVersion, time::Timestamp};
use rollcall_proto::trace::TraceParent;
use rollcall_store::Key;

use super::{Apps, KeyMaterial, Stored, TokenKey, unknown};
use crate::{
    call::Call,
    codec,
    commit::{self, Plan},
    error::Error,
};

/// How many entries of an app are kept, the last ones: years of changes by hand. Each takes less than 300 bytes.
pub const AUDIT_MAX: u16 = 1_000;

/// One change of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the log, from 1. A number that is missing was lost with the store.
    pub sequence: u64,
    /// When it was made, by the store's clock.
    pub at: Timestamp,
    /// Who asked for it.
    pub who: String,
    /// The version that the app had; 0 for none.
    pub before: RecordVersion,
    /// The version that the change made.
    pub after: RecordVersion,
    /// What was done.
    pub deed: Deed,
}

/// What was done to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It was created, with these settings and keys.
    Created(Settings, Vec<ShownKey>),
    /// Its settings were changed, from the former to the latter.
    Changed(Settings, Settings),
    /// A key was added.
    KeyAdded(ShownKey),
    /// A key was removed.
    KeyRemoved(ShownKey),
}

/// What of a key may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The name of the key within its app.
    pub kid: String,
    /// The public key of Ed25519; `None` for a secret of HS256.
    pub ed25519: Option<[u8; 32]>,
}

impl From<&TokenKey> for ShownKey {
    fn from(key: &TokenKey) -> Self {
        let ed25519 = match key.material {
            KeyMaterial::Hs256(_) => None,
            KeyMaterial::Ed25519(public) => Some(public),
        };
        Self { kid: key.kid.clone(), ed25519 }
    }
}

/// A part of an audit log, the latest entry first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// What to ask for next: entries before this sequence; `None` at the end of the log.
    pub next: Option<u64>,
}

impl Apps {
    /// Reads the audit log of an app: at most `limit` entries before a sequence, or the last ones, the latest first.
    /// An app that does not exist is refused with 70020.
    pub async fn audit(&self, app: AppId, before: Option<u64>, limit: usize) -> Result<AuditPage, Error> {
        let Stored { last, .. } = self.stored(app).await?.ok_or_else(|| unknown(app))?;
        let Some(last) = last else { return Ok(AuditPage { entries: Vec::new(), next: None }) };
        let first = last.sequence.saturating_sub(u64::from(AUDIT_MAX)) + 1;
        let end = before.map_or(last.sequence + 1, |before| before.min(last.sequence + 1));
        let sequences: Vec<u64> = (first..end).rev().take(limit).collect();
        let next = sequences.last().copied().filter(|lowest| *lowest > first);
        let kept: Vec<u64> = sequences.iter().copied().filter(|other| *other != last.sequence).collect();
        let keys: Vec<Key> = kept.iter().map(|sequence| place(app, *sequence)).collect();
        let records = self.store.get(&keys).await?;
        let mut entries = Vec::with_capacity(sequences.len());
        entries.extend(sequences.first().filter(|latest| **latest == last.sequence).map(|_| last));
        for (sequence, record) in kept.into_iter().zip(records) {
            let entry = record.map(|record| codec::audit::decode(record.value)).transpose();
            // Another one there is of a later round: it came while we read.
            let entry = entry.map_err(Error::unreadable("audit log"))?;
            entries.extend(entry.filter(|entry| entry.sequence == sequence));
        }
        Ok(AuditPage { entries, next })
    }

    /// Keeps an entry in the ring, so that the record of the app may take another. Twice is once.
    pub(super) async fn keep(&self, app: AppId, entry: &AuditEntry) -> Result<(), Error> {
        let trace = TraceParent::default();
        let value = codec::audit::encode(entry);
        commit::commit(&*self.store, place(app, entry.sequence), Call::from(&trace), |record, _now| {
            let held = record.map(|record| codec::audit::decode(record.value)).transpose();
            let held = held.map_err(Error::unreadable("audit log"))?;
            let is_kept = held.is_some_and(|held| held.sequence >= entry.sequence);
            Ok(((), (!is_kept).then(|| Plan::put(value.clone()))))
        })
        .await
        .map(drop)
    }
}

impl AuditEntry {
    /// Makes the entry of a change that is about to be committed in the record of the app.
    pub(super) fn following(
        last: Option<&Self>,
        at: Timestamp,
        who: &str,
        before: RecordVersion,
        deed: Deed,
    ) -> Self {
        let sequence = last.map_or(0, |last| last.sequence) + 1;
        Self { sequence, at, who: who.to_owned(), before, after: RecordVersion::default(), deed }
    }

    /// Writes it for the record of the app, whose version it will have.
    pub(super) fn encode(&self) -> Bytes {
        codec::audit::encode(self)
    }
}

/// Returns where the entry of a sequence is kept.
fn place(app: AppId, sequence: u64) -> Key {
    let place = sequence % u64::from(AUDIT_MAX);
    Key::Audit(app, u16::try_from(place).unwrap_or_default())
}

#[cfg(test)]
mod tests;
