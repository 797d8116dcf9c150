//! Errors of the service, and what a failed call is over gRPC.

use rollcall_proto::refusal;
use rollcall_records::Error as RecordError;
use tonic::Status;

/// Says why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of it cannot be set up, or failed.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
}

/// Logs why a call failed, and writes what its caller is told.
pub(crate) fn failed(failure: &RecordError) -> Status {
    failure.log();
    refusal::to_status(&failure.refusal())
}
