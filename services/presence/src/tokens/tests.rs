//! Tests of tokens: which are accepted, and which code the others get.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use bytes::Bytes;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::fixture::{START, app, claims, seconds, token, token_by, user};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const EXP: u64 = START + 1_000_000;

fn verify_at(token: &str, now: Timestamp) -> Result<Timestamp, Code> {
    verify_with(token, now, &[secret("1", KEY)])
}

fn secret(kid: &str, key: &'static str) -> TokenKey {
    TokenKey { kid: kid.to_owned(), material: KeyMaterial::Hs256(Bytes::from_static(key.as_bytes())) }
}

/// A pair of Ed25519 from 32 bytes that are all the same: the key as an app has it, and what its backend signs with.
fn pair(kid: &str, seed: u8) -> (TokenKey, EncodingKey) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let key = TokenKey { kid: kid.to_owned(), material: KeyMaterial::Ed25519(public) };
    (key, EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref()))
}

fn signed_by(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims("alice"), key).unwrap()
}

fn verify_with(token: &str, now: Timestamp, keys: &[TokenKey]) -> Result<Timestamp, Code> {
    let verified = Bearer { app: app(), user: user("alice"), now }.verify(token, keys);
    verified.map(|token| token.expires_at).map_err(|refusal| refusal.code)
}

fn verify(claims: &Value) -> Result<Timestamp, Code> {
    verify_at(&token(KEY, claims), seconds(START))
}

// SPEC H1
#[test]
fn a_token_of_the_app_and_the_user_is_accepted_until_it_runs_out() {
    let good = token(KEY, &claims("alice"));
    assert_eq!(verify_at(&good, seconds(START)), Ok(seconds(EXP)));
    assert_eq!(verify_at(&good, Timestamp(seconds(EXP).0 - 1)), Ok(seconds(EXP)));
    assert_eq!(verify_at(&good, seconds(EXP)), Err(Code::TokenExpired));
}

// SPEC H1
#[test]
fn of_several_faults_the_first_in_order_answers() {
    let other_key = KEY.replace('0', "f");
    let all = json!({ "sub": "bob", "aud": "8", "exp": 1 });
    assert_eq!(verify_at(&token(&other_key, &all), seconds(START)), Err(Code::BadToken));
    assert_eq!(verify(&all), Err(Code::AppMismatch));
    assert_eq!(verify(&json!({ "sub": "bob", "aud": "7", "exp": 1 })), Err(Code::UserMismatch));
    assert_eq!(verify(&json!({ "sub": "alice", "aud": "7", "exp": 1 })), Err(Code::TokenExpired));
}

// SPEC H1
#[test]
fn an_audience_is_the_app_as_text_or_number_or_a_list_that_holds_it() {
    let with = |aud: Value| verify(&json!({ "sub": "alice", "aud": aud, "exp": EXP }));
    for ours in [json!("7"), json!(7), json!(["7"]), json!([7]), json!(["other", 8, "7"])] {
        assert_eq!(with(ours.clone()), Ok(seconds(EXP)), "{ours}");
    }
    for other in [json!("8"), json!("07"), json!(" 7"), json!(""), json!(7.5), json!([]), json!(["8", 70])] {
        assert_eq!(with(other.clone()), Err(Code::AppMismatch), "{other}");
    }
    for malformed in [json!(null), json!(true), json!({ "7": 7 }), json!([["7"]]), json!(["7", null])] {
        assert_eq!(with(malformed.clone()), Err(Code::BadToken), "{malformed}");
    }
}

// SPEC H1
#[test]
fn claims_that_are_absent_or_of_the_wrong_kind_are_malformed() {
    for claims in [
        json!({ "aud": "7", "exp": EXP }),
        json!({ "sub": "alice", "exp": EXP }),
        json!({ "sub": "alice", "aud": "7" }),
        json!({ "sub": 1, "aud": "7", "exp": EXP }),
        json!({ "sub": "alice", "aud": "7", "exp": EXP.to_string() }),
        json!({ "sub": "alice", "aud": "7", "exp": null }),
        json!({ "sub": "alice", "aud": "7", "exp": EXP, "iat": "1" }),
        json!(["alice", "7", EXP]),
        json!("alice"),
    ] {
        assert_eq!(verify(&claims), Err(Code::BadToken), "{claims}");
    }
}

// SPEC H1
#[test]
fn a_missing_iat_counts_as_0() {
    for claims in [
        json!({ "sub": "alice", "aud": "7", "exp": EXP }),
        json!({ "sub": "alice", "aud": "7", "exp": EXP, "iat": 0 }),
    ] {
        assert_eq!(verify(&claims), Ok(seconds(EXP)), "{claims}");
    }
}

