//! TLS with servers that have to show who they are: certificates that were named are trusted, or those of the machine.
//!
//! Those of the machine are read when a server shows a certificate, and not before: there are more than a hundred, and a
//! registry of this machine that speaks no TLS, which every build with nothing to do asks, never shows one.
//!
//! A server may show one of the named certificates itself, even if it is an authority's: `openssl req -x509` makes such
//! ones, and whoever named exactly this one meant it. The library of the platform refuses that, so the handshake is
//! made here, with the verifier of rustls and this one exception.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use ureq::tls::{Certificate, ClientCert};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::tls;

/// Trusts the certificates of the machine as authorities, or named ones: as authorities, and as themselves.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Made when it is needed; at once where certificates were named, so that it is known what is wrong with them.
    signed: OnceLock<Arc<WebPkiServerVerifier>>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn named(
        certificates: &[Certificate<'static>],
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let certificates: Vec<_> = certificates.iter().map(der).collect();
        let signed = signed_by(certificates.clone(), &provider)?;
        Ok(Self {
            provider,
            signed: OnceLock::from(signed),
            certificates,
        })
    }

    fn of_system(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            signed: OnceLock::new(),
            certificates: Vec::new(),
        }
    }

    fn signed(&self) -> Result<&WebPkiServerVerifier, rustls::Error> {
        if let Some(signed) = self.signed.get() {
            return Ok(signed);
        }
        // A file among many that cannot be read is passed over, as by everybody else.
        let certificates = rustls_native_certs::load_native_certs().certs;
        if certificates.is_empty() {
            let text = "the machine has no certificates of authorities".to_owned();
            return Err(rustls::Error::General(text));
        }
        let made = signed_by(certificates, &self.provider)?;
        // Of two threads that are here at once one did it for nothing.
        Ok(self.signed.get_or_init(|| made))
    }
}

fn signed_by(
    certificates: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.signed()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // That it is an authority's is looked at after the time that it is valid for, and before its name.
            Err(error)
                if tls::is_authority_shown(&error) && self.certificates.contains(end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn der(certificate: &Certificate<'static>) -> CertificateDer<'static> {
    CertificateDer::from(certificate.der().to_vec())
}

/// Makes the connections to servers that have to show who they are.
#[derive(Debug)]
pub(crate) struct Handshake {
    config: Arc<ClientConfig>,
}

impl Handshake {
    /// Trusts these certificates, or those of the machine, and shows this one.
    pub(crate) fn new(
        certificates: Option<&[Certificate<'static>]>,
        identity: Option<&ClientCert>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match certificates {
            Some(named) => Verifier::named(named, Arc::clone(&provider))?,
            None => Verifier::of_system(Arc::clone(&provider)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.certs().iter().map(der).collect();
                let key = PrivateKeyDer::try_from(identity.private_key().der().to_vec())
                    .map_err(|error| rustls::Error::General(error.to_owned()))?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

impl<In: Transport> Connector<In> for Handshake {
    type Out = Either<In, Protected>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| ureq::Error::Tls("a name that no certificate can have"))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        let clock = Arc::clone(&details.current_time);
        let mut socket = TransportAdapter::new(Box::new(transport) as Box<dyn Transport>, clock);
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(Protected {
            buffers: LazyBuffers::new(input, output),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// A connection after its handshake.
pub(crate) struct Protected {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Protected {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected")
            .field("inner", &self.stream.sock.inner())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OWN: &[u8] = include_bytes!("tests/own.crt");
    const SERVER: &[u8] = include_bytes!("tests/server.crt");
    const IN_2030: Duration = Duration::from_hours(60 * 365 * 24);

    fn verdict(named: &[u8], shown: &[u8], host: &str, since_1970: Duration) -> Result<(), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let named = Verifier::named(&[Certificate::from_pem(named).unwrap()], provider).unwrap();
        let shown = der(&Certificate::from_pem(shown).unwrap());
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(since_1970);
        named
            .verify_server_cert(&shown, &[], &name, &[], now)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_certificates_of_the_machine_are_not_read_to_begin_a_conversation() {
        let handshake = Handshake::new(None, None).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut hello = Vec::new();
        let mut connection = ClientConnection::new(handshake.config, name).unwrap();
        assert!(connection.write_tls(&mut hello).unwrap() > 0);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::of_system(provider);
        assert_ne!(verifier.supported_verify_schemes(), []);
        assert!(verifier.signed.get().is_none());
    }

    #[test]
    fn an_authority_that_was_named_itself_is_trusted_for_its_name_and_its_time() {
        assert_eq!(verdict(OWN, OWN, "localhost", IN_2030), Ok(()));
        for (named, host, since, expected) in [
            (OWN, "elsewhere.example", IN_2030, "not valid for name"),
            (OWN, "localhost", IN_2030 * 4, "expired"),
            (OWN, "localhost", IN_2030 / 2, "not valid yet"),
            (SERVER, "localhost", IN_2030, "CaUsedAsEndEntity"),
        ] {
            let error = verdict(named, OWN, host, since).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
