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
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
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

// SPEC J1
#[tokio::test]
async fn a_tool_can_ask_which_services_a_server_has_and_what_they_look_like() {
    let listener = listener();
    let url = format!("http://{}", listener.local_addr());
    let shutdown = CancellationToken::new();
    let services = &["rollcall.presence.v1.UserService", "rollcall.gateway"];
    let serving = tokio::spawn(serve(listener, Routes::default(), services, shutdown.clone()));
    let mut client = ServerReflectionClient::new(channel(&url).unwrap());
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("rollcall.presence.v1.UserService".to_owned()),
    ];
    let requests = asked.map(|message| ServerReflectionRequest {
        message_request: Some(message),
        ..ServerReflectionRequest::default()
    });

    let mut answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();

    let listed = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let mut names: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, ["grpc.health.v1.Health", "rollcall.presence.v1.UserService"]);
    let file = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::FileDescriptorResponse(file) = file else { panic!("{file:?}") };
    let text = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
    assert!(text.contains("KickUser") && text.contains("Ends all sessions of a user"), "no comments in it");
    drop(answers);
    shutdown.cancel();
    tokio::time::timeout(Duration::from_mins(1), serving).await.unwrap().unwrap().unwrap();
}
