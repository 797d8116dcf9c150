//! The configuration of apps. `admin/keys.rs` has the keys of their tokens.

mod keys;

use bytes::Bytes;
use rollcall_domain::{
    app::{Edition, Settings},
    code::{Code, Refusal},
    id::AppId,
    policy::LoginPolicy,
};
use rollcall_proto::{common::v1 as common, convert};
use rollcall_records::{App, Apps, AuditPage, Error, Intent, KeyMaterial, TokenKey};
use rollcall_runtime::rng;
use tracing::info;

/// The name of the key that an app is created with.
const FIRST_KID: &str = "1";

/// Creates, shows and changes apps.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) apps: Apps,
}

/// What an operator asks of an app; what is absent stays as it is, or is the default in a new app.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish {
    pub(crate) edition: Option<Edition>,
    pub(crate) status: Option<bool>,
    pub(crate) friend_status: Option<bool>,
    pub(crate) limits: Option<common::Limits>,
    pub(crate) login_policy: Option<LoginPolicy>,
}

impl Wish {
    /// Reads an edition's number: 0 is absent, an unknown one is refused with 6017.
    pub(crate) fn edition(number: i32) -> Result<Option<Edition>, Refusal> {
        match (number, convert::edition(number)) {
            (0, _) => Ok(None),
            (_, Some(edition)) => Ok(Some(edition)),
            (_, None) => Err(Refusal::new(
                Code::InvalidParameter,
                format!("edition {number} is not known, expected STANDARD or PREMIUM"),
            )),
        }
    }

    /// Reads a login policy's number: 0 is absent, an unknown one is refused with 6017.
    pub(crate) fn login_policy(number: i32) -> Result<Option<LoginPolicy>, Refusal> {
        match (number, convert::login_policy(number)) {
            (0, _) => Ok(None),
            (_, Some(policy)) => Ok(Some(policy)),
            (_, None) => Err(Refusal::new(
                Code::InvalidParameter,
                format!("login policy {number} is not known, expected SINGLE, DUAL, TRIPLE or MULTI"),
            )),
        }
    }

    fn overlay(&self, base: &Settings) -> Result<Settings, Refusal> {
        Ok(Settings {
            edition: self.edition.unwrap_or(base.edition),
            status: self.status.unwrap_or(base.status),
            friend_status: self.friend_status.unwrap_or(base.friend_status),
            limits: convert::limits(base.limits, self.limits.as_ref())?,
            login_policy: self.login_policy.unwrap_or(base.login_policy),
        })
    }
}

impl Admin {
    /// Creates an app, and returns it with its token key, which is shown this once. One that exists is refused
    /// with 6017.
    pub(crate) async fn create(&self, app: AppId, who: &str, wish: &Wish) -> Result<(App, String), Error> {
        let settings = wish.overlay(&Settings::default())?;
        let secret = rng::hex_key();
        let key =
            TokenKey { kid: FIRST_KID.to_owned(), material: KeyMaterial::Hs256(Bytes::from(secret.clone())) };
        let created = self.apps.create(app, who, settings, vec![key]).await?;
        info!(app = app.get(), who, version = created.version.0, ?settings, "created an app");
        Ok((created, secret))
    }

    /// Reads an app; an unknown one is refused with 70020.
    pub(crate) async fn get(&self, app: AppId) -> Result<App, Error> {
        Ok(self.apps.read(app).await?.as_ref().clone())
    }

    /// Reads the audit log of an app, as [`Apps::audit`] does.
    pub(crate) async fn audit(
        &self,
        app: AppId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, Error> {
        self.apps.audit(app, before, limit).await
    }

    /// Changes an app; an unknown one is refused with 70020.
    pub(crate) async fn update(&self, app: AppId, intent: &Intent<'_>, wish: &Wish) -> Result<App, Error> {
        let updated = self.apps.update(app, intent, |settings| wish.overlay(settings)).await?;
        let App { settings, version, .. } = &updated;
        info!(app = app.get(), who = intent.who, version = version.0, ?settings, "changed an app");
        Ok(updated)
    }
}

#[cfg(test)]
mod tests;
