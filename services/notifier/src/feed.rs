//! The feed of every change, for internal services: what the bus keeps from a start on, and then what is published.
//!
//! Each follower reads a replay of its own, as fast as it takes the answers: nothing is read ahead for one that is slow,
//! save for the replay's bounded queue and what is held for the order.

mod order;

use std::{borrow::Cow, collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use prost::Message as _;
use rollcall_bus::{Bus, Kept, Replay, Start, Subject};
use rollcall_domain::{
    code::{Code, Refusal},
    partition::Partition,
    status::RecordVersion,
    time::Timestamp,
};
use rollcall_proto::{
    event::v1::{
        Change, ChangeKind, Event, FollowRequest, FollowResponse, Gap, GapReason,
        event_service_server::EventService, follow_request, follow_response::Told,
    },
    refusal,
};
use rollcall_runtime::{Clock, clock::Monotonic, grpc::Seldom, shutdown::CancellationToken};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use self::order::{Entry, Order};
use crate::metrics::FeedMetrics;

/// The greatest number of followers at a time: each costs a consumer of the bus, and the reading of every change.
const FOLLOWERS_MAX: usize = 64;
/// How often it is looked whether something is missing for too long.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a follower to whom nothing is told learns how far it has come.
const POSITION_EVERY: Duration = Duration::from_secs(10);

/// Serves followers.
pub(crate) struct Feed {
    bus: Arc<dyn Bus>,
    clock: Clock,
    places: Arc<Semaphore>,
    metrics: Arc<FeedMetrics>,
    /// Ends all streams.
    stop: CancellationToken,
}

impl Feed {
    /// Serves what `bus` keeps, until `stop`.
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        clock: Clock,
        metrics: Arc<FeedMetrics>,
        stop: CancellationToken,
    ) -> Self {
        Self { bus, clock, places: Arc::new(Semaphore::new(FOLLOWERS_MAX)), metrics, stop }
    }
}

#[tonic::async_trait]
impl EventService for Feed {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowResponse, Status>> + Send>>;

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        let filter = Filter::of(&request).map_err(|refused| refusal::to_status(&refused))?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message =
                format!("{FOLLOWERS_MAX} follow already, expected fewer: follow at another notifier");
            refusal::to_status(&Refusal::new(Code::RateLimit, message))
        })?;
        let start = match request.start {
            None => Start::Now,
            Some(follow_request::Start::Since(time)) => Start::Since(Timestamp(time)),
            Some(follow_request::Start::After(position)) => Start::After(position),
        };
        let replay = self.bus.replay(start).await.map_err(|error| unavailable(error.to_string()))?;
        info!(app = request.app_id, ?start, after = replay.after, "a follower of changes came");
        let (metrics, stop) = (Arc::clone(&self.metrics), self.stop.clone());
        let follower = Follower::new(replay, filter, place, self.clock.clone(), metrics, stop);
        Ok(Response::new(Box::pin(futures_util::stream::unfold(Some(follower), Follower::step))))
    }
}

/// Which changes a follower is brought.
#[derive(Debug)]
struct Filter {
    /// 0 for all.
    app: u32,
    /// None for all.
    kinds: Vec<i32>,
}

impl Filter {
    fn of(request: &FollowRequest) -> Result<Self, Refusal> {
        let unknown =
            |kind: &&i32| ChangeKind::try_from(**kind).is_ok_and(|kind| kind != ChangeKind::Unknown);
        if let Some(kind) = request.kinds.iter().find(|kind| !unknown(kind)) {
            let message = format!(
                "kind {kind} is not known, expected CHANGE_KIND_STATUS, _SESSIONS, _LIST or _FRIENDS"
            );
            return Err(Refusal::new(Code::InvalidParameter, message));
        }
        Ok(Self { app: request.app_id, kinds: request.kinds.clone() })
    }

    fn passes(&self, change: &Change) -> bool {
        (self.app == 0 || self.app == change.app_id)
            && (self.kinds.is_empty() || self.kinds.contains(&change.kind))
    }
}

