//! The record of an entry of an app's audit log.

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::{app::Settings, status::RecordVersion, time::Timestamp};

use super::{Error, app};
use crate::apps::{AuditEntry, Deed, ShownKey};

#[derive(Clone, PartialEq, prost::Message)]
struct StoredEntry {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(string, tag = "3")]
    who: String,
    #[prost(uint64, tag = "4")]
    before: u64,
    /// 0 while the entry is in the record of the app, which has this version.
    #[prost(uint64, tag = "5")]
    after: u64,
    /// Settings, as in the record of an app.
    #[prost(bytes = "bytes", optional, tag = "6")]
    settings_before: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    settings_after: Option<Bytes>,
    #[prost(message, repeated, tag = "8")]
    keys_added: Vec<StoredShownKey>,
    #[prost(message, optional, tag = "9")]
    key_removed: Option<StoredShownKey>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredShownKey {
    #[prost(string, tag = "1")]
    kid: String,
    /// Empty for a secret.
    #[prost(bytes = "vec", tag = "2")]
    ed25519: Vec<u8>,
}

/// Writes an entry.
pub(crate) fn encode(entry: &AuditEntry) -> Bytes {
    let AuditEntry { sequence, at, who, before, after, deed } = entry;
    let mut stored = StoredEntry {
        sequence: *sequence,
        at: at.0,
        who: who.clone(),
        before: before.0,
        after: after.0,
        ..StoredEntry::default()
    };
    match deed {
        Deed::Created(settings, keys) => {
            stored.settings_after = Some(settings_to_bytes(settings));
            stored.keys_added = keys.iter().map(key_to_stored).collect();
        }
        Deed::Changed(before, after) => {
            stored.settings_before = Some(settings_to_bytes(before));
            stored.settings_after = Some(settings_to_bytes(after));
        }
        Deed::KeyAdded(key) => stored.keys_added = vec![key_to_stored(key)],
        Deed::KeyRemoved(key) => stored.key_removed = Some(key_to_stored(key)),
    }
    stored.encode_to_vec().into()
}

/// Reads an entry.
pub(crate) fn decode(value: Bytes) -> Result<AuditEntry, Error> {
    let stored = StoredEntry::decode(value)?;
    let settings = (stored.settings_before, stored.settings_after);
    let deed = match (settings, &stored.keys_added[..], stored.key_removed) {
        ((None, Some(after)), added, None) => {
            Deed::Created(settings_of(after)?, added.iter().map(key_of).collect::<Result<_, _>>()?)
        }
        ((Some(before), Some(after)), [], None) => Deed::Changed(settings_of(before)?, settings_of(after)?),
        ((None, None), [key], None) => Deed::KeyAdded(key_of(key)?),
        ((None, None), [], Some(key)) => Deed::KeyRemoved(key_of(&key)?),
        _ => return Err(Error::field("audit entry", &"it is of no change that there is")),
    };
    Ok(AuditEntry {
        sequence: stored.sequence,
        at: Timestamp(stored.at),
        who: stored.who,
        before: RecordVersion(stored.before),
        after: RecordVersion(stored.after),
        deed,
    })
}

fn settings_to_bytes(settings: &Settings) -> Bytes {
    app::encode(settings, &[], None)
}

fn settings_of(bytes: Bytes) -> Result<Settings, Error> {
    Ok(app::decode(bytes)?.settings)
}

fn key_to_stored(key: &ShownKey) -> StoredShownKey {
    let ed25519 = key.ed25519.map(Vec::from).unwrap_or_default();
    StoredShownKey { kid: key.kid.clone(), ed25519 }
}

fn key_of(stored: &StoredShownKey) -> Result<ShownKey, Error> {
    let length = stored.ed25519.len();
    let ed25519 = match &stored.ed25519[..] {
        [] => None,
        public => Some(public.try_into().map_err(|_| Error::field("length of a public key", &length))?),
    };
    Ok(ShownKey { kid: stored.kid.clone(), ed25519 })
}
