//! Changes of the records of apps: each upon the version that it was decided upon, with its entry in the audit log.

use rollcall_domain::{
    app::Settings,
    code::{Code, Refusal},
    id::AppId,
    status::RecordVersion,
};
use rollcall_proto::trace::TraceParent;
use rollcall_store::Key;

use super::{App, Apps, AuditEntry, Deed, ShownKey, Stored, TokenKey, decode_all, unknown};
use crate::{
    call::Call,
    codec,
    commit::{self, ATTEMPTS, Done, Plan},
    error::Error,
};

/// Who asks for a change of an app, and of which version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent<'a> {
    /// Who asks.
    pub who: &'a str,
    /// The version that the app must have; with another the change is refused with 6017. `None` for any.
    pub expected: Option<RecordVersion>,
}

impl<'a> Intent<'a> {
    /// Makes the intent to change an app whatever its version is.
    pub fn of(who: &'a str) -> Self {
        Self { who, expected: None }
    }

    fn check(&self, app: AppId, found: RecordVersion) -> Result<(), Refusal> {
        match self.expected {
            Some(expected) if expected != found => Err(Refusal::new(
                Code::InvalidParameter,
                format!(
                    "app {app} has version {}, expected {}: it was changed in between",
                    found.0, expected.0
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// What a look at the record of an app came to.
enum Looked {
    /// It is changed, or as it should be.
    Done(App),
    /// Its last entry of the audit log is another than the one that was kept.
    Overtaken,
}

impl Apps {
    /// Stores a new app, as `who` asks; one that exists is refused with 6017, and nothing changes.
    pub async fn create(
        &self,
        app: AppId,
        who: &str,
        settings: Settings,
        keys: Vec<TokenKey>,
    ) -> Result<App, Error> {
        let deed = Deed::Created(settings, keys.iter().map(ShownKey::from).collect());
        let trace = TraceParent::default();
        let call = Call::from(&trace);
        let ((), _, done) = commit::commit(&*self.store, Key::App(app), call, |record, now| {
            if record.is_some() {
                return Err(exists(app).into());
            }
            let entry = AuditEntry::following(None, now, who, RecordVersion::default(), deed.clone());
            let value = codec::app::encode(&settings, &keys, Some(entry.encode()));
            Ok(((), Some(Plan::put(value))))
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
        intent: &Intent<'_>,
        mut change: impl FnMut(&Settings) -> Result<Settings, Refusal> + Send,
    ) -> Result<App, Error> {
        self.modify(app, intent, |before| {
            let settings = change(&before.settings)?;
            let deed = (settings != before.settings).then_some(Deed::Changed(before.settings, settings));
            Ok((App { settings, ..before.clone() }, deed))
        })
        .await
    }

    /// Adds a key. An app that does not exist is refused with 70020; one whose keys `check` finds unfit, as it says.
    pub async fn add_key(
        &self,
        app: AppId,
        intent: &Intent<'_>,
        key: &TokenKey,
        mut check: impl FnMut(&[TokenKey]) -> Result<(), Refusal> + Send,
    ) -> Result<App, Error> {
        self.modify(app, intent, |before| {
            check(&before.keys)?;
            let keys = [&before.keys[..], std::slice::from_ref(key)].concat();
            Ok((App { keys, ..before.clone() }, Some(Deed::KeyAdded(key.into()))))
        })
        .await
    }

    /// Removes the keys of a name, as [`Apps::add_key`] adds one; `check` sees those that are left.
    pub async fn remove_key(
        &self,
        app: AppId,
        intent: &Intent<'_>,
        kid: &str,
        mut check: impl FnMut(&[TokenKey]) -> Result<(), Refusal> + Send,
    ) -> Result<App, Error> {
        self.modify(app, intent, |before| {
            let (removed, keys): (Vec<_>, Vec<_>) =
                before.keys.iter().cloned().partition(|key| key.kid == kid);
            let Some(removed) = removed.first() else { return Err(no_key(kid)) };
            check(&keys)?;
            Ok((App { keys, ..before.clone() }, Some(Deed::KeyRemoved(removed.into()))))
        })
        .await
    }

    /// Commits what `change` makes of an app, with the entry of what it says it did; nothing where that is `None`.
    ///
    /// The entry of the change before is kept first. If another change came between, that is to be kept too.
    async fn modify(
        &self,
        app: AppId,
        intent: &Intent<'_>,
        mut change: impl FnMut(&App) -> Result<(App, Option<Deed>), Refusal> + Send,
    ) -> Result<App, Error> {
        let trace = TraceParent::default();
        let call = Call::from(&trace);
        for _ in 0..ATTEMPTS {
            let kept = self.stored(app).await?.ok_or_else(|| unknown(app))?.last;
            if let Some(last) = &kept {
                self.keep(app, last).await?;
            }
            let (looked, _, done) = commit::commit(&*self.store, Key::App(app), call, |record, now| {
                let Stored { app: before, last } = decode_all(record)?.ok_or_else(|| unknown(app))?;
                intent.check(app, before.version)?;
                if last != kept {
                    return Ok((Looked::Overtaken, None));
                }
                let (after, deed) = change(&before)?;
                let Some(deed) = deed else { return Ok((Looked::Done(after), None)) };
                let entry = AuditEntry::following(last.as_ref(), now, intent.who, before.version, deed);
                let value = codec::app::encode(&after.settings, &after.keys, Some(entry.encode()));
                Ok((Looked::Done(after), Some(Plan::put(value))))
            })
            .await?;
            self.forget(app);
            match (looked, done) {
                (Looked::Overtaken, _) => {}
                (Looked::Done(after), Done::Committed(committed)) => {
                    return Ok(App { version: committed.record, ..after });
                }
                (Looked::Done(after), _) => return Ok(after),
            }
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }
}

fn no_key(kid: &str) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("the app has no key {kid:?}, expected one that it has"))
}

fn exists(app: AppId) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("app {app} exists, expected an id that is free"))
}