/// One who is brought changes.
struct Follower {
    replay: Replay,
    filter: Filter,
    order: Order<Change>,
    answers: VecDeque<FollowResponse>,
    look: Interval,
    /// When it was told a position last.
    told_at: Monotonic,
    clock: Clock,
    metrics: Arc<FeedMetrics>,
    malformed: Seldom,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    fn new(
        replay: Replay,
        filter: Filter,
        place: OwnedSemaphorePermit,
        clock: Clock,
        metrics: Arc<FeedMetrics>,
        stop: CancellationToken,
    ) -> Self {
        let mut order = Order::after(replay.after);
        for Kept { message, .. } in &replay.before {
            if let (Subject::Status(partition), Ok(change)) =
                (message.subject, Change::decode(message.payload.clone()))
            {
                let version = RecordVersion(change.record_version);
                order.came_before(Partition(partition), change.sequence, version);
            }
        }
        let not_kept = Gap { reason: GapReason::NotKept.into(), ..Gap::default() };
        let first = FollowResponse { position: replay.after, told: None };
        let cut = replay.is_cut.then(|| FollowResponse { told: Some(Told::Gap(not_kept)), ..first.clone() });
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        metrics.followers.inc();
        Self {
            replay,
            filter,
            order,
            answers: std::iter::once(first).chain(cut).collect(),
            look,
            told_at: clock.monotonic(),
            clock,
            metrics,
            malformed: Seldom::default(),
            stop,
            _place: place,
        }
    }

    /// Takes the next answer, for [`unfold`](futures_util::stream::unfold).
    async fn step(follower: Option<Self>) -> Option<(Result<FollowResponse, Status>, Option<Self>)> {
        let mut follower = follower?;
        match follower.next().await {
            Ok(answer) => Some((Ok(answer), Some(follower))),
            Err(end) => {
                info!(status = end.message(), "the stream of a follower of changes ends");
                Some((Err(end), None))
            }
        }
    }

    async fn next(&mut self) -> Result<FollowResponse, Status> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                self.told_at = self.clock.monotonic();
                return Ok(answer);
            }
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    return Err(unavailable("the notifier stops, follow at another one after the last position"));
                }
                kept = self.replay.messages.recv() => match kept {
                    Some(kept) => self.take(kept),
                    None => return Err(unavailable("the bus brings no more, follow again after the last position")),
                },
                _ = self.look.tick() => self.look(),
            }
        }
    }

    fn take(&mut self, Kept { position, at, behind, message }: Kept) {
        let Subject::Status(partition) = message.subject else { return self.order.skip(position) };
        match Change::decode(message.payload) {
            Ok(change) => {
                let (sequence, version) = (change.sequence, RecordVersion(change.record_version));
                let partition = Partition(partition);
                let entry = Entry { position, at, partition, sequence, version, what: change };
                self.order.take(entry, behind == 0, self.clock.monotonic());
            }
            Err(error) => {
                if let Some(others) = self.malformed.pass() {
                    warn!(position, %error, others, "skipped a message that is no change");
                }
                self.order.skip(position);
            }
        }
        self.tell();
    }

    fn look(&mut self) {
        self.order.look(self.clock.monotonic());
        self.tell();
    }

    /// Answers what is told next, or else, now and then, how far all was told.
    fn tell(&mut self) {
        while let Some(next) = self.order.next() {
            let told = match next {
                order::Told::Entry(Entry { at, partition, what: change, .. }) => {
                    if !self.filter.passes(&change) {
                        continue;
                    }
                    self.metrics.events.inc();
                    let (at, partition) = (at.0, partition.0.into());
                    Told::Event(Event { at, partition, change: Some(change) })
                }
                order::Told::NotHeard(partition, first, last) => {
                    warn!(
                        partition = partition.0,
                        first, last, "changes did not come, a follower is told of a gap"
                    );
                    self.metrics.gaps.inc();
                    gap(GapReason::NotHeard, partition, first, last)
                }
                order::Told::NewCount(partition) => {
                    warn!(partition = partition.0, "a partition counts anew, a follower is told of a gap");
                    self.metrics.gaps.inc();
                    gap(GapReason::NewCount, partition, 0, 0)
                }
            };
            self.answers.push_back(FollowResponse { position: self.order.position(), told: Some(told) });
        }
        if self.answers.is_empty() && self.clock.monotonic().since(self.told_at) >= POSITION_EVERY {
            self.answers.push_back(FollowResponse { position: self.order.position(), told: None });
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.metrics.followers.dec();
    }
}

fn unavailable(message: impl Into<Cow<'static, str>>) -> Status {
    refusal::to_status(&Refusal::new(Code::ServerTimeout, message))
}

fn gap(reason: GapReason, partition: Partition, first: u64, last: u64) -> Told {
    Told::Gap(Gap { reason: reason.into(), partition: Some(partition.0.into()), first, last })
}
