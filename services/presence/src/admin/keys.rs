//! The keys by which the tokens of an app are checked (SPEC H1).

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use bytes::Bytes;
use rollcall_domain::{
    code::{Code, Refusal},
    id::AppId,
};
use rollcall_records::{App, Error, Intent, KeyMaterial, TokenKey};
use rollcall_runtime::rng;
use tracing::info;

use super::Admin;

/// The greatest number of keys of an app: one that is used, and others that come or go.
const KEYS_MAX: usize = 16;
/// The greatest length of a key's name in bytes.
const KID_MAX_BYTES: usize = 32;

impl Admin {
    /// Adds a public key of Ed25519 or, where there is none, makes a secret of HS256, and returns that with the app.
    pub(crate) async fn add_key(
        &self,
        app: AppId,
        intent: &Intent<'_>,
        kid: &str,
        public: &[u8],
    ) -> Result<(App, String), Error> {
        check_kid(kid)?;
        let (secret, material) = match public {
            [] => {
                let secret = rng::hex_key();
                (secret.clone(), KeyMaterial::Hs256(Bytes::from(secret)))
            }
            public => (String::new(), KeyMaterial::Ed25519(public_key(public)?)),
        };
        let key = TokenKey { kid: kid.to_owned(), material };
        let is_free = |keys: &[TokenKey]| {
            if keys.iter().any(|other| other.kid == kid) {
                return Err(invalid(format!("the app has a key {kid:?}, expected a name that is free")));
            }
            if keys.len() >= KEYS_MAX {
                return Err(invalid(format!("the app has {KEYS_MAX} keys, expected fewer")));
            }
            Ok(())
        };
        let changed = self.apps.add_key(app, intent, &key, is_free).await?;
        info!(app = app.get(), who = intent.who, version = changed.version.0, kid, "added a token key");
        Ok((changed, secret))
    }

    /// Removes a key. One that is not there, and the last one, are refused with 6017.
    pub(crate) async fn remove_key(&self, app: AppId, intent: &Intent<'_>, kid: &str) -> Result<App, Error> {
        let is_enough = |left: &[TokenKey]| match left {
            [] => Err(invalid("it is the app's last key, expected another to be left".to_owned())),
            _ => Ok(()),
        };
        let changed = self.apps.remove_key(app, intent, kid, is_enough).await?;
        info!(app = app.get(), who = intent.who, version = changed.version.0, kid, "removed a token key");
        Ok(changed)
    }
}

fn check_kid(kid: &str) -> Result<(), Refusal> {
    if !(1..=KID_MAX_BYTES).contains(&kid.len()) || !kid.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("the name of the key is malformed, expected 1 to {KID_MAX_BYTES} bytes of 0x21 to 0x7e");
        return Err(invalid(message));
    }
    Ok(())
}

fn public_key(bytes: &[u8]) -> Result<[u8; 32], Refusal> {
    let key = bytes.try_into().map_err(|_| {
        invalid(format!("the public key is {} bytes long, expected the 32 of Ed25519", bytes.len()))
    })?;
    ParsedPublicKey::new(&ED25519, bytes)
        .map_err(|_| invalid("the public key is no point of Ed25519, expected one".to_owned()))?;
    Ok(key)
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidParameter, message)
}
