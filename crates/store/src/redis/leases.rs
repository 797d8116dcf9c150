//! Leases: one hash for all, and one script for all steps.

use std::collections::BTreeMap;

use bytes::Bytes;
use redis::Cmd;
use rollcall_domain::id::BootId;
use tracing::warn;

use super::{Shared, keys, script::Script};
use crate::port::{Error, LEASES_MAX, Lease, Nonce, Opening, Renewal, TokenHash};

impl Shared {
    /// Opens the lease of a new boot.
    pub(super) async fn open_lease(&self, boot: BootId, token: TokenHash) -> Result<Opening, Error> {
        let limit = LEASES_MAX.to_string();
        match self.step("open", boot, &[&token.0, limit.as_bytes()]).await? {
            0 => Ok(Opening::Taken),
            1 => Ok(Opening::Opened),
            2 => Ok(Opening::Full),
            other => Err(unexpected(other)),
        }
    }

    /// Writes the nonce of a report.
    pub(super) async fn renew_lease(
        &self,
        boot: BootId,
        token: TokenHash,
        nonce: Nonce,
    ) -> Result<Renewal, Error> {
        match self.step("renew", boot, &[&token.0, &nonce.0.to_le_bytes()]).await? {
            0 => Ok(Renewal::Dead),
            1 => Ok(Renewal::Live),
            2 => Ok(Renewal::WrongToken),
            other => Err(unexpected(other)),
        }
    }

    /// Retires the lease by its token; false if that is another one.
    pub(super) async fn retire_lease(&self, boot: BootId, token: TokenHash) -> Result<bool, Error> {
        yes_or_no(self.step("retire", boot, &[&token.0]).await?)
    }

    /// Lists all leases in the order of the boots.
    pub(super) async fn leases(&self) -> Result<Vec<Lease>, Error> {
        let mut command = redis::cmd("HGETALL");
        command.arg(keys::LEASES);
        let stored: Vec<(Bytes, Bytes)> = self.connection.ask(&command).await?;
        let mut leases = BTreeMap::new();
        for (boot, value) in &stored {
            if let Some(lease) = keys::read_lease(boot, value) {
                leases.insert(lease.boot, lease);
            } else {
                warn!("passed over a lease that cannot be read");
            }
        }
        Ok(leases.into_values().collect())
    }

    /// Kills a live lease that has this nonce, and says whether it did.
    pub(super) async fn kill_lease(&self, boot: BootId, nonce: Nonce) -> Result<bool, Error> {
        yes_or_no(self.step("kill", boot, &[&nonce.0.to_le_bytes()]).await?)
    }

    /// Forgets a lease that is not live, and says whether it did.
    pub(super) async fn forget_lease(&self, boot: BootId) -> Result<bool, Error> {
        yes_or_no(self.step("forget", boot, &[]).await?)
    }

    /// Runs the script of a step with the arguments after the boot, as `lease.lua` numbers them.
    async fn step(&self, step: &str, boot: BootId, arguments: &[&[u8]]) -> Result<u64, Error> {
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(keys::LEASES).arg(step).arg(keys::lease(boot));
            for argument in arguments {
                command.arg(argument);
            }
        };
        self.connection.run(Script::Lease, fill).await
    }
}

fn yes_or_no(reply: u64) -> Result<bool, Error> {
    match reply {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unexpected(other)),
    }
}

fn unexpected(reply: u64) -> Error {
    Error::Unavailable(format!("unexpected reply to a step of a lease: {reply}"))
}
