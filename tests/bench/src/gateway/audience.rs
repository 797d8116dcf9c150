//! Who watches whom: each client watches one user, whom all watch, and the ones that follow it in a ring.

use serde::{Deserialize, Serialize};

use crate::crowd::{Ring, client_of, user_id};

/// The user whom all watch.
pub(super) const STAR: &str = "star";

/// The clients of one server, in all generators.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Audience {
    pub(super) clients: usize,
    /// Whom each watches, the star among them.
    pub(super) subscriptions: usize,
}

impl Audience {
    /// Lists whom a client watches.
    pub(super) fn targets(self, client: usize) -> Vec<String> {
        [STAR.to_owned()].into_iter().chain(self.ring().targets(client).map(user_id)).collect()
    }

    /// Returns the place of a user among those whom a client watches; `None` if it does not.
    pub(super) fn place(self, client: usize, user_id: &str) -> Option<usize> {
        if user_id == STAR {
            return Some(0);
        }
        let ring = self.ring();
        Some(1 + ring.edge(client, client_of(user_id)?)? - client * ring.subscriptions)
    }

    /// Returns a client's share of the way around the ring, above 0 and at most 1.
    pub(super) fn share(self, client: usize) -> f64 {
        self.ring().share(client)
    }

    fn ring(self) -> Ring {
        Ring { clients: self.clients, subscriptions: self.subscriptions - 1 }
    }
}

/// Lists the clients of a generator: every `generators`th.
pub(super) fn clients_of(generator: usize, generators: usize, clients: usize) -> impl Iterator<Item = usize> {
    (generator..clients).step_by(generators)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_place_of_its_own_and_others_have_none() {
        for (clients, subscriptions) in [(5, 1), (5, 3), (5, 5)] {
            let audience = Audience { clients, subscriptions };
            for client in 0..clients {
                let targets = audience.targets(client);
                let places: Vec<_> = targets.iter().map(|user| audience.place(client, user)).collect();
                assert_eq!(places, (0..subscriptions).map(Some).collect::<Vec<_>>());
                assert_eq!(audience.place(client, &user_id(client)), None);
                assert_eq!(audience.place(client, "someone"), None);
            }
        }
    }

    #[test]
    fn each_client_has_one_generator() {
        let mut all: Vec<usize> = (0..3).flat_map(|generator| clients_of(generator, 3, 10)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
