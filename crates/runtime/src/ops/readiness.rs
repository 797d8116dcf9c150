//! Whether a process can do its work, as its parts tell.

use std::sync::Arc;

use parking_lot::Mutex;

/// What every part says before it says anything else.
const STARTING: &str = "starting";

/// Whether a process is ready: when all of its parts are, and there is one. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<State>>>);

/// One part's say in it. Clones are the same part.
#[derive(Debug, Clone)]
pub struct Part {
    readiness: Readiness,
    place: usize,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    /// Why the part is not ready; `None` when it is.
    reason: Option<&'static str>,
}

impl Readiness {
    /// Adds a part, which is not ready: it is starting.
    pub fn part(&self, name: &'static str) -> Part {
        let mut parts = self.0.lock();
        parts.push(State { name, reason: Some(STARTING) });
        Part { readiness: self.clone(), place: parts.len() - 1 }
    }

    /// Lists why the process is not ready, a line for each part that is not; none if it is ready.
    pub fn reasons(&self) -> Vec<String> {
        let parts = self.0.lock();
        if parts.is_empty() {
            return vec![format!("process: {STARTING}")];
        }
        let unready = parts.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.reason?)));
        unready.collect()
    }
}

impl Part {
    /// Says that the part can do its work.
    pub fn ready(&self) {
        self.set(None);
    }

    /// Says that it can't, and why in a few words.
    pub fn not_ready(&self, reason: &'static str) {
        self.set(Some(reason));
    }

    fn set(&self, reason: Option<&'static str>) {
        if let Some(part) = self.readiness.0.lock().get_mut(self.place) {
            part.reason = reason;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are() {
        let readiness = Readiness::default();
        assert_eq!(readiness.reasons(), ["process: starting"]);
        let (gateway, presence) = (readiness.part("gateway"), readiness.part("presence"));
        presence.ready();
        gateway.not_ready("not registered with presence");
        assert_eq!(readiness.reasons(), ["gateway: not registered with presence"]);
        gateway.ready();
        assert_eq!(readiness.reasons(), [""; 0]);
    }
}
