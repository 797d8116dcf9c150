//! gRPC servers and channels over real sockets.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use rollcall_runtime::{
    Error,
    grpc::{Listener, await_serving, channel, serve},
    shutdown::CancellationToken,
};
use tonic::{Code, service::Routes};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient,
};

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_taken_address_is_named_in_the_error() {
    let taken = listener();
    let error = Listener::bind(taken.local_addr()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}, expected a free address of this machine", taken.local_addr())
    );
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_refused() {
    assert!(matches!(channel("not a url"), Err(Error::Endpoint { .. })));
    channel("http://127.0.0.1:1").unwrap();
}

#[tokio::test]
async fn health_is_serving_until_shutdown_and_an_open_stream_does_not_hold_it_up_for_ever() {
    let listener = listener();
    let url = format!("http://{}", listener.local_addr());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Routes::default(), &["rollcall.Service"], shutdown.clone()));
    let mut client = HealthClient::new(channel(&url).unwrap());

    tokio::time::timeout(Duration::from_mins(1), await_serving(&url)).await.unwrap().unwrap();
    for service in ["", "rollcall.Service"] {
        let reply = client.check(named(service)).await.unwrap().into_inner();
        assert_eq!(reply.status(), Wire::Serving, "{service}");
    }
    assert_eq!(client.check(named("other")).await.unwrap_err().code(), Code::NotFound);

    let mut watch = client.watch(named("rollcall.Service")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Wire::Serving);
    shutdown.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Wire::NotServing);
    tokio::time::timeout(Duration::from_mins(1), serving).await.unwrap().unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), watch.message()).await.unwrap();
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
}
