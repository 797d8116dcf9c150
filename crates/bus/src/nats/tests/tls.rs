//! Encrypted connections, with certificates made for the test.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rollcall_testkit::NatsServer;

use super::given::options;
use crate::{
    NatsBus,
    contract::{heard, status},
    nats::{ConnectError, Identity, Options, Tls},
    port::Bus as _,
};

/// An authority.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Makes a certificate and its key.
    fn vouch(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Starts a server with a certificate of the authority, which asks clients for theirs if they must show one.
fn start(authority: &Authority, host: &str, mutual: bool) -> NatsServer {
    let (certificate, key) = authority.vouch(host, ExtendedKeyUsagePurpose::ServerAuth);
    let lines = format!(
        "tls {{ cert_file: \"server.pem\", key_file: \"server.key\", ca_file: \"ca.pem\", verify: {mutual} }}"
    );
    let files = [("server.pem", &*certificate), ("server.key", &*key), ("ca.pem", &*authority.certificate)];
    NatsServer::start_with(&lines, &files)
}

/// Writes what a client needs into the folder of the server.
fn tls(server: &NatsServer, trusted: &Authority, own: Option<&Authority>) -> Tls {
    let authorities = server.file("trusted.pem");
    fs::write(&authorities, &trusted.certificate).unwrap();
    let identity = own.map(|authority| {
        let (certificate, key) = authority.vouch("presence", ExtendedKeyUsagePurpose::ClientAuth);
        let identity = Identity { certificate: server.file("client.pem"), key: server.file("client.key") };
        fs::write(&identity.certificate, certificate).unwrap();
        fs::write(&identity.key, key).unwrap();
        identity
    });
    Tls { authorities: Some(authorities), identity }
}

async fn open(server: &NatsServer, tls: Tls) -> Result<NatsBus, ConnectError> {
    NatsBus::connect(&server.url("node"), Options { tls: Some(tls), ..options("node") }).await
}

#[tokio::test]
async fn a_server_whose_authority_is_trusted_is_spoken_to() {
    let authority = Authority::new();
    let server = start(&authority, "127.0.0.1", false);
    let bus = open(&server, tls(&server, &authority, None)).await.unwrap();
    let mut listener = bus.subscribe_status().await.unwrap();

    bus.publish(status(1, "encrypted")).await.unwrap();

    assert_eq!(heard(&mut listener).await, status(1, "encrypted"));
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, "127.0.0.1", false);
    let refused = open(&server, tls(&server, &other, None)).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");

    let server = start(&authority, "elsewhere.example", false);
    let refused = open(&server, tls(&server, &authority, None)).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_wanted() {
    let server = NatsServer::start();
    let refused = open(&server, tls(&server, &Authority::new(), None)).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_shown_one() {
    let authority = Authority::new();
    let server = start(&authority, "127.0.0.1", true);

    let bus = open(&server, tls(&server, &authority, Some(&authority))).await.unwrap();
    bus.publish(status(1, "trusted")).await.unwrap();

    for stranger in [None, Some(&Authority::new())] {
        let refused = open(&server, tls(&server, &authority, stranger)).await.err().unwrap();
        assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    }
}
