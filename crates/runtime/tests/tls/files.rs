//! What is said of files that do not hold what they should, and files that change.

use std::fs;

use rollcall_proto::role::Role;
use rollcall_runtime::{
    config::Validate as _,
    grpc::channel_to,
    tls::{Config, Tls},
};

use crate::{
    given::{Authority, Server},
    health,
};

fn refused(config: &Config, role: Role) -> String {
    Tls::load(config, role).unwrap_err().to_string()
}

#[tokio::test]
async fn files_are_configured_all_or_none() {
    assert_eq!(Config::default().faults(), [""; 0]);
    assert!(!Tls::load(&Config::default(), Role::Presence).unwrap().is_on());
    let config = Config { certificate: "a".into(), key: "b".into(), ..Config::default() };
    assert_eq!(config.faults(), ["ca: empty, expected all of ca, certificate and key, or none of them"]);
    let config = Config { off: true, ca: "c".into(), ..config };
    assert_eq!(config.faults(), ["off: true beside certificates, expected one or the other"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_what_was_expected_of_it() {
    let authority = Authority::new();
    let good = authority.write("presence", &authority.sign(Role::Presence));

    let away = Config { ca: "no/ca".into(), key: "no/key".into(), ..good.clone() };
    let said = refused(&away, Role::Presence);
    for part in [
        "tls.ca: no/ca: No such file or directory (os error 2), expected certificates in PEM",
        "tls.key: no/key: No such file or directory (os error 2), expected a private key in PEM",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }

    let swapped = Config { certificate: good.key.clone(), key: good.certificate.clone(), ..good.clone() };
    let said = refused(&swapped, Role::Presence);
    assert!(said.contains("presence.key: no certificate is in it, expected certificates in PEM"), "{said}");
    assert!(said.contains("presence.pem: no private key is in it, expected a private key in PEM"), "{said}");
}

// ATTACK X15
#[tokio::test]
async fn a_certificate_that_peers_would_refuse_is_refused_at_start() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.write("presence", &authority.sign(Role::Presence));

    let said = refused(&good, Role::Gateway);
    assert!(
        said.contains("expected one that tls.ca has signed") && said.contains("gateway.rollcall.internal"),
        "{said}"
    );
    let foreign = Config { ca: other.write("other", &other.sign(Role::Presence)).ca, ..good.clone() };
    assert!(refused(&foreign, Role::Presence).contains("invalid peer certificate"));
    let expired = authority.write("expired", &authority.sign_expired(Role::Presence));
    assert!(refused(&expired, Role::Presence).contains("expired"));
    let key = authority.write("stranger", &authority.sign(Role::Presence)).key;
    let said = refused(&Config { key, ..good }, Role::Presence);
    assert!(said.contains("expected the key of tls.certificate"), "{said}");
}

#[tokio::test]
async fn renewed_certificates_are_taken_for_new_connections_and_broken_ones_are_not() {
    let (authority, next) = (Authority::new(), Authority::new());
    let config = authority.write("presence", &authority.sign(Role::Presence));
    let tls = Tls::load(&config, Role::Presence).unwrap();
    let server = Server::start(tls.clone());
    let with = |authority: &Authority| {
        health(channel_to(Role::Presence, &server.url(), &authority.tls(Role::Gateway)).unwrap())
    };
    with(&authority).await.unwrap();
    assert!(!tls.reload().unwrap(), "nothing has changed");

    fs::write(&config.certificate, "half of a certif").unwrap();
    tls.reload().unwrap_err();
    with(&authority).await.unwrap();

    let renewed = next.sign(Role::Presence);
    fs::write(&config.ca, &next.pem).unwrap();
    fs::write(&config.certificate, &renewed.certificate).unwrap();
    tls.reload().unwrap_err();
    fs::write(&config.key, &renewed.key).unwrap();
    assert!(tls.reload().unwrap());
    with(&next).await.unwrap();
    with(&authority).await.unwrap_err();
}
