//! Timers: touched by heartbeats, listed by the sweep.

use std::collections::BTreeMap;

use redis::{Pipeline, Value};
use rollcall_domain::time::Timestamp;
use tracing::warn;

use super::{Shared, connection::read, keys, script::Script};
use crate::{
    partition::Partition,
    port::{Error, OUTBOX_MAX, Timer, TimerId, TimerSet},
};

impl Shared {
    /// Moves timers later; returns those that do not exist.
    ///
    /// Two commands for each set, sent at once: which ones exist, then `ZADD XX GT`, which neither creates nor
    /// shortens. A commit may come between the two; then the answer is that of the moment before it.
    pub(super) async fn touch(&self, partition: Partition, timers: &[Timer]) -> Result<Vec<TimerId>, Error> {
        if timers.is_empty() {
            return Ok(Vec::new());
        }
        let mut sets: BTreeMap<TimerSet, Vec<usize>> = BTreeMap::new();
        for (place, timer) in timers.iter().enumerate() {
            sets.entry(timer.id.set()).or_default().push(place);
        }
        let mut commands = Pipeline::with_capacity(2 * sets.len());
        for (set, places) in &sets {
            let key = keys::timers(partition, *set);
            let members: Vec<_> = places.iter().map(|place| keys::member(&timers[*place].id)).collect();
            commands.cmd("ZMSCORE").arg(&key).arg(&members);
            commands.cmd("ZADD").arg(&key).arg("XX").arg("GT");
            for (place, member) in places.iter().zip(&members) {
                commands.arg(keys::score(timers[*place].deadline)).arg(member);
            }
        }
        let replies = self.connection.ask_all(&commands).await?;

        let mut missing = Vec::new();
        for (scores, places) in replies.into_iter().step_by(2).zip(sets.values()) {
            let scores: Vec<Value> = read(scores)?;
            let absent = places.iter().zip(scores).filter(|(_, score)| *score == Value::Nil);
            missing.extend(absent.map(|(place, _)| *place));
        }
        missing.sort_unstable();
        Ok(missing.into_iter().map(|place| timers[place].id).collect())
    }

    /// Lists due timers of a set.
    pub(super) async fn due(
        &self,
        partition: Partition,
        set: TimerSet,
        until: Timestamp,
        after: Option<Timer>,
        limit: usize,
    ) -> Result<Vec<Timer>, Error> {
        let key = keys::timers(partition, set);
        let due: Vec<(String, f64)> = self
            .connection
            .run(Script::Due, |command| {
                command.arg(1).arg(&key).arg(keys::score(until)).arg(limit.min(PAGE_MAX));
                match &after {
                    Some(timer) => command.arg(keys::score(timer.deadline)).arg(keys::member(&timer.id)),
                    None => command.arg("").arg(""),
                };
            })
            .await?;
        let timers = due.iter().filter_map(|(member, score)| {
            let timer = keys::timer(set, member, *score);
            if timer.is_none() {
                warn!(partition = partition.0, ?set, "passed over a timer that cannot be read");
            }
            timer
        });
        Ok(timers.collect())
    }
}

/// The greatest number of timers on a page; what is beyond comes on the next one.
const PAGE_MAX: usize = OUTBOX_MAX;
