//! Tokens as an app's backend makes them, and as a forger does.

pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};

/// Makes a JWT of any claims under the name of an algorithm: `HS256`, `HS384`, `HS512`, or `none`.
pub fn jwt(algorithm: &str, claims: &Value, key: &[u8]) -> String {
    let signer = match algorithm {
        "HS256" => Some(Algorithm::HS256),
        "HS384" => Some(Algorithm::HS384),
        "HS512" => Some(Algorithm::HS512),
        "none" => None,
        other => panic!("no test signs with {other}"),
    };
    forged(&json!({ "alg": algorithm, "typ": "JWT" }), claims, key, signer)
}

/// Makes a JWT of any header and claims, signed with any HMAC whatever the header says; without one the signature
/// is empty.
pub fn forged(header: &Value, claims: &Value, key: &[u8], signer: Option<Algorithm>) -> String {
    let signed =
        [base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes())].join(".");
    let key = EncodingKey::from_secret(key);
    let signature =
        signer.map(|signer| crypto::sign(signed.as_bytes(), &key, signer).expect("an HMAC can be made"));
    format!("{signed}.{}", signature.unwrap_or_default())
}

/// Returns the present time in seconds since the Unix epoch, as claims count it.
pub fn now() -> u64 {
    crate::app::now()
}

/// Encodes bytes as JWT does (RFC 4648, section 5, without padding).
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_encoded_as_in_the_examples_of_rfc_4648() {
        let encoded =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64url(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"]);
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_token_without_algorithm_has_an_empty_signature() {
        let token = jwt("none", &json!({}), b"key");
        assert!(token.ends_with('.') && token.matches('.').count() == 2);
    }
}
