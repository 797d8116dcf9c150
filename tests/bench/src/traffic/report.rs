//! What a run amounts to: what each phase carried, and what one of each thing cost.

use std::{collections::BTreeSet, fmt::Write as _};

use serde::Serialize;

use super::{carried::Carried, counter::Window, options::Options};
use crate::table::table;

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Sessions that were idle, and then changed.
    pub sessions: usize,
    /// Users that each of them was subscribed to while they changed.
    pub subscriptions: usize,
    /// Changes a second that they made.
    pub rate: u32,
    /// Partitions of the store.
    pub partitions: u16,
    /// What was counted, in the order of time.
    pub phases: Vec<Phase>,
    /// Last states that a watcher was not shown in time; anything but 0 is a fault.
    pub missing: usize,
    /// Some of the missing ones in words.
    #[serde(skip)]
    missing_examples: String,
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name: `empty`, `change_W_watchers_G_gateways`, `login`, `idle`, `subscribe` or `busy`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// How much was in it of what [`Phase::each`] is the cost of: seconds of the empty cluster, seconds of idle
    /// sessions, or changes, logins, sessions that subscribed.
    pub count: f64,
    /// All that was carried.
    pub carried: Carried,
    /// What one cost, beyond what is carried when it is idle.
    pub each: Carried,
}

impl Phase {
    /// Makes one of `count` things in a window, of which `own` is what they caused.
    pub(super) fn new(name: &str, window: &Window, count: f64, own: &Carried) -> Self {
        let each = Carried::sum([(1.0 / count, own)]);
        let (name, seconds, carried) = (name.to_owned(), window.seconds, window.carried.clone());
        Self { name, seconds, count, carried, each }
    }

    /// Returns what it is shown as the cost of, and of how many.
    fn shown(&self) -> (String, f64) {
        match self.name.as_str() {
            "empty" => ("empty cluster, a second".to_owned(), 1.0),
            "login" => ("login".to_owned(), 1.0),
            "idle" => ("1000 idle sessions, a second".to_owned(), 1000.0),
            "subscribe" => ("subscribing of a session".to_owned(), 1.0),
            "busy" => ("change under load".to_owned(), 1.0),
            change => (
                change
                    .replace('_', " ")
                    .replace(" 1 watchers", " 1 watcher")
                    .replace(" 1 gateways", " 1 gateway"),
                1.0,
            ),
        }
    }
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            sessions: options.sessions,
            subscriptions: options.subscriptions,
            rate: options.rate,
            partitions: options.partitions,
            phases: Vec::new(),
            missing: 0,
            missing_examples: String::new(),
        }
    }

    /// Adds a phase.
    pub(super) fn add(&mut self, phase: Phase) {
        self.phases.push(phase);
    }

    /// Notes how many last states are missing, and some of them in words.
    pub(super) fn missing(&mut self, count: usize, examples: String) {
        (self.missing, self.missing_examples) = (count, examples);
    }

    /// Returns a phase by its name.
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// Fails if a watcher was not shown a last state.
    pub fn verdict(&self) -> anyhow::Result<()> {
        crate::output::verdict(self.missing, &self.missing_examples)
    }

    /// Writes the result as tables.
    pub fn to_table(&self) -> String {
        let Self { sessions, subscriptions, rate, partitions, missing, .. } = self;
        let mut text = format!(
            "{sessions} sessions on 2 gateways, {partitions} partitions; under load {rate} changes a second with \
             {subscriptions} watchers each\n\n"
        );
        text += &table(&self.total_rows());
        text += "\nCommands sent to Redis\n";
        text += &table(&self.rows_by_name(|carried| &carried.redis_sent));
        text += "\nCalls of the services to the store\n";
        text += &table(&self.rows_by_name(|carried| &carried.store_calls));
        // Writing to a string never fails.
        let _ = writeln!(text, "\n{missing} last states missing");
        text
    }

    fn total_rows(&self) -> Vec<Vec<String>> {
        let columns = [
            "each",
            "Redis: sent",
            "in scripts",
            "CPU us",
            "bytes in",
            "bytes out",
            "NATS: msgs in",
            "msgs out",
            "bytes in",
            "bytes out",
        ];
        let mut rows = vec![columns.map(str::to_owned).to_vec()];
        for phase in &self.phases {
            let (name, times) = phase.shown();
            let each = &phase.each;
            let values = [
                each.redis_commands(),
                each.redis_in_scripts,
                each.redis_cpu_us,
                each.redis_bytes_in,
                each.redis_bytes_out,
                each.nats_messages_in,
                each.nats_messages_out,
                each.nats_bytes_in,
                each.nats_bytes_out,
            ];
            rows.push([vec![name], values.map(|value| number(value * times)).to_vec()].concat());
        }
        rows
    }

    /// A row for each phase, a column for each name of which there is any.
    fn rows_by_name(
        &self,
        of: impl Fn(&Carried) -> &std::collections::BTreeMap<String, f64>,
    ) -> Vec<Vec<String>> {
        let all = self.phases.iter().flat_map(|phase| of(&phase.carried));
        let names: BTreeSet<&String> = all.filter(|(_, count)| **count > 0.0).map(|(name, _)| name).collect();
        let head = ["each".to_owned()].into_iter().chain(names.iter().map(|name| (*name).clone()));
        let mut rows = vec![head.collect()];
        for phase in &self.phases {
            let (title, times) = phase.shown();
            let each = of(&phase.each);
            let values =
                names.iter().map(|name| number(each.get(*name).copied().unwrap_or_default() * times));
            rows.push([title].into_iter().chain(values).collect());
        }
        rows
    }
}

/// Writes a count with two decimals where they tell something.
fn number(value: f64) -> String {
    // No minus before a zero.
    let value = if value.abs() < 0.005 { 0.0 } else { value };
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.004, -0.004, 0.125, -3.0, 1234.5].map(number),
            ["0.00", "0.00", "0.12", "-3.00", "1234"]
        );
    }
}
