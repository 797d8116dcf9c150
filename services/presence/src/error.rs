//! Errors of the service, and what a failed call is over gRPC.

use std::error::Error as _;

use rollcall_domain::code::Refusal;
use rollcall_proto::refusal;
use rollcall_records::Error as RecordError;
use tonic::Status;
use tracing::{debug, error, warn};

/// Says why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of it cannot be set up, or failed.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
}

/// Writes the refusal of a call that was malformed.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    refusal::to_status(refusal)
}

/// Logs why a call failed, if it was not by the rules, and writes what its caller is told.
pub(crate) fn failed(failure: &RecordError) -> Status {
    match failure {
        RecordError::Refused(refusal) => debug!(code = refusal.code.number(), "refused a call"),
        RecordError::Store(_) | RecordError::Contended { .. } => warn!(error = %failure, "failed a call"),
        RecordError::Unreadable { source, .. } => {
            error!(error = %failure, cause = %source, detail = source.source().map(tracing::field::display), "failed a call");
        }
    }
    refused(&failure.refusal())
}
