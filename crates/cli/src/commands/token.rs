//! `token`: a JWT or a UserSig as the app's backend would make it (SPEC H1). No server is asked.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use miniz_oxide::deflate::compress_to_vec_zlib;
use rcgen::{KeyPair, PKCS_ED25519};
use rollcall_client::UserId;
use serde::Serialize;
use serde_json::json;

use crate::{clock, failure::Failure, output};

/// Digits of a token key.
const KEY_DIGITS: usize = 64;

const EXAMPLES: &str = "\
Examples:
  export ROLLCALL_APP_ID=1 ROLLCALL_KEY=<the token key that `app create` printed>
  rollcallctl token --user-id alice
  ROLLCALL_TOKEN=$(rollcallctl token --user-id bob --ttl 10m) rollcallctl watch alice --user-id bob

  rollcallctl token --user-id alice --user-sig
  rollcallctl token --user-id alice --ed25519-key key.pem --kid 2026

The token is a JWT signed with HS256, or with EdDSA by --ed25519-key: `sub` is the user, `aud` the app, `iat` now, `exp` now and the time to live. \
The key is used as its 64 bytes of text.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// App that the user belongs to
    #[arg(long, env = "ROLLCALL_APP_ID", value_name = "NUMBER")]
    app_id: u32,
    /// User that the token is for, 1 to 32 bytes of printable ASCII
    #[arg(long, env = "ROLLCALL_USER_ID", value_name = "USER_ID")]
    user_id: UserId,
    /// Token key of the app, 64 hexadecimal digits as printed by `app create`; better given by the environment,
    /// since other users of this machine can read command lines
    #[arg(
        long,
        env = "ROLLCALL_KEY",
        hide_env_values = true,
        value_name = "HEX",
        required_unless_present = "ed25519_key"
    )]
    key: Option<Key>,
    /// Private key of Ed25519 to sign with instead, PEM as of `openssl genpkey -algorithm ed25519`; the app has its
    /// public key by `app key add`
    #[arg(long, value_name = "FILE")]
    ed25519_key: Option<PathBuf>,
    /// Name of the key, so that no other is tried
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// Makes a UserSig, version 2.0, and no JWT
    #[arg(long, conflicts_with_all = ["ed25519_key", "kid"])]
    user_sig: bool,
    /// Time that the token is good for
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    ttl: Duration,
}

/// A token key, as it was given. It is never shown, hence checked here: a parser's error would repeat it.
#[derive(Clone)]
struct Key(String);

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(hidden)")
    }
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: String,
    iat: u64,
    exp: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    output::write(&(sign(args, clock::now())? + "\n"))
}

fn sign(args: &Args, now: Duration) -> Result<String, Failure> {
    let claims = Claims {
        sub: args.user_id.as_str(),
        aud: args.app_id.to_string(),
        iat: now.as_secs(),
        exp: now.saturating_add(args.ttl).as_secs(),
    };
    if args.user_sig {
        return user_sig(args, now.as_secs());
    }
    let (algorithm, key) = match &args.ed25519_key {
        Some(path) => (Algorithm::EdDSA, read_private(path)?),
        None => (Algorithm::HS256, args.secret()?),
    };
    let header = Header { kid: args.kid.clone(), ..Header::new(algorithm) };
    encode(&header, &claims, &key).map_err(|error| Failure::Token(error.to_string()))
}

/// Makes a UserSig from the public description of its format; who checks it has an implementation of its own.
fn user_sig(args: &Args, now: u64) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Token(error.to_string());
    let (user, app, life) = (args.user_id.as_str(), args.app_id, args.ttl.as_secs());
    let text = format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{now}\nTLS.expire:{life}\n");
    let signature = crypto::sign(text.as_bytes(), &args.secret()?, Algorithm::HS256);
    let signature = URL_SAFE_NO_PAD.decode(signature.map_err(|error| failed(&error))?);
    let object = json!({
        "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": app, "TLS.time": now, "TLS.expire": life,
        "TLS.sig": STANDARD.encode(signature.map_err(|error| failed(&error))?),
    });
    let deflated = compress_to_vec_zlib(object.to_string().as_bytes(), 6);
    Ok(STANDARD.encode(deflated).replace('+', "*").replace('/', "-").replace('=', "_"))
}

fn read_private(path: &Path) -> Result<EncodingKey, Failure> {
    let unusable = |problem: String| Failure::File {
        path: path.display().to_string(),
        problem: format!("{problem}, expected a private key of Ed25519 in PEM"),
    };
    let pem = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let pair = KeyPair::from_pem(&pem).map_err(|error| unusable(error.to_string()))?;
    if pair.algorithm() != &PKCS_ED25519 {
        return Err(unusable(format!("a key of {:?}", pair.algorithm())));
    }
    Ok(EncodingKey::from_ed_der(&pair.serialize_der()))
}

impl Args {
    fn secret(&self) -> Result<EncodingKey, Failure> {
        let missing = || Failure::Usage("--key is missing, expected the token key of the app".to_owned());
        Ok(EncodingKey::from_secret(self.key.as_ref().ok_or_else(missing)?.check()?))
    }
}

impl Key {
    fn check(&self) -> Result<&[u8], Failure> {
        let key = self.0.as_bytes();
        let problem = match key.iter().position(|byte| !byte.is_ascii_hexdigit()) {
            _ if key.len() != KEY_DIGITS => format!("is {} bytes long", key.len()),
            Some(at) => format!("has another character at offset {at}"),
            None => return Ok(key),
        };
        Err(Failure::Usage(format!(
            "--key {problem}, expected the {KEY_DIGITS} hexadecimal digits of `app create`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn args(ttl: Duration) -> Args {
        let (user_id, key) = ("alice".parse().unwrap(), Some(Key(KEY.to_owned())));
        Args { app_id: 7, user_id, key, ed25519_key: None, kid: None, user_sig: false, ttl }
    }

    // SPEC H1
    #[test]
    fn a_token_names_user_app_and_times_and_is_signed_with_the_text_of_the_key() {
        let now = Duration::from_millis(1_700_000_000_900);
        let token = sign(&args(Duration::from_secs(60)), now).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["7"]);
        validation.validate_exp = false;
        let read = decode::<Value>(&token, &DecodingKey::from_secret(KEY.as_bytes()), &validation).unwrap();
        let expected = json!({ "sub": "alice", "aud": "7", "iat": 1_700_000_000, "exp": 1_700_000_060 });
        assert_eq!(read.claims, expected);
    }

    #[test]
    fn the_longest_time_to_live_does_not_overflow() {
        sign(&args(Duration::MAX), Duration::from_secs(1_700_000_000)).unwrap();
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_shown() {
        let refused = |key: &str| Key(key.to_owned()).check().map(drop).unwrap_err();
        let expected = "expected the 64 hexadecimal digits of `app create`";
        let short = refused("secret");
        assert_eq!(short.to_string(), format!("--key is 6 bytes long, {expected}"));
        assert_eq!(short.exit_code(), 2);
        let other = refused(&KEY.replace('f', "g"));
        assert_eq!(other.to_string(), format!("--key has another character at offset 30, {expected}"));
        assert_eq!(format!("{:?}", Key(KEY.to_owned())), "Key(hidden)");
    }
}
