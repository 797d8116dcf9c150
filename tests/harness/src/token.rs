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

/// Makes a UserSig, version 2.0: issued in this second since the Unix epoch, and good for so many seconds.
pub fn user_sig(key: &[u8], app: u32, user: &str, issued_at: u64, life: u64) -> String {
    let signed =
        format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{issued_at}\nTLS.expire:{life}\n");
    let key = EncodingKey::from_secret(key);
    let hmac = crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).expect("an HMAC can be made");
    let object = json!({
        "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": app, "TLS.time": issued_at, "TLS.expire": life,
        // As base64 with padding: an HMAC has 32 bytes.
        "TLS.sig": hmac.replace('-', "+").replace('_', "/") + "=",
    });
    let mut text = base64url(&zlib(object.to_string().as_bytes())).replace('-', "*").replace('_', "-");
    while !text.len().is_multiple_of(4) {
        text.push('_');
    }
    text
}

/// Writes bytes as one stored block of zlib (RFC 1950; RFC 1951, section 3.2.4).
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a stored block has less than 64 KiB");
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    let (least, most) = (length.to_le_bytes(), (!length).to_le_bytes());
    [&[0x78, 0x01, 0x01], &least[..], &most, bytes, &(high << 16 | low).to_be_bytes()].concat()
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
    fn a_block_of_zlib_ends_with_the_checksum_of_its_bytes() {
        // Adler-32 of "Wikipedia" is 0x11e60398.
        let block = zlib(b"Wikipedia");
        assert_eq!(block[..7], [0x78, 0x01, 0x01, 9, 0, 0xf6, 0xff]);
        assert_eq!(block[16..], [0x11, 0xe6, 0x03, 0x98]);
    }

    #[test]
    fn a_token_without_algorithm_has_an_empty_signature() {
        let token = jwt("none", &json!({}), b"key");
        assert!(token.ends_with('.') && token.matches('.').count() == 2);
    }
}
