//! Tests of UserSig: which are accepted, and which code the others get.

use bytes::Bytes;
use miniz_oxide::deflate::compress_to_vec_zlib;
use rollcall_domain::code::Code;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{START, app, seconds, user};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn text_of(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "*").replace('/', "-").replace('=', "_")
}

fn pack(object: &Value) -> String {
    text_of(&compress_to_vec_zlib(object.to_string().as_bytes(), 6))
}

fn object(key: &[u8], user: &str, app: u64, issued_at: u64, life: u64) -> Value {
    let text =
        format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{issued_at}\nTLS.expire:{life}\n");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    json!({
        "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": app, "TLS.time": issued_at,
        "TLS.expire": life, "TLS.sig": STANDARD.encode(signature),
    })
}

fn good() -> Value {
    object(KEY, "alice", 7, START, 100)
}

fn verify_at(token: &str, now: Timestamp) -> Result<Verified, Code> {
    let material = KeyMaterial::Hs256(Bytes::from_static(KEY));
    let keys = [
        TokenKey { kid: "ed".to_owned(), material: KeyMaterial::Ed25519([1; 32]) },
        TokenKey { kid: "1".to_owned(), material },
    ];
    let verified = Bearer { app: app(), user: user("alice"), now }.verify(token, &keys);
    verified.map_err(|refusal| refusal.code)
}

fn verify(object: &Value) -> Result<Verified, Code> {
    verify_at(&pack(object), seconds(START))
}

// SPEC H1
#[test]
fn a_user_sig_is_accepted_until_it_runs_out_at_any_level_of_compression() {
    let expected = Verified { issued_at: seconds(START), expires_at: seconds(START + 100) };
    for level in 0..=10 {
        let token = text_of(&compress_to_vec_zlib(good().to_string().as_bytes(), level));
        assert_eq!(verify_at(&token, seconds(START)), Ok(expected));
        assert_eq!(verify_at(&token, Timestamp(seconds(START + 100).0 - 1)), Ok(expected));
        assert_eq!(verify_at(&token, seconds(START + 100)), Err(Code::TokenExpired));
    }
}

/// Made by another implementation of the format (Python's zlib, hmac and base64), with [`KEY`].
// SPEC H1
#[test]
fn a_user_sig_of_another_implementation_is_accepted() {
    let token = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkEnMyk1NhUsUp2YkFBZkpQAlzqFBqRUFmUSpQwMLMxMAAKliSmQsSMjQ3gAKY-sx0kJme3kUugeHFEdquweWRfmXGYf6ehsnuSUE*JREBORHafuaBOcWZEdkhzu6htkq1AJP6MBU_";
    let bearer = Bearer { app: app(), user: user("alice"), now: seconds(1_700_000_010) };
    let material = KeyMaterial::Hs256(Bytes::from_static(KEY));
    let verified = bearer.verify(token, &[TokenKey { kid: "1".to_owned(), material }]).unwrap();
    assert_eq!(verified.expires_at, seconds(1_700_086_400));
}

// SPEC H1
#[test]
fn of_several_faults_of_a_user_sig_the_first_in_order_answers() {
    assert_eq!(verify(&object(b"other", "bob", 8, 1, 1)), Err(Code::BadToken));
    assert_eq!(verify(&object(KEY, "bob", 8, 1, 1)), Err(Code::AppMismatch));
    assert_eq!(verify(&object(KEY, "bob", 7, 1, 1)), Err(Code::UserMismatch));
    assert_eq!(verify(&object(KEY, "alice", 7, 1, 1)), Err(Code::TokenExpired));
    assert_eq!(verify(&object(KEY, "alice", 7, START, u64::MAX)).map(|_| ()), Ok(()));
}

// SPEC H1
#[test]
fn a_user_sig_of_the_future_is_refused() {
    assert_eq!(verify(&object(KEY, "alice", 7, START + 1, 100)), Err(Code::BadToken));
}

// SPEC H1
#[test]
fn each_field_of_a_user_sig_is_signed_or_fixed() {
    for (field, value) in [
        ("TLS.ver", json!("1.0")),
        ("TLS.identifier", json!("alice2")),
        ("TLS.identifier", json!("alice\nTLS.sdkappid:7")),
        ("TLS.sdkappid", json!(8)),
        ("TLS.sdkappid", json!("7")),
        ("TLS.time", json!(START - 1)),
        ("TLS.expire", json!(101)),
        ("TLS.expire", json!(-1)),
        ("TLS.sig", json!("")),
        ("TLS.sig", json!("AAAA")),
        ("TLS.sig", json!(null)),
    ] {
        let mut forged = good();
        forged[field] = value.clone();
        assert_eq!(verify(&forged), Err(Code::BadToken), "{field} {value}");
        let mut without = good();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(verify(&without), Err(Code::BadToken), "without {field}");
    }
    let signature = good()["TLS.sig"].as_str().unwrap().to_owned();
    let mut cut = good();
    cut["TLS.sig"] = json!(STANDARD.encode(&STANDARD.decode(signature).unwrap()[..16]));
    assert_eq!(verify(&cut), Err(Code::BadToken));
}

// SPEC H1, ATTACK X17
#[test]
fn what_inflates_to_more_than_an_object_is_refused() {
    let mut padded = good();
    padded["more"] = json!("x".repeat(OBJECT_MAX_BYTES));
    assert_eq!(verify(&padded), Err(Code::BadToken));
    let bomb = text_of(&compress_to_vec_zlib(&vec![b' '; 2_000_000], 10));
    assert!(bomb.len() < TOKEN_MAX_BYTES, "{}", bomb.len());
    assert_eq!(verify_at(&bomb, seconds(START)), Err(Code::BadToken));
    let mut long = good();
    let noise: String = (0..5_000u64).map(|n| char::from(b'!' + (n * n * 7 % 90) as u8)).collect();
    long["more"] = json!(noise);
    assert_eq!(verify(&long), Err(Code::BadToken));
}

// SPEC H1
#[test]
fn what_is_no_user_sig_is_malformed() {
    let token = pack(&good());
    let of = |bytes: &[u8]| text_of(&compress_to_vec_zlib(bytes, 6));
    for bad in [
        String::new(),
        "eJw".to_owned(),
        token[..token.len() - 8].to_owned(),
        token.replace('*', "+").replace('-', "/").replace('_', "="),
        format!("{token}\n"),
        text_of(good().to_string().as_bytes()),
        of(b""),
        of(b"null"),
        of(b"{}"),
        of(b"\xff\xfe"),
    ] {
        // Without any of the three characters the two alphabets are one.
        if bad != token {
            assert_eq!(verify_at(&bad, seconds(START)), Err(Code::BadToken), "{bad}");
        }
    }
}
