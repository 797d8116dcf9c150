//! What the processes of a server used between two looks.

use std::time::{Duration, Instant};

use crate::usage::Process;

/// What a process used in a phase.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Processor time.
    pub(super) cpu: Duration,
    /// Memory in RAM at the end, in bytes.
    pub(super) resident_bytes: u64,
}

/// What a server used in a phase.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    /// How long it took.
    pub(super) wall: Duration,
    /// What the process that holds the connections used.
    pub(super) own: Used,
    /// What the processes behind it used, in their order.
    pub(super) others: Vec<Used>,
}

/// Reads the processes of a server at the ends of phases.
#[derive(Debug)]
pub(super) struct Meter {
    own: Reader,
    others: Vec<Reader>,
    at: Instant,
}

#[derive(Debug)]
struct Reader {
    process: Process,
    cpu: Duration,
}

impl Meter {
    /// Begins the first phase of the process that holds the connections, and of those behind it.
    pub(super) fn begin(own: u32, others: impl IntoIterator<Item = u32>) -> anyhow::Result<Self> {
        let others = others.into_iter().map(Reader::begin);
        let others = others.collect::<anyhow::Result<_>>()?;
        Ok(Self { own: Reader::begin(own)?, others, at: Instant::now() })
    }

    /// Ends a phase and begins the next.
    pub(super) fn phase(&mut self) -> anyhow::Result<Phase> {
        let own = self.own.used()?;
        let others = self.others.iter_mut().map(Reader::used).collect::<anyhow::Result<_>>()?;
        let at = Instant::now();
        let wall = at - std::mem::replace(&mut self.at, at);
        Ok(Phase { wall, own, others })
    }

    /// Returns the most memory that the process which holds the connections ever had in RAM, in bytes.
    pub(super) fn peak_bytes(&self) -> anyhow::Result<u64> {
        Ok(self.own.process.resident()?.peak)
    }
}

impl Reader {
    fn begin(pid: u32) -> anyhow::Result<Self> {
        let mut process = Process::new(pid);
        Ok(Self { cpu: process.cpu()?, process })
    }

    /// Returns what was used since the last time.
    fn used(&mut self) -> anyhow::Result<Used> {
        let cpu = self.process.cpu()?;
        let used = cpu.saturating_sub(std::mem::replace(&mut self.cpu, cpu));
        Ok(Used { cpu: used, resident_bytes: self.process.resident()?.now })
    }
}

impl Phase {
    /// Adds the same phase of a later time.
    pub(super) fn append(&mut self, later: &Self) {
        let add = |used: &mut Used, later: &Used| {
            used.cpu += later.cpu;
            used.resident_bytes = later.resident_bytes;
        };
        self.wall += later.wall;
        add(&mut self.own, &later.own);
        self.others.iter_mut().zip(&later.others).for_each(|(used, later)| add(used, later));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_and_memory_is_that_of_the_last() {
        let used = |millis, resident_bytes| Used { cpu: Duration::from_millis(millis), resident_bytes };
        let phase = |wall, own, other| Phase { wall, own, others: vec![other] };
        let mut sum = phase(Duration::from_secs(1), used(1, 10), used(2, 20));
        sum.append(&phase(Duration::from_secs(2), used(3, 11), used(4, 19)));
        assert_eq!(sum.wall, Duration::from_secs(3));
        let read = |used: Used| (used.cpu.as_millis(), used.resident_bytes);
        assert_eq!((read(sum.own), read(sum.others[0])), ((4, 11), (6, 19)));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        Meter::begin(u32::MAX, []).unwrap_err();
    }
}
