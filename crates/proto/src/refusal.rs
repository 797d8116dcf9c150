//! Refusals over gRPC: the canonical code, the number of SPEC K as the reason of a `google.rpc.ErrorInfo`, and a
//! `google.rpc.RetryInfo` where it is known when to try again.

use std::collections::HashMap;

use rollcall_domain::code::{Code, Grpc, Refusal};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of our `ErrorInfo`s.
const DOMAIN: &str = "rollcall";

/// Writes a refusal as a gRPC status.
pub fn to_status(refusal: &Refusal) -> tonic::Status {
    let code = match refusal.code.grpc() {
        Grpc::Ok => tonic::Code::Ok,
        Grpc::InvalidArgument => tonic::Code::InvalidArgument,
        Grpc::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Grpc::NotFound => tonic::Code::NotFound,
        Grpc::AlreadyExists => tonic::Code::AlreadyExists,
        Grpc::PermissionDenied => tonic::Code::PermissionDenied,
        Grpc::ResourceExhausted => tonic::Code::ResourceExhausted,
        Grpc::FailedPrecondition => tonic::Code::FailedPrecondition,
        Grpc::Aborted => tonic::Code::Aborted,
        Grpc::Internal => tonic::Code::Internal,
        Grpc::Unavailable => tonic::Code::Unavailable,
        Grpc::Unauthenticated => tonic::Code::Unauthenticated,
    };
    let mut details =
        ErrorDetails::with_error_info(refusal.code.number().to_string(), DOMAIN, HashMap::new());
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    tonic::Status::with_error_details(code, refusal.message.to_string(), details)
}

/// Reads a refusal from a gRPC status. A status that is not ours becomes a time-out (6012) when the deadline
/// passed, a server time-out (70169) when the service could not be reached, and internal (70500) else. Who was refused
/// for the role that the certificate names reads why.
pub fn from_status(status: &tonic::Status) -> Refusal {
    let ours = status
        .get_details_error_info()
        .filter(|info| info.domain == DOMAIN)
        .and_then(|info| info.reason.parse().ok())
        .and_then(Code::from_number);
    let (code, message) = match (ours, status.code()) {
        (Some(code), _) => (code, status.message().to_owned()),
        (None, tonic::Code::DeadlineExceeded | tonic::Code::Cancelled) => {
            (Code::Timeout, "the call was not answered in time".to_owned())
        }
        (None, tonic::Code::Unavailable) => {
            (Code::ServerTimeout, "a service cannot be reached, try again".to_owned())
        }
        (None, tonic::Code::PermissionDenied) => (Code::Internal, status.message().to_owned()),
        (None, _) => (Code::Internal, "a service failed".to_owned()),
    };
    let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Refusal { retry_after, ..Refusal::new(code, message) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // SPEC K
    #[test]
    fn every_refusal_survives_grpc() {
        for code in Code::ALL.iter().copied().filter(|code| *code != Code::Ok) {
            let refusal = Refusal::new(code, "what was wrong, what was expected");
            assert_eq!(from_status(&to_status(&refusal)), refusal);
            let refusal = Refusal { retry_after: Some(Duration::from_micros(1_500)), ..refusal };
            assert_eq!(from_status(&to_status(&refusal)), refusal);
        }
    }

    #[test]
    fn a_foreign_status_leaks_no_text() {
        let refusal = from_status(&tonic::Status::unknown("secret"));
        assert_eq!(refusal.code, Code::Internal);
        assert!(!refusal.message.contains("secret"));
    }
}
