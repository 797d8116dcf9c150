//! UserSig, version 2.0: a JSON object, deflated, as text of an alphabet of its own (SPEC H1).
//!
//! Source: the public description of the format. `TLS.sig` is the HMAC-SHA256, with a secret of the app, of the lines
//! `TLS.identifier:`, `TLS.sdkappid:`, `TLS.time:` and `TLS.expire:`, each with its value and a line feed. The object is
//! compressed with zlib, and its base64 has `*`, `-` and `_` where base64 has `+`, `/` and `=`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use rollcall_domain::{code::Refusal, time::Timestamp};
use rollcall_records::{KeyMaterial, TokenKey};
use serde::Deserialize;

use super::{Bearer, TOKEN_MAX_BYTES, Verified, bad};

/// The greatest length of the object in bytes; a usual one has 200. What inflates to more is refused on the way.
const OBJECT_MAX_BYTES: usize = 4_096;

#[derive(Deserialize)]
struct UserSig {
    #[serde(rename = "TLS.ver")]
    version: String,
    #[serde(rename = "TLS.identifier")]
    user: String,
    #[serde(rename = "TLS.sdkappid")]
    app: u64,
    /// How long it is good for, in seconds.
    #[serde(rename = "TLS.expire")]
    life: u64,
    /// When it was issued, in seconds since the Unix epoch.
    #[serde(rename = "TLS.time")]
    issued_at: u64,
    #[serde(rename = "TLS.sig")]
    signature: String,
}

impl UserSig {
    fn read(token: &str) -> Option<Self> {
        if token.len() > TOKEN_MAX_BYTES || token.contains(['+', '/', '=']) {
            return None;
        }
        let base64 = token.replace('*', "+").replace('-', "/").replace('_', "=");
        let deflated = STANDARD.decode(base64).ok()?;
        let object = decompress_to_vec_zlib_with_limit(&deflated, OBJECT_MAX_BYTES).ok()?;
        let sig: Self = serde_json::from_slice(&object).ok()?;
        (sig.version == "2.0").then_some(sig)
    }

    /// Says whether one of the secrets has signed it, in a time that does not tell how much of it is right.
    fn is_signed(&self, keys: &[TokenKey]) -> bool {
        let Self { user, app, issued_at, life, .. } = self;
        let text =
            format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{issued_at}\nTLS.expire:{life}\n");
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        keys.iter().any(|key| match &key.material {
            KeyMaterial::Hs256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::verify(&key, text.as_bytes(), &signature).is_ok()
            }
            KeyMaterial::Ed25519(_) => false,
        })
    }
}

impl Bearer {
    /// Verifies a UserSig, in the order of [`Bearer::verify`]. One that was issued in the future is malformed.
    pub(super) fn verify_user_sig(&self, token: &str, keys: &[TokenKey]) -> Result<Verified, Refusal> {
        let sig = UserSig::read(token).filter(|sig| sig.is_signed(keys)).ok_or_else(bad)?;
        if sig.issued_at > self.now.seconds() {
            return Err(bad());
        }
        let expires_at = Timestamp::from_seconds(sig.issued_at.saturating_add(sig.life));
        self.check(sig.app == u64::from(self.app.get()), &sig.user, expires_at)?;
        Ok(Verified { issued_at: Timestamp::from_seconds(sig.issued_at), expires_at })
    }
}

#[cfg(test)]
mod tests;
