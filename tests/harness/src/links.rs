//! Links of a cluster's processes that lead through proxies.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rollcall_testkit::Proxy;

/// What a process of a cluster is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The store.
    Redis,
    /// The bus.
    Nats,
    /// The instances of presence, in turn.
    Presence,
    /// The instances of subscription, in turn.
    Subscription,
    /// The notifiers, in turn.
    Notifier,
}

/// A link of a process, by the name of its service, its number from 0, and what the link leads to.
pub(crate) type Place = (&'static str, usize, Link);

/// The proxies on the links for which they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Links {
    wanted: Vec<Place>,
    proxies: Mutex<BTreeMap<Place, Proxy>>,
}

impl Links {
    pub(crate) fn new(wanted: Vec<Place>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Returns the URL by which a process is to reach what listens at `urls`, which have commas between: itself, or
    /// that of a proxy before all of them.
    pub(crate) fn lead(&self, place: Place, urls: String) -> String {
        if !self.wanted.contains(&place) {
            return urls;
        }
        let targets: Vec<String> = urls.split(',').map(|url| host_and_port(url).to_owned()).collect();
        let proxy = Proxy::over(&targets);
        let first = urls.split(',').next().unwrap_or_default();
        let url = proxy.through(first);
        self.proxies.lock().insert(place, proxy);
        url
    }

    /// Returns the proxies once all processes run.
    pub(crate) fn into_proxies(self) -> BTreeMap<Place, Proxy> {
        let proxies = self.proxies.into_inner();
        for place in &self.wanted {
            assert!(proxies.contains_key(place), "there is no such link: {place:?}");
        }
        proxies
    }
}

/// Finds the `host:port` in a URL of the form `scheme://user:password@host:port`.
fn host_and_port(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.rsplit('@').next().unwrap_or(authority)
}
