//! One look at what an issuer publishes, with limits on everything that the other end decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anita_auth::{InvalidKeySet, KeySet};
use http::{HeaderMap, StatusCode, header};
use reqwest::redirect::{self, Attempt};
use reqwest::{Client, Response, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use crate::address::{InvalidAddress, KeyAddress, checked};

/// How long one look may take in all.
pub(crate) const FETCH_DEADLINE: Duration = Duration::from_secs(5);

/// The largest answer, bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// How often an issuer may send us to another place of its own.
const REDIRECTS_MAX: usize = 3;

/// Why an issuer's keys were not had.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// It did not answer in time.
    #[error("no whole answer within {} s", FETCH_DEADLINE.as_secs())]
    Late,
    /// It cannot be reached, or does not speak HTTP, or its certificate is not trusted.
    #[error("the issuer cannot be asked")]
    Http(#[source] reqwest::Error),
    /// Another answer than 200.
    #[error("the issuer answered {status}")]
    Status {
        /// With which status.
        status: StatusCode,
    },
    /// The answer is too long.
    #[error("the answer has more than {JWKS_BYTES_MAX} bytes")]
    TooLarge,
    /// The configuration of the issuer is not to be understood.
    #[error("the configuration of the issuer is no JSON with `issuer` and `jwks_uri`")]
    Configuration,
    /// The configuration is somebody else's (RFC 8414 §3.3).
    #[error("the configuration is that of the issuer {found:?}")]
    OtherIssuer {
        /// Whose.
        found: String,
    },
    /// The configuration names an address that is not asked.
    #[error("the configuration names an address that is not asked for keys")]
    Address(#[from] InvalidAddress),
    /// What is there is no key set.
    #[error(transparent)]
    Keys(#[from] InvalidKeySet),
}

/// Why certificates of issuers can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum TrustFault {
    /// The file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no certificate in PEM")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// TLS can't be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client can't be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// What a look found.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) keys: KeySet,
    /// For how long the issuer says that this holds.
    pub(crate) max_age: Option<Duration>,
}

/// Looks at what an issuer publishes now.
pub(crate) async fn fetch(
    client: &Client,
    issuer: &str,
    address: &KeyAddress,
) -> Result<Fetched, FetchFault> {
    let fetched = async {
        let url = match address {
            KeyAddress::Jwks(url) => url.clone(),
            KeyAddress::Discovery(url) => discover(client, issuer, url.clone()).await?,
        };
        let (text, max_age) = get(client, url).await?;
        Ok(Fetched { keys: KeySet::from_jwks(&text)?, max_age })
    };
    tokio::time::timeout(FETCH_DEADLINE, fetched).await.unwrap_or(Err(FetchFault::Late))
}

/// The address of the keys, by the issuer's own configuration.
async fn discover(client: &Client, issuer: &str, url: Url) -> Result<Url, FetchFault> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
        jwks_uri: String,
    }
    let (text, _max_age) = get(client, url).await?;
    let configuration = serde_json::from_slice::<Configuration>(&text);
    let configuration = configuration.map_err(|_reason| FetchFault::Configuration)?;
    if configuration.issuer != issuer {
        return Err(FetchFault::OtherIssuer { found: configuration.issuer.chars().take(256).collect() });
    }
    Ok(checked(&configuration.jwks_uri)?)
}

pub(crate) async fn get(client: &Client, url: Url) -> Result<(Vec<u8>, Option<Duration>), FetchFault> {
    let request = client.get(url).header(header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(FetchFault::Http)?;
    if response.status() != StatusCode::OK {
        return Err(FetchFault::Status { status: response.status() });
    }
    let max_age = max_age(response.headers());
    Ok((body(&mut response).await?, max_age))
}

/// The body of an answer, if it is not too long.
pub(crate) async fn body(response: &mut Response) -> Result<Vec<u8>, FetchFault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchFault::Http)? {
        if body.len() + chunk.len() > JWKS_BYTES_MAX {
            return Err(FetchFault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL);
    let directives = values.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    let secs = directives.filter_map(|it| {
        let (name, value) = it.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())?
    });
    secs.map(Duration::from_secs).next()
}

/// The client for one issuer: the certificates of the system, or of a file. Proxies of the environment are not used.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Client, TrustFault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .referer(false)
        .user_agent(concat!("anita/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::custom(within_the_same_origin))
        .timeout(FETCH_DEADLINE)
        // Looks are minutes apart: nothing is kept open.
        .pool_max_idle_per_host(0)
        .build()?;
    Ok(client)
}

fn within_the_same_origin(attempt: Attempt<'_>) -> redirect::Action {
    let is_same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if is_same && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TrustFault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        // Those that can't be read are the system's business; without any, no issuer is trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let read = std::fs::read(path);
    let pem = read.map_err(|source| TrustFault::Read { path: path.to_owned(), source })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    let (added, _ignored) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(TrustFault::NoCertificate { path: path.to_owned() });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_says_how_long_its_keys_hold() {
        let table = [
            ("max-age=300", Some(300)),
            ("public, Max-Age=\"60\", must-revalidate", Some(60)),
            ("no-store", None),
            ("s-maxage=7", None),
            ("max-age=soon", None),
        ];
        for (text, secs) in table {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, text.parse().unwrap())]);
            assert_eq!(max_age(&headers), secs.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_no_trust() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(client(Some(&path)), Err(TrustFault::Read { .. })));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(client(Some(&path)), Err(TrustFault::NoCertificate { .. })));
        assert!(client(None).is_ok());
    }
}
