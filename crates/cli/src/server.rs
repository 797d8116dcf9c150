//! The servers whose gRPC services operators call: how to connect to one, and how a call of it ends.

use std::{fs, path::Path};

use rollcall_proto::{refusal, role::Role};
use tonic::{
    Request, Response, Status,
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{
    args::{AdminOptions, CallOptions, FeedOptions, FriendOptions, Secret},
    failure::Failure,
};

/// A server: where it is, and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    /// What it must be by its certificate, whatever its address.
    role: Role,
    address: &'a str,
    /// The option that names the address.
    option: &'static str,
    /// The token of a credential, where it asks for one.
    token: Option<&'a Secret>,
    call: &'a CallOptions,
}

impl AdminOptions {
    /// Returns the server of apps and users.
    pub(crate) fn server(&self) -> Server<'_> {
        let (address, option) = (self.admin.as_str(), "--admin");
        Server { role: Role::Presence, address, option, token: self.admin_token.as_ref(), call: &self.call }
    }
}

impl FriendOptions {
    /// Returns the server of friends.
    pub(crate) fn server(&self) -> Server<'_> {
        let (address, option) = (self.subscription.as_str(), "--subscription");
        Server { role: Role::Subscription, address, option, token: None, call: &self.call }
    }
}

impl FeedOptions {
    /// Returns the server of the feed.
    pub(crate) fn server(&self) -> Server<'_> {
        let (address, option) = (self.notifier.as_str(), "--notifier");
        Server { role: Role::Notifier, address, option, token: None, call: &self.call }
    }
}

impl Server<'_> {
    /// Connects to it.
    pub(crate) async fn connect(self) -> Result<Channel, Failure> {
        let unreachable = |error: tonic::transport::Error| self.unreachable(&error);
        let mut endpoint = Endpoint::from_shared(self.address.to_owned()).map_err(unreachable)?;
        if let Some(tls) = self.tls()? {
            endpoint = endpoint.tls_config(tls).map_err(unreachable)?;
        }
        endpoint.connect_timeout(self.call.timeout).connect().await.map_err(unreachable)
    }

    /// Makes a request with the deadline and the token of the options.
    pub(crate) fn request<T>(self, message: T) -> Result<Request<T>, Failure> {
        let mut request = Request::new(message);
        request.set_timeout(self.call.timeout);
        if let Some(Secret(token)) = self.token {
            // The text is not repeated: it is secret.
            let value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
                Failure::Usage(
                    "--admin-token is malformed, expected what `rollcallctl admin-token` printed".to_owned(),
                )
            })?;
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }

    /// Reads how a call ended. A connection that ends with it was refused, by TLS it may be at the first call only.
    pub(crate) fn outcome<T>(
        self,
        what: &'static str,
        ended: Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        ended.map(Response::into_inner).map_err(|status| match std::error::Error::source(&status) {
            Some(error) if !error.is::<tonic::TimeoutExpired>() => self.unreachable(error),
            _ => Failure::refused(what)(refusal::from_status(&status)),
        })
    }

    fn unreachable(self, error: &dyn std::error::Error) -> Failure {
        let (address, option) = (self.address.to_owned(), self.option);
        Failure::Unreachable { address, option, reason: root_cause(error) }
    }

    /// Reads the certificates to connect with.
    fn tls(self) -> Result<Option<ClientTlsConfig>, Failure> {
        let Self { address, option, .. } = self;
        let is_https = address.starts_with("https://");
        let CallOptions { ca: Some(ca), cert: Some(cert), cert_key: Some(key), .. } = self.call else {
            let missing = "expected --ca, --cert and --cert-key with it; `rollcallctl certs` makes them";
            return if is_https {
                Err(Failure::Usage(format!("{option} is {address}, {missing}")))
            } else {
                Ok(None)
            };
        };
        if !is_https {
            return Err(Failure::Usage(format!("{option} is {address}, expected https:// with --ca")));
        }
        let ca = Certificate::from_pem(read(ca)?);
        let identity = Identity::from_pem(read(cert)?, read(key)?);
        let name = self.role.dns_name();
        Ok(Some(ClientTlsConfig::new().ca_certificate(ca).identity(identity).domain_name(name)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::File {
        path: path.display().to_string(),
        problem: format!("{error}, expected a file in PEM as `rollcallctl certs` writes it"),
    })
}

/// Returns the innermost reason, which is the one that says something.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
