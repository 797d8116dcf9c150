//! Authorities, certificates, and servers and clients that have them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rollcall_proto::{
    admin::v1::{GetAppRequest, admin_service_client::AdminServiceClient},
    role::Role,
};
use rollcall_runtime::{
    grpc::{Listener, serve},
    shutdown::{CancellationToken, DropGuard},
    tls::{Config, Tls},
};
use tonic::{
    Status,
    service::Routes,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// An authority with a folder of its own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), folder }
    }

    /// Signs a certificate of a role.
    pub(crate) fn sign(&self, role: Role) -> Signed {
        self.sign_with(&[&role.dns_name()], |_| ())
    }

    /// Signs a certificate that ended years ago.
    pub(crate) fn sign_expired(&self, role: Role) -> Signed {
        self.sign_with(&[&role.dns_name()], |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    pub(crate) fn sign_with(&self, names: &[&str], alter: impl FnOnce(&mut CertificateParams)) -> Signed {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        alter(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }

    /// Writes the files of a process, under a name of its own.
    pub(crate) fn write(&self, name: &str, signed: &Signed) -> Config {
        let file = |kind: &str, text: &str| {
            let path = self.folder.join(format!("{name}.{kind}"));
            fs::write(&path, text).unwrap();
            path
        };
        Config {
            off: false,
            ca: file("ca", &self.pem),
            certificate: file("pem", &signed.certificate),
            key: file("key", &signed.key),
        }
    }

    /// Makes what a process of a role has.
    pub(crate) fn tls(&self, role: Role) -> Tls {
        Tls::load(&self.write(role.name(), &self.sign(role)), role).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A server that has no services, which is what it says to who may call one.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    pub(crate) fn start(tls: Tls) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().secured(tls);
        let address = listener.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Routes::default(), &[], stop.clone()));
        Self { address, _stop: stop.drop_guard() }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Makes a channel with tonic's own TLS, to a server of this name.
    pub(crate) fn channel(&self, authority: &str, name: &str, own: Option<&Signed>) -> Channel {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name(name);
        if let Some(Signed { certificate, key }) = own {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(self.url()).unwrap().tls_config(tls).unwrap().connect_lazy()
    }
}

/// Calls the admin service, which is for operators.
pub(crate) async fn call_admin(channel: Channel) -> Status {
    AdminServiceClient::new(channel).get_app(GetAppRequest { app_id: 1 }).await.unwrap_err()
}
