//! The authority of a cluster, and the certificates that it signs: what `certs` makes, without its files.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rollcall_proto::role::Role;
use x509_parser::pem::parse_x509_pem;

/// How long before it is made a certificate is valid, for machines whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The time since the Unix epoch from which nobody trusts it any more.
    pub(crate) ends: Duration,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// The time since the Unix epoch from which nobody takes it any more.
    pub(crate) ends: Duration,
}

impl Authority {
    /// Makes an authority that is trusted for a time, and what is written of it.
    pub(crate) fn make(now: Duration, life: Duration) -> Result<(Self, Signed), rcgen::Error> {
        let ends = now + life;
        let mut params = params(&[], "Rollcall CA", now, ends)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let signed = Signed { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem(), ends };
        Ok((Self { issuer: Issuer::new(params, key), ends }, signed))
    }

    /// Reads an authority, and says what is wrong with one that cannot sign.
    pub(crate) fn read(certificate: &str, key: &str, now: Duration) -> Result<Self, String> {
        let unreadable = |_| "no certificate can be read in it";
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(unreadable)?;
        let parsed = pem.parse_x509().map_err(|_| "no certificate can be read in it")?;
        // What is wrong inside a key is not told: it is secret.
        let key = KeyPair::from_pem(key).map_err(|_| "the key beside it cannot be read")?;
        if !parsed.is_ca() {
            return Err("it is no certificate of an authority".to_owned());
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("the key beside it is another's".to_owned());
        }
        let ends = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let ends = Duration::from_secs(ends);
        if ends <= now {
            return Err("it has expired".to_owned());
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|error| error.to_string())?;
        Ok(Self { issuer, ends })
    }

    /// Signs a certificate of a role, valid for a time and no longer than the authority. `names` are those by which
    /// outsiders know a server, besides that of its role.
    pub(crate) fn sign(
        &self,
        role: Role,
        names: &[String],
        now: Duration,
        life: Duration,
    ) -> Result<Signed, rcgen::Error> {
        let ends = (now + life).min(self.ends);
        let name = role.dns_name();
        let mut all = vec![name.clone()];
        if role.is_service() {
            all.extend_from_slice(names);
        }
        let mut params = params(&all, &name, now, ends)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if role.is_service() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Signed { certificate, key: key.serialize_pem(), ends })
    }
}

fn params(
    names: &[String],
    common_name: &str,
    now: Duration,
    ends: Duration,
) -> Result<CertificateParams, rcgen::Error> {
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + ends;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn an_authority_that_is_read_again_signs_as_before_and_nothing_outlives_it() {
        let (_, made) = Authority::make(NOW, 10 * DAY).unwrap();
        let authority = Authority::read(&made.certificate, &made.key, NOW + DAY).unwrap();
        assert_eq!(authority.ends, NOW + 10 * DAY);
        let names = ["presence.example.org".to_owned(), "192.0.2.1".to_owned()];
        for (role, life, ends) in [(Role::Presence, DAY, 2), (Role::Operator, 30 * DAY, 10)] {
            let signed = authority.sign(role, &names, NOW + DAY, life).unwrap();
            assert_eq!(signed.ends, NOW + ends * DAY);
            let (_, pem) = parse_x509_pem(signed.certificate.as_bytes()).unwrap();
            let parsed = pem.parse_x509().unwrap();
            assert_eq!(
                u64::try_from(parsed.validity().not_after.timestamp()).unwrap(),
                signed.ends.as_secs()
            );
            let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len();
            let usage = parsed.extended_key_usage().unwrap().unwrap().value;
            assert_eq!(names, if role.is_service() { 3 } else { 1 });
            assert_eq!((usage.client_auth, usage.server_auth), (true, role.is_service()));
        }
    }

    #[test]
    fn what_cannot_sign_is_told() {
        let (authority, made) = Authority::make(NOW, DAY).unwrap();
        let (_, other) = Authority::make(NOW, DAY).unwrap();
        let signed = authority.sign(Role::Gateway, &[], NOW, DAY).unwrap();
        for (certificate, key, now, said) in [
            ("nonsense", &*made.key, NOW, "no certificate can be read in it"),
            (&*made.certificate, "nonsense", NOW, "the key beside it cannot be read"),
            (&*made.certificate, &*other.key, NOW, "the key beside it is another's"),
            (&*signed.certificate, &*signed.key, NOW, "it is no certificate of an authority"),
            (&*made.certificate, &*made.key, NOW + DAY, "it has expired"),
        ] {
            assert_eq!(Authority::read(certificate, key, now).map(drop).unwrap_err(), said);
        }
    }
}
