//! Mutual TLS over real sockets: who is let in, who is trusted, and what strangers can do.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod files;
mod given;

use std::time::Duration;

use given::{Authority, Server, Signed, call_admin};
use rcgen::ExtendedKeyUsagePurpose;
use rollcall_proto::role::Role;
use rollcall_runtime::{
    grpc::{channel, channel_to},
    tls::Tls,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long is waited for what a busy machine may take its time for.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than may shake hands at once.
const FLOOD: usize = 300;

async fn health(channel: Channel) -> Result<ServingStatus, Status> {
    let call = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    call.map(|reply| reply.into_inner().status())
}

/// Asks for the health of presence with tonic's own TLS.
async fn health_with(
    server: &Server,
    authority: &Authority,
    own: Option<&Signed>,
) -> Result<ServingStatus, Status> {
    health(server.channel(&authority.pem, &Role::Presence.dns_name(), own)).await
}

/// Checks that a call failed with the connection, and not by an answer.
fn assert_cut(ended: Result<ServingStatus, Status>) {
    let status = ended.unwrap_err();
    let lost = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    assert!(lost && status.details().is_empty(), "{status:?}");
}

// ATTACK X15
#[tokio::test]
async fn who_shows_a_certificate_of_the_authority_is_served_and_knows_whom_it_speaks_to() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    for role in Role::ALL {
        assert_eq!(
            health_with(&server, &authority, Some(&authority.sign(role))).await.unwrap(),
            ServingStatus::Serving
        );
    }
    let ours = channel_to(Role::Presence, &server.url(), &authority.tls(Role::Gateway)).unwrap();
    assert_eq!(health(ours).await.unwrap(), ServingStatus::Serving);
    let operator =
        server.channel(&authority.pem, &Role::Presence.dns_name(), Some(&authority.sign(Role::Operator)));
    assert_eq!(call_admin(operator).await.code(), Code::Unimplemented);
}

// ATTACK X15
#[tokio::test]
async fn a_peer_without_a_certificate_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    assert_cut(health_with(&server, &authority, None).await);
    assert_cut(health(channel(&format!("http://{}", server.address)).unwrap()).await);
}

// ATTACK X15
#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_in_the_handshake() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start(authority.tls(Role::Presence));
    assert_cut(health_with(&server, &authority, Some(&other.sign(Role::Gateway))).await);
}

// ATTACK X15
#[tokio::test]
async fn an_expired_certificate_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    assert_cut(health_with(&server, &authority, Some(&authority.sign_expired(Role::Gateway))).await);
}

// ATTACK X15
#[tokio::test]
async fn a_certificate_for_servers_alone_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    let signed = authority.sign_with(&[&Role::Gateway.dns_name()], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_cut(health_with(&server, &authority, Some(&signed)).await);
}

// ATTACK X15
#[tokio::test]
async fn a_role_that_a_service_is_not_for_is_refused_by_name() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    let name = Role::Presence.dns_name();
    let others = Role::ALL.into_iter().filter(|role| *role != Role::Operator);
    let mut strangers: Vec<(Signed, &str)> = others.map(|role| (authority.sign(role), role.name())).collect();
    strangers.push((authority.sign_with(&["operator.example.org", "operator"], |_| ()), "no role"));
    for (signed, found) in strangers {
        let status = call_admin(server.channel(&authority.pem, &name, Some(&signed))).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{found}");
        let expected = format!("the certificate names {found}, expected operator");
        assert!(status.message().ends_with(&expected), "{status:?}");
    }
}

// ATTACK X15
#[tokio::test]
async fn a_server_of_another_role_or_authority_is_not_trusted_whatever_its_address() {
    let (authority, other) = (Authority::new(), Authority::new());
    let gateway = authority.tls(Role::Gateway);
    let both = authority.sign_with(&[&Role::Notifier.dns_name(), "127.0.0.1", "localhost"], |_| ());
    let both = Tls::load(&authority.write("both", &both), Role::Notifier).unwrap();
    for wrong in [both, other.tls(Role::Presence)] {
        let server = Server::start(wrong);
        assert_cut(health(channel_to(Role::Presence, &server.url(), &gateway).unwrap()).await);
    }
    let right = Server::start(authority.tls(Role::Presence));
    let by_name = right.url().replace("127.0.0.1", "localhost");
    health(channel_to(Role::Presence, &by_name, &gateway).unwrap()).await.unwrap();
}

// ATTACK X2, ATTACK X15
#[tokio::test]
async fn silent_peers_hold_up_nobody_and_are_cut() {
    let authority = Authority::new();
    let server = Server::start(authority.tls(Role::Presence));
    let flood = async {
        let mut silent = Vec::new();
        for _ in 0..FLOOD {
            silent.push(TcpStream::connect(server.address).await.unwrap());
        }
        silent
    };
    let silent = tokio::time::timeout(PATIENCE, flood).await.unwrap();
    let own = authority.sign(Role::Gateway);
    let served = health_with(&server, &authority, Some(&own));
    assert_eq!(tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap(), ServingStatus::Serving);
    for mut stream in silent {
        // Either way it is over: nothing was said.
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}
