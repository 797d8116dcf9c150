//! Several instances of one service, called in turn: one that could not be reached is passed over for a while.

use std::{
    error::Error as StdError,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use rollcall_proto::role::Role;
use tonic::{Code, Status, TimeoutExpired, transport::Channel};

use super::Traced;
use crate::{
    clock::{Clock, Monotonic},
    error::Error,
    rng,
    tls::Tls,
};

/// How long an instance is passed over that could not be reached.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// The longest pause before another instance is tried; one that stops hands over in less. It doubles with each.
const PAUSE: Duration = Duration::from_millis(50);
/// How long is paused in all: instances that are restarted one after the other may all be away for a moment.
const PAUSED_FOR: Duration = Duration::from_secs(1);

/// The instances of a service.
#[derive(Debug)]
pub struct Endpoints {
    instances: Vec<Instance>,
    next: AtomicUsize,
    clock: Clock,
}

#[derive(Debug)]
struct Instance {
    channel: Traced,
    /// Until when it is passed over, as [`Monotonic`].
    down_until: AtomicU64,
}

/// An instance that is called.
#[derive(Debug, Clone)]
pub struct Picked {
    /// The way to it.
    pub channel: Traced,
    place: usize,
}

impl Endpoints {
    /// Reads URLs with commas between, which are spoken to in clear text. They are connected to when first used.
    pub fn new(urls: &str, clock: Clock) -> Result<Self, Error> {
        Self::made(urls, clock, super::channel)
    }

    /// Reads URLs as [`Self::new`] does, which are spoken to as `tls` says; by TLS, with servers of this role alone.
    pub fn of(role: Role, urls: &str, tls: &Tls, clock: Clock) -> Result<Self, Error> {
        Self::made(urls, clock, |url| super::channel_to(role, url, tls))
    }

    fn made(
        urls: &str,
        clock: Clock,
        channel: impl Fn(&str) -> Result<Channel, Error>,
    ) -> Result<Self, Error> {
        let instance = |url: &str| {
            let channel = Traced::new(channel(url.trim())?);
            Ok(Instance { channel, down_until: AtomicU64::new(0) })
        };
        let instances = urls.split(',').map(instance).collect::<Result<Vec<_>, Error>>()?;
        // Callers begin at different ones.
        let first = usize::try_from(rng::nonzero_u64() % instances.len() as u64).unwrap_or_default();
        Ok(Self { instances, next: AtomicUsize::new(first), clock })
    }

    /// Picks the next instance that is not passed over; any, if all are.
    pub fn pick(&self) -> Picked {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.monotonic();
        let places = (0..self.instances.len()).map(|step| first.wrapping_add(step) % self.instances.len());
        let is_up =
            |place: &usize| Monotonic(self.instances[*place].down_until.load(Ordering::Relaxed)) <= now;
        let place = places.clone().find(is_up).or_else(|| places.clone().next()).unwrap_or_default();
        Picked { channel: self.instances[place].channel.clone(), place }
    }

    /// Notes that an instance could not be reached.
    pub fn failed(&self, picked: &Picked) {
        let until = self.clock.monotonic().plus(PASSED_OVER);
        self.instances[picked.place].down_until.store(until.0, Ordering::Relaxed);
    }

    /// Calls an instance, and another one where the first could not be reached or was lost with the call, for a
    /// second. So a call may be served more than once.
    pub async fn call<T, F>(&self, call: impl Fn(Traced) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (mut limit, mut paused) = (PAUSE, Duration::ZERO);
        loop {
            let picked = self.pick();
            match call(picked.channel.clone()).await {
                Err(status) if is_lost(&status) && paused < PAUSED_FOR => {
                    self.failed(&picked);
                    let pause = limit / 2 + rng::jitter(limit / 2);
                    tokio::time::sleep(pause).await;
                    (limit, paused) = (limit * 2, paused + pause);
                }
                ended => return ended,
            }
        }
    }
}

/// Says whether a call failed on its way, and not by an answer: answers of ours have details. What becomes of a
/// connection that ends with a call on it goes by several codes.
fn is_lost(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
    let lost = match status.code() {
        Code::Unavailable | Code::Unknown | Code::Internal => true,
        Code::Cancelled => !causes.any(<dyn StdError>::is::<TimeoutExpired>),
        _ => false,
    };
    lost && status.details().is_empty()
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;

    #[tokio::test]
    async fn instances_are_called_in_turn_and_one_that_failed_is_passed_over() {
        let urls = "http://127.0.0.1:1, http://127.0.0.1:2,http://127.0.0.1:3";
        let endpoints = Endpoints::new(urls, Clock::new()).unwrap();
        let places = |count: usize| {
            let mut places: Vec<usize> = (0..count).map(|_| endpoints.pick().place).collect();
            places.sort_unstable();
            places
        };
        assert_eq!(places(3), [0, 1, 2]);
        let failed = endpoints.pick();
        endpoints.failed(&failed);
        assert!(!places(6).contains(&failed.place));
        for place in 0..3 {
            endpoints.failed(&Picked { place, ..failed.clone() });
        }
        assert_eq!(places(3), [0, 1, 2], "any is better than none");
    }

    #[tokio::test]
    async fn a_call_that_is_lost_is_tried_elsewhere_and_one_that_was_answered_is_not() {
        let endpoints = Endpoints::new("http://127.0.0.1:1,http://127.0.0.1:2", Clock::new()).unwrap();
        let calls = AtomicUsize::new(0);
        let lost = endpoints.call(async |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Status::unavailable("connection refused"))
        });
        assert_eq!(lost.await.unwrap_err().code(), Code::Unavailable);
        assert!(calls.swap(0, Ordering::Relaxed) > 2);

        for code in [Code::DeadlineExceeded, Code::PermissionDenied] {
            let refused = endpoints.call(async |_| {
                calls.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(Status::new(code, "no"))
            });
            assert_eq!(refused.await.unwrap_err().code(), code);
            assert_eq!(calls.swap(0, Ordering::Relaxed), 1);
        }

        let answered = endpoints.call(async |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Status::with_details(Code::Unavailable, "the store is away", vec![1].into()))
        });
        assert_eq!(answered.await.unwrap_err().message(), "the store is away");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    /// Calls what takes connections and says nothing, or closes them; returns how often it was tried, and the code.
    async fn call_to(closes: bool) -> (usize, Code) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if closes {
                    // The call may have gone out by then.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else {
                    held.push(stream);
                }
            }
        });
        let endpoints = Endpoints::new(&url, Clock::new()).unwrap();
        let calls = AtomicUsize::new(0);
        let check = async |channel| {
            calls.fetch_add(1, Ordering::Relaxed);
            let mut request = tonic::Request::new(HealthCheckRequest::default());
            request.set_timeout(Duration::from_millis(500));
            HealthClient::new(channel).check(request).await
        };
        let status = endpoints.call(check).await.unwrap_err();
        (calls.into_inner(), status.code())
    }

    #[tokio::test]
    async fn a_connection_that_breaks_under_a_call_loses_it_and_a_time_out_does_not() {
        assert!(call_to(true).await.0 > 1);
        let (calls, code) = call_to(false).await;
        assert_eq!(calls, 1, "{code}");
    }
}
