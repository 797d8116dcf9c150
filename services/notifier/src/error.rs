//! Errors of the service, why a stream ends, and what that is over gRPC.

use rollcall_domain::code::{Code, Refusal};
use rollcall_proto::refusal;
use tonic::Status;

/// Says why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its server cannot be set up, or failed.
    #[error(transparent)]
    Runtime(#[from] rollcall_runtime::Error),
}

/// Says why a gateway's stream ends, or never began.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamEnd {
    /// An id of a batch is malformed.
    #[error("batch {batch} names a user that is none: {}", .refusal.message)]
    BadUser {
        /// The batch.
        batch: u64,
        /// What is wrong with the id.
        refusal: Refusal,
    },
    /// The batches are not in order.
    #[error("batch {found} came after {last}, expected a greater one")]
    BadBatch {
        /// The batch that came.
        found: u64,
        /// The one before; 0 for none.
        last: u64,
    },
    /// The gateway asks for more users than a stream may have.
    #[error("interest in more than {limit} users, expected at most that many on one stream")]
    TooManyUsers {
        /// The greatest number.
        limit: usize,
    },
    /// The gateway closed its side.
    #[error("the gateway left")]
    Left,
    /// The gateway could not be read from any more.
    #[error("the gateway's side of the stream failed")]
    Broken,
    /// Changes are not heard at the moment, or some may have been missed.
    #[error("the bus is not heard, attach again")]
    BusLost,
    /// The notifier stops.
    #[error("the notifier stops, attach to another")]
    Stopping,
}

impl From<&StreamEnd> for Status {
    fn from(end: &StreamEnd) -> Self {
        let message = end.to_string();
        match end {
            StreamEnd::BadUser { refusal, .. } => refused(refusal.code, message),
            StreamEnd::BadBatch { .. } | StreamEnd::TooManyUsers { .. } => {
                refused(Code::InvalidParameter, message)
            }
            // Nobody is left to read it.
            StreamEnd::Left | StreamEnd::Broken => Self::cancelled(message),
            StreamEnd::BusLost | StreamEnd::Stopping => refused(Code::ServerTimeout, message),
        }
    }
}

fn refused(code: Code, message: String) -> Status {
    refusal::to_status(&Refusal::new(code, message))
}

#[cfg(test)]
mod tests {
    use rollcall_proto::convert;
    use tonic::Code;

    use super::*;

    #[test]
    fn a_gateway_may_attach_again_only_where_that_helps() {
        let refusal = convert::user_id("").unwrap_err();
        for (end, code) in [
            (StreamEnd::BadUser { batch: 1, refusal }, Code::InvalidArgument),
            (StreamEnd::BadBatch { found: 1, last: 1 }, Code::InvalidArgument),
            (StreamEnd::TooManyUsers { limit: 1 }, Code::InvalidArgument),
            (StreamEnd::BusLost, Code::Unavailable),
            (StreamEnd::Stopping, Code::Unavailable),
        ] {
            assert_eq!(Status::from(&end).code(), code, "{end}");
        }
    }
}
