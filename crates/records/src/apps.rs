//! The records of apps, read through a short cache. `apps/changes.rs` changes them, `apps/audit.rs` has the log of that.
//!
//! Every call needs its app; a cache of one second spares the store without breaking the 5 s within which a
//! change of settings takes effect (SPEC G1). That an app does not exist is remembered too.

mod audit;
mod changes;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use rollcall_domain::{
    app::Settings,
    code::{Code, Refusal},
    id::AppId,
    status::RecordVersion,
};
use rollcall_store::{Key, Record, Store};

pub use self::{
    audit::{AUDIT_MAX, AuditEntry, AuditPage, Deed, ShownKey},
    changes::Intent,
};
use crate::{codec, error::Error};

/// How long an answer of the store is held.
const FRESH: Duration = Duration::from_secs(1);

/// The greatest number of answers held. Beyond it those that are old go, then those about apps that do not
/// exist (whoever invents app ids pushes out only inventions); if none can go, the store is asked each time.
const APPS_MAX: usize = 4_096;

/// Tells the time that has passed since some fixed point, and never goes back.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A key that tokens are checked with. Its text form never shows a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// The name of the key within its app.
    pub kid: String,
    /// What the key is made of.
    pub material: KeyMaterial,
}

/// What a key is made of, which is also the one algorithm that it is for.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// The secret of HMAC-SHA256.
    Hs256(Bytes),
    /// The public key of Ed25519.
    Ed25519([u8; 32]),
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// An app as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// What the rules depend on.
    pub settings: Settings,
    /// The keys of its tokens.
    pub keys: Vec<TokenKey>,
    /// Strictly increases with every change of the record.
    pub version: RecordVersion,
}

/// Reads and changes apps. Clones are cheap and share the cache.
#[derive(Clone)]
pub struct Apps {
    store: Arc<dyn Store>,
    elapsed: Elapsed,
    held: Arc<Mutex<HashMap<AppId, Held>>>,
}

/// An app with the last entry of its audit log.
struct Stored {
    app: App,
    last: Option<AuditEntry>,
}

struct Held {
    app: Option<Arc<App>>,
    until: Duration,
}

impl Apps {
    /// Makes an empty cache.
    pub fn new(store: Arc<dyn Store>, elapsed: Elapsed) -> Self {
        Self { store, elapsed, held: Arc::default() }
    }

    /// Returns an app as it was at most one second ago; one that does not exist is refused with 70020.
    pub async fn get(&self, app: AppId) -> Result<Arc<App>, Error> {
        let now = (self.elapsed)();
        let held = self.held.lock().get(&app).filter(|held| now < held.until).map(|held| held.app.clone());
        let found = match held {
            Some(found) => found,
            None => self.fetch(app, now).await?,
        };
        found.ok_or_else(|| unknown(app).into())
    }

    /// Returns an app as it is now; one that does not exist is refused with 70020.
    pub async fn read(&self, app: AppId) -> Result<Arc<App>, Error> {
        self.fetch(app, (self.elapsed)()).await?.ok_or_else(|| unknown(app).into())
    }

    async fn stored(&self, app: AppId) -> Result<Option<Stored>, Error> {
        decode_all(self.store.get(&[Key::App(app)]).await?.into_iter().next().flatten())
    }

    async fn fetch(&self, app: AppId, now: Duration) -> Result<Option<Arc<App>>, Error> {
        let records = self.store.get(&[Key::App(app)]).await?;
        let found = decode(records.into_iter().next().flatten())?.map(Arc::new);
        self.hold(app, found.clone(), now);
        Ok(found)
    }

    /// Holds an answer; it ages from when the question was asked.
    fn hold(&self, app: AppId, found: Option<Arc<App>>, now: Duration) {
        let mut held = self.held.lock();
        if held.len() >= APPS_MAX {
            held.retain(|_, held| now < held.until);
        }
        if held.len() >= APPS_MAX {
            held.retain(|_, held| held.app.is_some());
        }
        if held.len() < APPS_MAX {
            held.insert(app, Held { app: found, until: now + FRESH });
        }
    }

    fn forget(&self, app: AppId) {
        self.held.lock().remove(&app);
    }
}

/// Reads the record of an app as every call needs it.
fn decode(record: Option<Record>) -> Result<Option<App>, Error> {
    let Some(record) = record else { return Ok(None) };
    let read = codec::app::decode(record.value).map_err(Error::unreadable("app"))?;
    Ok(Some(App { settings: read.settings, keys: read.keys, version: record.version }))
}

/// Reads all of the record of an app.
fn decode_all(record: Option<Record>) -> Result<Option<Stored>, Error> {
    let Some(record) = record else { return Ok(None) };
    let version = record.version;
    let codec::app::Read { settings, keys, last } =
        codec::app::decode(record.value).map_err(Error::unreadable("app"))?;
    let last = last.map(codec::audit::decode).transpose().map_err(Error::unreadable("audit log"))?;
    let last = last.map(|last| AuditEntry { after: version, ..last });
    Ok(Some(Stored { app: App { settings, keys, version }, last }))
}

fn unknown(app: AppId) -> Refusal {
    Refusal::new(Code::AppUnknown, format!("app {app} is not known, expected one that was created"))
}

#[cfg(test)]
mod tests;
