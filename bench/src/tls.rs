//! Idle connections with TLS: opened one after the other, then left alone.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned, version,
};

use crate::fault::{Fault, Outcome, While as _};
use crate::ws::{self, Answer, Compression};

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Takes any certificate: the server is a child on loopback, and its certificate is new at each start.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An open WebSocket over TLS.
pub(crate) type Idle = StreamOwned<ClientConnection, TcpStream>;

/// How clients speak TLS.
pub(crate) fn config() -> Outcome<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&version::TLS13]).to("choose TLS 1.3")?;
    let verifier = Arc::new(AnyCertificate(provider));
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(Arc::new(config))
}

/// Opens one.
pub(crate) fn open(server: SocketAddr, token: &str, config: &Arc<ClientConfig>) -> Outcome<Idle> {
    let stream = TcpStream::connect(server).to("connect")?;
    stream.set_read_timeout(Some(HANDSHAKE_MAX)).to("set a timeout")?;
    stream.set_nodelay(true).to("set TCP_NODELAY")?;
    let name = ServerName::try_from("localhost").to("name the server")?;
    let connection = ClientConnection::new(Arc::clone(config), name).to("begin TLS")?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(ws::upgrade("/ws", Some(token), Compression::Unasked).as_bytes()).to("open over TLS")?;
    let (mut head, mut scratch) = (Vec::new(), [0; 2_048]);
    loop {
        let bytes = stream.read(&mut scratch).to("open over TLS")?;
        head.extend_from_slice(scratch.get(..bytes).unwrap_or_default());
        match ws::answer(&head) {
            Answer::Opened { .. } => return Ok(stream),
            Answer::Incomplete if bytes > 0 => {}
            Answer::Incomplete => return Err(Fault::new("the server closed a connection")),
            Answer::Refused(line) => return Err(Fault::new(line)),
        }
    }
}
