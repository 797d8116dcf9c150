//! Tokens: JWT signed with a key of the app, by HMAC-SHA256 or Ed25519, and UserSig (SPEC H1), which is in
//! `tokens/user_sig.rs`.
//!
//! Source: RFC 7515, RFC 7519 and RFC 8037, read strictly: the algorithm is exactly HS256 or EdDSA, and a key is for one
//! of them alone, whatever a token says; `kid`, if there is one, names the key. `sub`, `aud` and `exp` are required, times
//! are numbers, there is no leeway. Claims that SPEC does not name, `nbf` among them, are not judged.

mod user_sig;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rollcall_domain::{
    code::{Code, Refusal},
    id::{AppId, UserId},
    time::Timestamp,
};
use rollcall_records::{KeyMaterial, TokenKey};
use serde::Deserialize;
use serde_json::Value;

/// The greatest length of a token in bytes: that of a client's frame before login.
const TOKEN_MAX_BYTES: usize = 4_096;

/// What a token must agree with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bearer {
    pub(crate) app: AppId,
    pub(crate) user: UserId,
    pub(crate) now: Timestamp,
}

/// What a token that is good says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Value,
    exp: Value,
    iat: Option<Value>,
}

impl Bearer {
    /// Verifies a token. Checked in this order: 70003, 70014, 70013, 70001; whether it is revoked (70052) is the user's
    /// record's to say.
    pub(crate) fn verify(&self, token: &str, keys: &[TokenKey]) -> Result<Verified, Refusal> {
        // Three parts with two dots make a JWT, and no UserSig has one.
        if !token.contains('.') {
            return self.verify_user_sig(token, keys);
        }
        let claims = signed(token, keys).ok_or_else(bad)?;
        let issued_at = claims.iat.as_ref().map_or(Some(Timestamp::default()), time).ok_or_else(bad)?;
        let expires_at = time(&claims.exp).ok_or_else(bad)?;
        self.check(self.is_audience(&claims.aud).ok_or_else(bad)?, &claims.sub, expires_at)?;
        Ok(Verified { issued_at, expires_at })
    }

    /// Checks what a token with a good signature says, in SPEC H1's order: the app, the user, the time.
    fn check(&self, is_app: bool, user: &str, expires_at: Timestamp) -> Result<(), Refusal> {
        if !is_app {
            return Err(Refusal::new(
                Code::AppMismatch,
                format!("the token was issued for another app, expected one for app {}", self.app),
            ));
        }
        if user != self.user.as_str() {
            return Err(Refusal::new(
                Code::UserMismatch,
                "the token was issued for another user, expected the login's user id in it",
            ));
        }
        if self.now >= expires_at {
            return Err(Refusal::new(Code::TokenExpired, "the token has run out, expected one still valid"));
        }
        Ok(())
    }

    /// Says whether an audience is or holds the app, as decimal text or as number; `None` if it is neither text
    /// nor number nor a list of them.
    fn is_audience(&self, audience: &Value) -> Option<bool> {
        match audience {
            Value::String(text) => Some(*text == self.app.to_string()),
            Value::Number(number) => Some(number.as_u64() == Some(self.app.get().into())),
            Value::Array(members) => {
                let is_flat = |member: &Value| member.is_string() || member.is_number();
                let is_ours = |member| self.is_audience(member) == Some(true);
                members.iter().all(is_flat).then(|| members.iter().any(is_ours))
            }
            _ => None,
        }
    }
}

/// Returns the claims if one of the keys has signed them.
fn signed(token: &str, keys: &[TokenKey]) -> Option<Claims> {
    if token.len() > TOKEN_MAX_BYTES {
        return None;
    }
    let header = decode_header(token).ok()?;
    // RFC 7515, section 4.1.11: extensions that must be understood, and none is.
    if header.crit.is_some() {
        return None;
    }
    let is_named = |key: &&TokenKey| header.kid.as_ref().is_none_or(|kid| *kid == key.kid);
    keys.iter().filter(is_named).find_map(|key| {
        let (algorithm, key) = match &key.material {
            KeyMaterial::Hs256(secret) => (Algorithm::HS256, DecodingKey::from_secret(secret)),
            KeyMaterial::Ed25519(public) => (Algorithm::EdDSA, DecodingKey::from_ed_der(public)),
        };
        // Only the signature is the library's to judge: its time is not the store's, and its order not SPEC's.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        decode(token, &key, &validation).ok().map(|data| data.claims)
    })
}

/// Reads a `NumericDate` of RFC 7519, in whole seconds; one before the epoch counts as the epoch.
fn time(value: &Value) -> Option<Timestamp> {
    let Value::Number(number) = value else { return None };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float to integer saturates, and the fraction of a second is meant to go"
    )]
    let seconds = number.as_u64().or_else(|| number.as_f64().map(|seconds| seconds as u64))?;
    Some(Timestamp::from_seconds(seconds))
}

fn bad() -> Refusal {
    Refusal::new(
        Code::BadToken,
        "the token is malformed, or signed with another key or algorithm, expected a JWT signed by HS256 or \
         EdDSA with a key of the app, or a UserSig; a JWT with text sub, aud and numeric exp",
    )
}

#[cfg(test)]
mod tests;
