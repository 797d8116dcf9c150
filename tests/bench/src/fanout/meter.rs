//! What the server and the generator used between two looks.

use std::time::{Duration, Instant};

use crate::usage::Process;

/// What a phase used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    /// How long it took.
    pub(super) wall: Duration,
    /// Processor time of the server.
    pub(super) server_cpu: Duration,
    /// Processor time of the generator.
    pub(super) generator_cpu: Duration,
    /// The server's memory in RAM at the end, in bytes.
    pub(super) resident_bytes: u64,
}

/// Reads both processes at the ends of phases.
#[derive(Debug)]
pub(super) struct Meter {
    server: Process,
    generator: Process,
    at: Instant,
    server_cpu: Duration,
    generator_cpu: Duration,
}

impl Meter {
    /// Begins the first phase.
    pub(super) fn begin(server: u32) -> anyhow::Result<Self> {
        let mut server = Process::new(server);
        let mut generator = Process::new(std::process::id());
        let (server_cpu, generator_cpu) = (server.cpu()?, generator.cpu()?);
        Ok(Self { server, generator, at: Instant::now(), server_cpu, generator_cpu })
    }

    /// Ends a phase and begins the next.
    pub(super) fn phase(&mut self) -> anyhow::Result<Phase> {
        let (server_cpu, generator_cpu, at) = (self.server.cpu()?, self.generator.cpu()?, Instant::now());
        let phase = Phase {
            wall: at - self.at,
            server_cpu: server_cpu.saturating_sub(self.server_cpu),
            generator_cpu: generator_cpu.saturating_sub(self.generator_cpu),
            resident_bytes: self.server.resident()?.now,
        };
        (self.server_cpu, self.generator_cpu, self.at) = (server_cpu, generator_cpu, at);
        Ok(phase)
    }

    /// Returns the server's memory in RAM now, and the most there ever was, in bytes.
    pub(super) fn resident(&self) -> anyhow::Result<(u64, u64)> {
        let resident = self.server.resident()?;
        Ok((resident.now, resident.peak))
    }
}
