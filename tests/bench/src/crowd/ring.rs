//! Who watches whom, and in which order users change: pure numbers, the same in every run.

/// Clients in a ring, each watching the `subscriptions` that follow it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) clients: usize,
    pub(crate) subscriptions: usize,
}

impl Ring {
    /// Returns whom a client watches.
    pub(crate) fn targets(self, watcher: usize) -> impl Iterator<Item = usize> {
        (1..=self.subscriptions).map(move |step| (watcher + step) % self.clients)
    }

    /// Returns the place of an edge among all edges; `None` if the one does not watch the other.
    pub(crate) fn edge(self, watcher: usize, target: usize) -> Option<usize> {
        let place = (target + self.clients - watcher).checked_sub(1)? % self.clients;
        (target < self.clients && place < self.subscriptions).then(|| watcher * self.subscriptions + place)
    }

    /// Returns a client's place on the ring, above 0 and at most 1.
    #[expect(clippy::cast_precision_loss, reason = "numbers of clients are far below 2^53")]
    pub(crate) fn share(self, client: usize) -> f64 {
        (client + 1) as f64 / self.clients as f64
    }

    /// Returns how many edges there are.
    pub(super) fn edges(self) -> usize {
        self.clients * self.subscriptions
    }

    /// Returns who makes the change with this number, from 1. Neighbours in time are far apart in the ring, so
    /// that no watcher hears of several at once, and everybody changes before anybody changes twice.
    pub(super) fn changer(self, sequence: u64) -> usize {
        let clients = self.clients as u64;
        // The golden section spreads best; the next number without a common factor visits everybody.
        let golden = (clients * 618 / 1000).max(1);
        let stride = (golden..=clients).find(|stride| common_factor(*stride, clients) == 1).unwrap_or(1);
        usize::try_from(sequence % clients * stride % clients).unwrap_or_default()
    }
}

fn common_factor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_factor(b, a % b) }
}

/// Names a client's user.
pub(crate) fn user_id(client: usize) -> String {
    format!("user-{client:06}")
}

/// Finds the client of a user.
pub(crate) fn client_of(user_id: &str) -> Option<usize> {
    user_id.strip_prefix("user-")?.parse().ok()
}

/// Writes the custom status of a change.
pub(crate) fn custom_status(sequence: u64) -> String {
    format!("listening to {sequence:010}")
}

/// Reads the number of the change that set a custom status; 0 for none.
pub(crate) fn sequence_of(custom: &str) -> u64 {
    custom.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_client_watches_and_is_watched_by_as_many_others_and_each_edge_has_its_place() {
        for ring in [Ring { clients: 5, subscriptions: 4 }, Ring { clients: 7, subscriptions: 1 }] {
            let mut places = HashSet::new();
            let mut watchers = vec![0; ring.clients];
            for watcher in 0..ring.clients {
                for target in ring.targets(watcher) {
                    assert_ne!(watcher, target);
                    assert!(places.insert(ring.edge(watcher, target).unwrap()));
                    watchers[target] += 1;
                }
                assert_eq!(ring.edge(watcher, watcher), None);
            }
            assert_eq!(places, (0..ring.edges()).collect());
            assert_eq!(watchers, vec![ring.subscriptions; ring.clients]);
        }
    }

    #[test]
    fn everybody_changes_before_anybody_changes_twice() {
        for clients in [2, 3, 10, 97, 1000, 1024] {
            let ring = Ring { clients, subscriptions: 1 };
            let changers: HashSet<usize> = (1..=clients as u64).map(|n| ring.changer(n)).collect();
            assert_eq!(changers.len(), clients);
        }
    }

    #[test]
    fn names_and_texts_are_read_back() {
        assert_eq!(client_of(&user_id(42)), Some(42));
        assert_eq!(client_of("someone"), None);
        assert_eq!(sequence_of(&custom_status(42)), 42);
        assert_eq!(sequence_of(""), 0);
    }
}
