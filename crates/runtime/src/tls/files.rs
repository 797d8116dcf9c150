//! The files of certificates and keys: read, checked as peers will check them, and made into what takes and makes
//! connections.

use std::{path::Path, sync::Arc};

use rollcall_proto::role::Role;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};

use super::Config;
use crate::error::Error;

/// The protocol that is spoken below TLS.
const HTTP2: &[u8] = b"h2";
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];

/// What the files held when they were read.
pub(super) struct Files {
    authorities: Vec<CertificateDer<'static>>,
    certificates: Vec<CertificateDer<'static>>,
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Files {
    /// Reads and checks all files.
    pub(super) fn read(config: &Config, role: Role) -> Result<Self, Error> {
        let authorities = certificates("ca", &config.ca);
        let own = certificates("certificate", &config.certificate);
        let key = key(&config.key);
        match (authorities, own, key) {
            (Ok(authorities), Ok(own), Ok(key)) => {
                Self::new(config, role, authorities, own, key).map_err(|fault| Error::Config(vec![fault]))
            }
            (authorities, own, key) => {
                let faults = [authorities.err(), own.err(), key.err()];
                Err(Error::Config(faults.into_iter().flatten().collect()))
            }
        }
    }

    fn new(
        config: &Config,
        role: Role,
        authorities: Vec<CertificateDer<'static>>,
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = client_verifier(&config.ca, &authorities, &provider)?;
        let servers = server_verifier(&config.ca, &authorities, &provider)?;
        check(&config.certificate, role, &certificates, &*clients, &servers)?;

        let unfit = |error| {
            let path = config.key.display();
            format!("tls.key: {path}: {error}, expected the key of tls.certificate")
        };
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(unfit)?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates.clone(), key.clone_key())
            .map_err(unfit)?;
        server.alpn_protocols = vec![HTTP2.to_vec()];
        // A session that is resumed would not be checked again.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(unfit)?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(certificates.clone(), key)
            .map_err(unfit)?;
        client.alpn_protocols = vec![HTTP2.to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Self { authorities, certificates, server: Arc::new(server), client: Arc::new(client) })
    }

    /// Says whether both hold the same certificates; a key belongs to one.
    pub(super) fn same_certificates(&self, other: &Self) -> bool {
        self.authorities == other.authorities && self.certificates == other.certificates
    }
}

/// Makes what checks clients. Each must show a certificate.
fn client_verifier(
    path: &Path,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = roots(path, authorities)?;
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| no_authority(path, &error))
}

/// Makes what checks servers.
fn server_verifier(
    path: &Path,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let roots = roots(path, authorities)?;
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| no_authority(path, &error))
}

fn roots(path: &Path, authorities: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| no_authority(path, &error))?;
    }
    Ok(Arc::new(roots))
}

fn no_authority(path: &Path, error: &impl ToString) -> String {
    let (path, error) = (path.display(), error.to_string());
    format!("tls.ca: {path}: {error}, expected certificates of authorities")
}

/// Looks at our own certificate as peers will, so that who runs the process hears of it and not only they.
fn check(
    path: &Path,
    role: Role,
    certificates: &[CertificateDer<'static>],
    clients: &dyn ClientCertVerifier,
    servers: &WebPkiServerVerifier,
) -> Result<(), String> {
    let now = UnixTime::now();
    let name = role.dns_name();
    let refused = |error: String| {
        let path = path.display();
        format!(
            "tls.certificate: {path}: {error}, expected one that tls.ca has signed, for servers and clients, valid now, with the name {name}"
        )
    };
    let server_name = ServerName::try_from(name.as_str()).map_err(|error| refused(error.to_string()))?;
    let [own, between @ ..] = certificates else { return Err(refused("empty".to_owned())) };
    let as_server = servers.verify_server_cert(own, between, &server_name, &[], now).map(drop);
    let as_client = clients.verify_client_cert(own, between, now).map(drop);
    as_server.and(as_client).map_err(|error| refused(error.to_string()))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let refused = |error: &dyn ToString| {
        let (path, error) = (path.display(), error.to_string());
        format!("tls.{key}: {path}: {error}, expected certificates in PEM")
    };
    let text = std::fs::read(path).map_err(|error| refused(&error))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| refused(&error))?;
    if found.is_empty() { Err(refused(&"no certificate is in it")) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let refused = |error: &dyn ToString| {
        let (path, error) = (path.display(), error.to_string());
        format!("tls.key: {path}: {error}, expected a private key in PEM")
    };
    let text = std::fs::read(path).map_err(|error| refused(&error))?;
    // What is wrong inside is not told: it is secret.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| refused(&"no private key is in it"))
}