#[test]
fn times_may_have_fractions_and_any_size() {
    let with = |exp: Value| verify(&json!({ "sub": "alice", "aud": "7", "exp": exp }));
    assert_eq!(with(json!(2_000_000.9)), Ok(seconds(2_000_000)));
    assert_eq!(with(json!(-1)), Err(Code::TokenExpired));
    assert_eq!(with(json!(-1.5)), Err(Code::TokenExpired));
    assert_eq!(with(json!(1e300)), Ok(Timestamp(u64::MAX)));
    assert_eq!(with(json!(u64::MAX)), Ok(Timestamp(u64::MAX)));
}

// SPEC H1
#[test]
fn a_token_is_checked_with_the_key_that_it_names_or_with_all_of_its_algorithm() {
    let (one, by_one) = pair("ed-1", 1);
    let (two, by_two) = pair("ed-2", 2);
    let by_secret = EncodingKey::from_secret(KEY.as_bytes());
    let keys = [one, secret("1", KEY), two];
    let verify = |token: &str| verify_with(token, seconds(START), &keys);
    for good in [
        signed_by(&by_one, Algorithm::EdDSA, None),
        signed_by(&by_two, Algorithm::EdDSA, None),
        signed_by(&by_two, Algorithm::EdDSA, Some("ed-2")),
        signed_by(&by_secret, Algorithm::HS256, None),
        signed_by(&by_secret, Algorithm::HS256, Some("1")),
    ] {
        assert_eq!(verify(&good), Ok(seconds(EXP)), "{good}");
    }
    for bad in [
        signed_by(&by_two, Algorithm::EdDSA, Some("ed-1")),
        signed_by(&by_two, Algorithm::EdDSA, Some("1")),
        signed_by(&by_two, Algorithm::EdDSA, Some("")),
        signed_by(&by_secret, Algorithm::HS256, Some("ed-1")),
        signed_by(&by_secret, Algorithm::HS256, Some("2")),
        signed_by(&pair("ed-1", 3).1, Algorithm::EdDSA, None),
    ] {
        assert_eq!(verify(&bad), Err(Code::BadToken), "{bad}");
    }
}

// SPEC H1, ATTACK X7
#[test]
fn a_public_key_is_nobodys_secret() {
    let (key, _) = pair("1", 1);
    let KeyMaterial::Ed25519(public) = &key.material else { panic!("a pair of Ed25519") };
    let forged = signed_by(&EncodingKey::from_secret(public), Algorithm::HS256, Some("1"));
    assert_eq!(verify_with(&forged, seconds(START), std::slice::from_ref(&key)), Err(Code::BadToken));
    assert_eq!(verify_with(&forged, seconds(START), &[key, secret("2", KEY)]), Err(Code::BadToken));
}

// SPEC H1, ATTACK X7
#[test]
fn only_hs256_and_eddsa_are_algorithms() {
    let good = token(KEY, &claims("alice"));
    let payload_and_signature = good.split_once('.').unwrap().1;
    let payload = payload_and_signature.split_once('.').unwrap().0;
    let hs512 = token_by(&Header::new(Algorithm::HS512), KEY, &claims("alice"));
    for bad in [
        // {"alg":"none","typ":"JWT"}, with and without a signature
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload_and_signature}"),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."),
        // {"alg":"RS256","typ":"JWT"}
        format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.{payload_and_signature}"),
        // {"typ":"JWT"}
        format!("eyJ0eXAiOiJKV1QifQ.{payload_and_signature}"),
        hs512,
    ] {
        assert_eq!(verify_at(&bad, seconds(START)), Err(Code::BadToken), "{bad}");
    }
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["exp".to_owned()]);
    assert_eq!(verify_at(&token_by(&header, KEY, &claims("alice")), seconds(START)), Err(Code::BadToken));
}

// SPEC H1
#[test]
fn what_is_no_token_is_malformed() {
    let good = token(KEY, &claims("alice"));
    let mut changed = good.clone().into_bytes();
    let middle = good.find('.').unwrap() + 5;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let long = json!({ "sub": "alice", "aud": "7", "exp": EXP, "more": "x".repeat(TOKEN_MAX_BYTES) });
    let signature = good.rfind('.').unwrap();
    for bad in ["", ".", "..", "...", "a.b.c", "\0", &good[..signature], &good[..good.len() - 1], &changed] {
        assert_eq!(verify_at(bad, seconds(START)), Err(Code::BadToken), "{bad}");
    }
    assert_eq!(verify(&long), Err(Code::BadToken));
}

#[test]
fn a_refusal_never_holds_the_token() {
    let bad = token("other", &claims("alice"));
    let refusal =
        Bearer { app: app(), user: user("alice"), now: seconds(START) }.verify(&bad, &[]).unwrap_err();
    assert!(bad.split('.').all(|part| !refusal.message.contains(part)));
}
