//! Who is at the other end of a connection that was taken.

use rollcall_proto::role::{Role, callers};
use tokio_rustls::rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};
use tonic::Status;

/// The roles that the certificate of a peer names; none, of one that shows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer(Vec<Role>);

impl Peer {
    /// Reads the certificates of a peer. They were verified in the handshake.
    pub(crate) fn of(certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let own = certificates.and_then(<[_]>::first);
        let Some(Ok(own)) = own.map(ParsedCertificate::try_from) else { return Self::default() };
        let names = |role: &Role| {
            ServerName::try_from(role.dns_name()).is_ok_and(|name| verify_server_name(&own, &name).is_ok())
        };
        Self(Role::ALL.into_iter().filter(names).collect())
    }

    /// Returns the roles as `operator`, or `gateway+presence` of several; `None` without any.
    pub(crate) fn named(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| listed(&self.0, "+"))
    }

    /// Refuses a call of a service that is for other roles.
    pub(crate) fn check(&self, service: &str) -> Result<(), Status> {
        let expected = callers(service);
        if self.0.iter().any(|role| expected.contains(role)) {
            return Ok(());
        }
        let (found, expected) = (listed(&self.0, " and "), listed(expected, " or "));
        Err(Status::permission_denied(format!(
            "{service} is not for who called: the certificate names {found}, expected {expected}"
        )))
    }
}

fn listed(roles: &[Role], between: &str) -> String {
    if roles.is_empty() {
        return "no role".to_owned();
    }
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    // ATTACK X15
    #[test]
    fn a_refusal_names_the_roles_found_and_those_expected() {
        let said = |roles: &[Role], service| Peer(roles.to_vec()).check(service).unwrap_err();
        let status = said(&[Role::Backend], "rollcall.admin.v1.AdminService");
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(
            status.message(),
            "rollcall.admin.v1.AdminService is not for who called: the certificate names backend, expected operator"
        );
        assert!(
            said(&[], "rollcall.presence.v1.PresenceService")
                .message()
                .ends_with("no role, expected gateway or backend")
        );
        assert_eq!(Peer(vec![Role::Backend, Role::Operator]).named().as_deref(), Some("backend+operator"));
        assert_eq!(Peer::default().named(), None);
        assert!(said(&Role::ALL, "other").message().ends_with("expected no role"));
        assert!(Peer(vec![Role::Notifier, Role::Operator]).check("rollcall.admin.v1.AdminService").is_ok());
    }
}
