//! What can go wrong between a call and its record.

use std::error::Error as _;

use rollcall_domain::code::{Code, Refusal};
use tracing::{debug, error, warn};

use crate::codec;

/// Says why a record was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store gave no answer; whether a commit was applied is not known.
    #[error(transparent)]
    Store(#[from] rollcall_store::Error),
    /// The last moment of the call had passed before its change was stored; it has no effect, now or later.
    #[error("the change was not stored before the last moment of its call")]
    Late,
    /// Others changed the record each time before our commit came.
    #[error("the record was changed by others {attempts} times in a row, gave up")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The record does not decode.
    #[error("the record of a {kind} cannot be read")]
    Unreadable {
        /// What it is a record of.
        kind: &'static str,
        /// Why not.
        #[source]
        source: codec::Error,
    },
}

impl Error {
    pub(crate) fn unreadable(kind: &'static str) -> impl FnOnce(codec::Error) -> Self {
        move |source| Self::Unreadable { kind, source }
    }

    /// Returns what the caller is told: the rules' refusal as it is, 6012 where the call's time has passed, else
    /// 70169 where trying again helps, and 70500 where it does not.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Store(_) | Self::Contended { .. } => {
                Refusal::new(Code::ServerTimeout, "the store did not serve the call in time, try again")
            }
            Self::Late => Refusal::new(Code::Timeout, "the call was not served in time, and takes no effect"),
            Self::Unreadable { .. } => Refusal::new(Code::Internal, "a stored record cannot be read"),
        }
    }

    /// Logs why a call failed: what the rules refuse is of interest to nobody, a store that is away to its
    /// operator, and a record that cannot be read must be looked at.
    pub fn log(&self) {
        match self {
            Self::Refused(refusal) => debug!(code = refusal.code.number(), "refused a call"),
            Self::Store(_) | Self::Late | Self::Contended { .. } => warn!(error = %self, "failed a call"),
            Self::Unreadable { source, .. } => {
                let cause = source.source().map(tracing::field::display);
                error!(error = %self, detail = %source, cause, "failed a call");
            }
        }
    }
}
