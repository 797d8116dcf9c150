//! The record of an app: its settings, the keys of its tokens, and the last entry of its audit log.

use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::{
    app::{Edition, Limits, Settings},
    policy::LoginPolicy,
};

use super::Error;
use crate::apps::{KeyMaterial, TokenKey};

/// What the record of an app says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) settings: Settings,
    pub(crate) keys: Vec<TokenKey>,
    /// The last entry of the audit log, not read yet; `None` in a record from before there was one.
    pub(crate) last: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredApp {
    #[prost(uint32, tag = "1")]
    edition: u32,
    #[prost(bool, tag = "2")]
    status: bool,
    #[prost(uint32, tag = "3")]
    query_ids: u32,
    #[prost(uint32, tag = "4")]
    subscribe_ids: u32,
    #[prost(uint32, tag = "5")]
    subscriptions: u32,
    #[prost(message, repeated, tag = "6")]
    keys: Vec<StoredKey>,
    /// 0 in a record from before there was one.
    #[prost(uint32, tag = "7")]
    window_calls: u32,
    /// 0 in a record from before there was one.
    #[prost(uint32, tag = "8")]
    login_policy: u32,
    /// 0 in a record from before there was one.
    #[prost(uint32, tag = "9")]
    friends: u32,
    #[prost(bool, tag = "11")]
    friend_status: bool,
    /// Apart from the others: who does not know them must not take one for a secret that is empty.
    #[prost(message, repeated, tag = "10")]
    ed25519_keys: Vec<StoredPublicKey>,
    /// The record of an entry, which has no version of its own.
    #[prost(bytes = "bytes", optional, tag = "12")]
    last_audit_entry: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredPublicKey {
    #[prost(string, tag = "1")]
    kid: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct StoredKey {
    #[prost(string, tag = "1")]
    kid: String,
    #[prost(bytes = "bytes", tag = "2")]
    hs256: Bytes,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Writes an app.
pub(crate) fn encode(settings: &Settings, keys: &[TokenKey], last: Option<Bytes>) -> Bytes {
    let secrets = keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Hs256(secret) => Some(StoredKey { kid: key.kid.clone(), hs256: secret.clone() }),
        KeyMaterial::Ed25519(_) => None,
    });
    let public_keys = keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Ed25519(public) => {
            Some(StoredPublicKey { kid: key.kid.clone(), public_key: public.to_vec() })
        }
        KeyMaterial::Hs256(_) => None,
    });
    let stored = StoredApp {
        edition: settings.edition as u32,
        status: settings.status,
        query_ids: settings.limits.query_ids,
        subscribe_ids: settings.limits.subscribe_ids,
        subscriptions: settings.limits.subscriptions,
        window_calls: settings.limits.window_calls,
        login_policy: settings.login_policy as u32,
        friends: settings.limits.friends,
        friend_status: settings.friend_status,
        keys: secrets.collect(),
        ed25519_keys: public_keys.collect(),
        last_audit_entry: last,
    };
    stored.encode_to_vec().into()
}

/// Reads an app.
pub(crate) fn decode(value: Bytes) -> Result<Read, Error> {
    let stored = StoredApp::decode(value)?;
    let or_default = |stored: u32, default: u32| if stored == 0 { default } else { stored };
    let limits = Limits {
        query_ids: stored.query_ids,
        subscribe_ids: stored.subscribe_ids,
        subscriptions: stored.subscriptions,
        window_calls: or_default(stored.window_calls, Limits::default().window_calls),
        friends: or_default(stored.friends, Limits::default().friends),
    };
    limits.validate().map_err(|refusal| Error::field("limits", &refusal.message))?;
    let edition = [Edition::Standard, Edition::Premium]
        .into_iter()
        .find(|edition| *edition as u32 == stored.edition)
        .ok_or_else(|| Error::field("edition", &stored.edition))?;
    let login_policy = match stored.login_policy {
        0 => LoginPolicy::default(),
        number => LoginPolicy::from_number(number).ok_or_else(|| Error::field("login policy", &number))?,
    };
    let secret = |key: StoredKey| TokenKey { kid: key.kid, material: KeyMaterial::Hs256(key.hs256) };
    let mut keys: Vec<TokenKey> = stored.keys.into_iter().map(secret).collect();
    for StoredPublicKey { kid, public_key } in stored.ed25519_keys {
        let length = public_key.len();
        let public: [u8; 32] =
            public_key.try_into().map_err(|_| Error::field("length of a public key", &length))?;
        keys.push(TokenKey { kid, material: KeyMaterial::Ed25519(public) });
    }
    let StoredApp { status, friend_status, last_audit_entry: last, .. } = stored;
    let settings = Settings { edition, status, friend_status, limits, login_policy };
    Ok(Read { settings, keys, last })
}
