//! Tests of the stream, to a notifier that only listens.

use std::pin::Pin;

use parking_lot::Mutex;
use rollcall_proto::notifier::v1::notifier_service_server::{NotifierService, NotifierServiceServer};
use rollcall_runtime::{
    Clock,
    config::Profile,
    grpc::{self, Listener},
    metrics::Registry,
};
use tokio_stream::Stream;
use tonic::{Request, Response, service::Routes};

use super::*;
use crate::{Config, backend::Backend, metrics::Metrics};

/// Takes streams and says nothing on them. Notes when they began.
#[derive(Clone)]
struct Silent {
    clock: Clock,
    attached: Arc<Mutex<Vec<Monotonic>>>,
}

#[tonic::async_trait]
impl NotifierService for Silent {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        _: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.attached.lock().push(self.clock.monotonic());
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }
}

// FAULT 24
#[tokio::test]
async fn a_notifier_that_says_nothing_is_left_after_a_while_and_never_before() {
    let silent = Silent { clock: Clock::new(), attached: Arc::default() };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", listener.local_addr());
    let routes = Routes::new(NotifierServiceServer::new(silent.clone()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(grpc::serve(listener, routes, &[], stop.clone()));
    let endpoints = || Endpoints::new(&url, Clock::new()).unwrap();
    let config = Config::profile(Profile::Fast);
    let backend = Backend::new(endpoints(), endpoints(), config.call_timeout);
    let gateway = Gateway::new(config, Clock::new(), backend, Metrics::new(&Registry::default()));
    let linked = tokio::spawn(run(gateway, endpoints(), stop.clone()));

    let again = async {
        while silent.attached.lock().len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), again).await.unwrap();
    let [first, second, ..] = silent.attached.lock()[..] else { panic!("two were waited for") };
    // Both readings are in whole milliseconds.
    assert!(second.since(first) + Duration::from_millis(1) >= SILENCE_LIMIT);
    stop.cancel();
    linked.await.unwrap();
    serving.await.unwrap().unwrap();
}
