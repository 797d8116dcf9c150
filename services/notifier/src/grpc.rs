//! The stream of a gateway: interest up, changes down.
//!
//! Two tasks serve it. One reads interest, whether or not the gateway reads changes. The other is the response
//! stream, driven by the connection as far as the gateway's flow control lets it: it takes from the mailbox when
//! it can write, and never before.

use std::{pin::Pin, sync::Arc, time::Duration};

use rollcall_domain::partition::Partition;
use rollcall_proto::{
    convert,
    notifier::v1::{
        self as wire, AttachRequest, AttachResponse, Resume, notifier_service_server::NotifierService,
    },
};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

use crate::{
    error::StreamEnd,
    interest::{StreamId, User},
    mailbox::Mailbox,
    positions::Heard,
    router::{Attached, Router},
};

/// Serves gateways.
#[derive(Debug)]
pub(crate) struct Grpc {
    router: Arc<Router>,
}

impl Grpc {
    /// Serves the streams of `router`.
    pub(crate) fn new(router: Arc<Router>) -> Self {
        Self { router }
    }
}

#[tonic::async_trait]
impl NotifierService for Grpc {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let Attached { stream, mailbox, listening } =
            self.router.attach().map_err(|end| Status::from(&end))?;
        info!(stream = stream.0, "attached a gateway");
        let ended = CancellationToken::new();
        let reader = Reader {
            stream,
            router: Arc::clone(&self.router),
            mailbox: Arc::clone(&mailbox),
            listening,
            requests: request.into_inner(),
            last_batch: 0,
        };
        tokio::spawn(reader.run(ended.clone()));
        Ok(Response::new(Box::pin(responses(mailbox, ended.drop_guard()))))
    }
}

/// Takes messages from the mailbox until the stream ends. When it is dropped, the reader ends too.
fn responses(mailbox: Arc<Mailbox>, reader: DropGuard) -> impl Stream<Item = Result<AttachResponse, Status>> {
    futures_util::stream::unfold(Some((mailbox, reader)), async |state| {
        let (mailbox, reader) = state?;
        match mailbox.next().await {
            Ok(response) => Some((Ok(response), Some((mailbox, reader)))),
            Err(StreamEnd::Left) => None,
            Err(end) => Some((Err(Status::from(&end)), None)),
        }
    })
}

/// Reads one gateway's interest.
struct Reader {
    stream: StreamId,
    router: Arc<Router>,
    mailbox: Arc<Mailbox>,
    listening: Duration,
    requests: Streaming<AttachRequest>,
    last_batch: u64,
}

impl Reader {
    async fn run(mut self, ended: CancellationToken) {
        if let Some(reason) = ended.run_until_cancelled(self.read()).await {
            self.mailbox.end(reason);
        }
        self.router.detach(self.stream).await;
        info!(stream = self.stream.0, "detached a gateway");
    }

    async fn read(&mut self) -> StreamEnd {
        loop {
            match self.requests.message().await {
                Ok(Some(request)) => {
                    if let Err(end) = self.apply(&request).await {
                        return end;
                    }
                }
                Ok(None) => return StreamEnd::Left,
                Err(status) => {
                    debug!(stream = self.stream.0, %status, "lost a gateway");
                    return StreamEnd::Broken;
                }
            }
        }
    }

    async fn apply(&mut self, request: &AttachRequest) -> Result<(), StreamEnd> {
        let batch = request.batch;
        if batch <= self.last_batch {
            return Err(StreamEnd::BadBatch { found: batch, last: self.last_batch });
        }
        let (added, removed) = (users(batch, &request.added)?, users(batch, &request.removed)?);
        self.router.update(self.stream, &added, &removed).await?;
        self.last_batch = batch;
        if let Some(resume) = &request.resume {
            let missed = self.router.missed_since(&heard(resume), self.listening);
            info!(stream = self.stream.0, ?missed, "a gateway came with what it has heard elsewhere");
            self.mailbox.resync(missed);
        }
        self.mailbox.acknowledge(batch);
        debug!(
            stream = self.stream.0,
            batch,
            added = added.len(),
            removed = removed.len(),
            "changed the interest of a gateway"
        );
        Ok(())
    }
}

fn heard(resume: &Resume) -> Heard {
    let positions = resume.positions.iter();
    Heard {
        // A partition beyond the greatest is none that anything is heard of.
        positions: positions
            .filter_map(|position| {
                Some((Partition(u16::try_from(position.partition).ok()?), position.sequence))
            })
            .collect(),
        ago: resume.told_ms_ago.map(Duration::from_millis),
    }
}

fn users(batch: u64, users: &[wire::User]) -> Result<Vec<User>, StreamEnd> {
    users
        .iter()
        .map(|user| Ok(User { app: convert::app_id(user.app_id)?, user: convert::user_id(&user.user_id)? }))
        .collect::<Result<_, _>>()
        .map_err(|refusal| StreamEnd::BadUser { batch, refusal })
}
