//! What every watcher has seen of every target, written by the clients and read by the one who waits.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::ring::Ring;

/// What was seen of a target of which nothing was seen.
const NOTHING: u64 = u64::MAX;

/// Shared by all clients of a run.
#[derive(Debug)]
pub(super) struct Board {
    ring: Ring,
    /// For each edge the number of the last change seen; 0 for the status before any change.
    seen: Vec<AtomicU64>,
    answered: AtomicU64,
    failure: OnceLock<String>,
}

impl Board {
    /// Makes a board on which nothing was seen.
    pub(super) fn new(ring: Ring) -> Self {
        Self {
            ring,
            seen: (0..ring.edges()).map(|_| AtomicU64::new(NOTHING)).collect(),
            answered: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// Notes what was seen along an edge.
    pub(super) fn see(&self, edge: usize, sequence: u64) {
        self.seen[edge].store(sequence, Ordering::Relaxed);
    }

    /// Counts edges along which nothing was seen yet.
    pub(super) fn unseen(&self) -> usize {
        self.seen.iter().filter(|seen| seen.load(Ordering::Relaxed) == NOTHING).count()
    }

    /// Counts edges along which the last state was not seen yet. `last` has the number of the last change of
    /// each user, 0 for none.
    pub(super) fn behind(&self, last: &[u64]) -> usize {
        self.edges_behind(last).count()
    }

    /// Describes some of the edges that are behind.
    pub(super) fn describe_behind(&self, last: &[u64], most: usize) -> String {
        let edges = self.edges_behind(last).take(most).map(|(watcher, target, seen)| {
            let seen = if seen == NOTHING { "nothing".to_owned() } else { format!("change {seen}") };
            format!("client {watcher} saw {seen} of user {target}, expected change {}", last[target])
        });
        edges.collect::<Vec<_>>().join("; ")
    }

    fn edges_behind<'a>(&'a self, last: &'a [u64]) -> impl Iterator<Item = (usize, usize, u64)> + 'a {
        let edges = (0..self.ring.clients)
            .flat_map(|watcher| self.ring.targets(watcher).map(move |target| (watcher, target)));
        edges.zip(&self.seen).filter_map(|((watcher, target), seen)| {
            let seen = seen.load(Ordering::Relaxed);
            (seen != last[target]).then_some((watcher, target, seen))
        })
    }

    /// Notes that a change was answered ok.
    pub(super) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the changes that were answered ok.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Notes that a client failed; the first failure counts.
    pub(super) fn fail(&self, failure: String) {
        // A later failure is most likely a consequence.
        let _ = self.failure.set(failure);
    }

    /// Returns the first failure.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_behind_until_the_last_change_of_its_target_was_seen() {
        let ring = Ring { clients: 3, subscriptions: 1 };
        let board = Board::new(ring);
        assert_eq!(board.unseen(), 3);
        for watcher in 0..3 {
            board.see(ring.edge(watcher, (watcher + 1) % 3).unwrap(), 0);
        }
        assert_eq!((board.unseen(), board.behind(&[0, 0, 0]), board.behind(&[0, 5, 0])), (0, 0, 1));
        let expected = "client 0 saw change 0 of user 1, expected change 5";
        assert_eq!(board.describe_behind(&[0, 5, 0], 9), expected);
        board.see(ring.edge(0, 1).unwrap(), 5);
        assert_eq!(board.behind(&[0, 5, 0]), 0);
    }
}
