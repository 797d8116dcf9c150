//! Who a process is to the others: the role that its certificate names, and which roles may call which service.
//!
//! A certificate names its role as a DNS name of a domain that is never resolved. Who dials checks that name, and not
//! the address, so that certificates need not know hosts.

use std::{fmt, str::FromStr};

use crate::{admin, event, gateway, notifier, presence, subscription};

/// What stands behind the name of a role in a certificate.
pub const DOMAIN: &str = "rollcall.internal";

/// The service by which tools ask what a server serves.
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

/// What a process is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A gateway.
    Gateway,
    /// An instance of presence.
    Presence,
    /// An instance of subscription.
    Subscription,
    /// A notifier.
    Notifier,
    /// The backend of an app.
    Backend,
    /// Who runs the system.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Presence, Self::Subscription, Self::Notifier, Self::Backend, Self::Operator];

    /// Returns the name, as in `presence`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Presence => "presence",
            Self::Subscription => "subscription",
            Self::Notifier => "notifier",
            Self::Backend => "backend",
            Self::Operator => "operator",
        }
    }

    /// Returns the name that its certificates carry, as in `presence.rollcall.internal`.
    pub fn dns_name(self) -> String {
        format!("{}.{DOMAIN}", self.name())
    }

    /// Says whether it is a service of ours, which serves gRPC. The others only call.
    pub const fn is_service(self) -> bool {
        !matches!(self, Self::Backend | Self::Operator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
            format!("role {name:?} is not known, expected {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// Returns the roles that may call a service, named as in `rollcall.admin.v1.AdminService`; none of one that is not
/// known. Health is not asked about: whoever has a certificate may call it.
pub fn callers(service: &str) -> &'static [Role] {
    match service {
        gateway::v1::gateway_service_server::SERVICE_NAME
        | notifier::v1::notifier_service_server::SERVICE_NAME => &[Role::Gateway],
        presence::v1::presence_service_server::SERVICE_NAME
        | subscription::v1::subscription_service_server::SERVICE_NAME => &[Role::Gateway, Role::Backend],
        presence::v1::last_online_service_server::SERVICE_NAME => &[Role::Subscription],
        event::v1::event_service_server::SERVICE_NAME
        | presence::v1::user_service_server::SERVICE_NAME
        | subscription::v1::friend_service_server::SERVICE_NAME => &[Role::Backend, Role::Operator],
        admin::v1::admin_service_server::SERVICE_NAME | REFLECTION => &[Role::Operator],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_by_its_name_and_another_name_is_refused_with_those_that_are_known() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(role.dns_name(), format!("{role}.rollcall.internal"));
        }
        let refused = "Operator".parse::<Role>().unwrap_err();
        assert!(refused.contains("\"Operator\"") && refused.contains("backend, operator"), "{refused}");
    }

    // ATTACK X15
    #[test]
    fn each_service_has_callers_and_what_is_no_service_has_none() {
        assert_eq!(callers("rollcall.gateway.v1.GatewayService"), [Role::Gateway]);
        assert_eq!(callers("rollcall.notifier.v1.NotifierService"), [Role::Gateway]);
        assert_eq!(callers("rollcall.presence.v1.PresenceService"), [Role::Gateway, Role::Backend]);
        assert_eq!(callers("rollcall.subscription.v1.SubscriptionService"), [Role::Gateway, Role::Backend]);
        assert_eq!(callers("rollcall.presence.v1.LastOnlineService"), [Role::Subscription]);
        assert_eq!(callers("rollcall.presence.v1.UserService"), [Role::Backend, Role::Operator]);
        assert_eq!(callers("rollcall.event.v1.EventService"), [Role::Backend, Role::Operator]);
        assert_eq!(callers("rollcall.subscription.v1.FriendService"), [Role::Backend, Role::Operator]);
        assert_eq!(callers("rollcall.admin.v1.AdminService"), [Role::Operator]);
        assert_eq!(callers("grpc.reflection.v1.ServerReflection"), [Role::Operator]);
        for other in ["", "rollcall.admin.v1.AdminServic", "grpc.reflection.v1alpha.ServerReflection"] {
            assert_eq!(callers(other), []);
        }
    }
}
