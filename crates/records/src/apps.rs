//! The records of apps, read through a short cache.
//!
//! Every call needs its app; a cache of one second spares the store without breaking the 5 s within which a
//! change of settings takes effect (SPEC G1). That an app does not exist is remembered too.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use rollcall_domain::{
    app::Settings,
    code::{Code, Refusal},
    id::AppId,
    status::RecordVersion,
};
use rollcall_proto::trace::TraceParent;
use rollcall_store::{Key, Record, Store};

use crate::{
    call::Call,
    codec,
    commit::{self, Done, Plan},
    error::Error,
};

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

    /// Stores a new app; one that exists is refused with 6017, and nothing changes.
    pub async fn create(&self, app: AppId, settings: Settings, keys: Vec<TokenKey>) -> Result<App, Error> {
        let value = codec::app::encode(&settings, &keys);
        let trace = TraceParent::default();
        let call = Call::from(&trace);
        let ((), _, done) = commit::commit(&*self.store, Key::App(app), call, |record, _now| match record {
            Some(_) => Err(exists(app).into()),
            None => Ok(((), Some(Plan::put(value.clone())))),
        })
        .await?;
        self.forget(app);
        let Done::Committed(committed) = done else { return Err(exists(app).into()) };
        Ok(App { settings, keys, version: committed.record })
    }

    /// Lets `change` make new settings of those stored, and commits them if they differ. An app that does not
    /// exist is refused with 70020.
    pub async fn update(
        &self,
        app: AppId,
        mut change: impl FnMut(&Settings) -> Result<Settings, Refusal> + Send,
    ) -> Result<App, Error> {
        self.modify(app, |before| Ok(App { settings: change(&before.settings)?, ..before.clone() })).await
    }

    /// Lets `change` make new keys of those stored, as [`Apps::update`] does with settings.
    pub async fn update_keys(
        &self,
        app: AppId,
        mut change: impl FnMut(&[TokenKey]) -> Result<Vec<TokenKey>, Refusal> + Send,
    ) -> Result<App, Error> {
        self.modify(app, |before| Ok(App { keys: change(&before.keys)?, ..before.clone() })).await
    }

    async fn modify(
        &self,
        app: AppId,
        mut change: impl FnMut(&App) -> Result<App, Refusal> + Send,
    ) -> Result<App, Error> {
        let trace = TraceParent::default();
        let call = Call::from(&trace);
        let (mut after, _, done) = commit::commit(&*self.store, Key::App(app), call, |record, _now| {
            let before = decode(record)?.ok_or_else(|| unknown(app))?;
            let after = change(&before)?;
            let changed = after != before;
            let plan = changed.then(|| Plan::put(codec::app::encode(&after.settings, &after.keys)));
            Ok((after, plan))
        })
        .await?;
        self.forget(app);
        if let Done::Committed(committed) = done {
            after.version = committed.record;
        }
        Ok(after)
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

fn decode(record: Option<Record>) -> Result<Option<App>, Error> {
    let Some(record) = record else { return Ok(None) };
    let (settings, keys) = codec::app::decode(record.value).map_err(Error::unreadable("app"))?;
    Ok(Some(App { settings, keys, version: record.version }))
}

fn unknown(app: AppId) -> Refusal {
    Refusal::new(Code::AppUnknown, format!("app {app} is not known, expected one that was created"))
}

fn exists(app: AppId) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("app {app} exists, expected an id that is free"))
}

#[cfg(test)]
mod tests;
