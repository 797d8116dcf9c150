//! Certificates of a deployment, as an operator makes them, and channels of those who have one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rollcall_proto::role::Role;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::rollcall::binary;

/// An authority and a certificate for each role, in a folder.
#[derive(Debug, Clone)]
pub struct Certs(PathBuf);

impl Certs {
    /// Makes them with `rollcallctl certs`.
    pub fn make(folder: &Path) -> Self {
        let made = Command::new(binary("rollcallctl")).arg("certs").arg(folder).output();
        let made = made.expect("rollcallctl can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(folder.to_owned())
    }

    /// Returns the section of a process of a role.
    pub(crate) fn section(&self, role: &str) -> String {
        let [ca, certificate, key] = [self.file("ca.pem"), self.pem(role), self.key(role)]
            .map(|path| format!("{:?}", path.display().to_string()));
        format!("[tls]\nca = {ca}\ncertificate = {certificate}\nkey = {key}\n")
    }

    /// Makes a channel to a server of a role, as who has the certificate of another role: `None` has no certificate,
    /// and it may be of other certificates than these, which say whom to trust.
    pub fn channel(&self, server: Role, address: &str, caller: Option<(&Self, Role)>) -> Channel {
        let read = |path: PathBuf| fs::read(path).expect("a certificate can be read");
        let ca = Certificate::from_pem(read(self.file("ca.pem")));
        let mut tls = ClientTlsConfig::new().ca_certificate(ca).domain_name(server.dns_name());
        if let Some((certs, role)) = caller {
            let (certificate, key) = (read(certs.pem(role.name())), read(certs.key(role.name())));
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address is a URI");
        endpoint.tls_config(tls).expect("certificates are well formed").connect_lazy()
    }

    /// Returns the options by which `rollcallctl` shows the certificate of an operator.
    pub fn options(&self) -> Vec<String> {
        let files = [
            ("--ca", self.file("ca.pem")),
            ("--cert", self.pem("operator")),
            ("--cert-key", self.key("operator")),
        ];
        files.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()]).collect()
    }

    fn pem(&self, role: &str) -> PathBuf {
        self.file(&format!("{role}.pem"))
    }

    fn key(&self, role: &str) -> PathBuf {
        self.file(&format!("{role}.key"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
