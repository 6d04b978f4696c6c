//! What the edge is given for those who look after the server: the configuration, and the key that tokens are made with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Grant, Minter};
use anita_issuers::{Issuers, KeyFiles, KeySource, Secret, TrustFault, Way};
use anita_model::Timestamp;
use anita_server::{Desk, Mint, MintFault, SignInDesk};

use crate::config::{Config, SignIn};

/// Makes tokens of the first issuer with its secret, as it is at that moment: a secret that was rotated counts at once.
#[derive(Debug)]
struct OwnSecret {
    place: Place,
    issuer: String,
    audience: String,
}

/// Where the secret is.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    Given(Secret),
}

impl Mint for OwnSecret {
    fn mint(&self, grant: &Grant<'_>, now: Timestamp, ttl: Duration) -> Result<String, MintFault> {
        let secret = match &self.place {
            Place::File(path) => {
                Secret::new(std::fs::read(path).map_err(|error| MintFault::Secret(error.into()))?)
            }
            Place::Given(secret) => secret.clone(),
        };
        let minter = Minter::hs256(secret.expose(), self.issuer.clone(), self.audience.clone());
        let minter = minter.map_err(|error| MintFault::Secret(error.into()))?;
        minter.mint(grant, now, ttl).map_err(|error| MintFault::Signing(error.into()))
    }
}

/// Takes out of a configuration what the edge is given.
///
/// # Errors
/// When certificates of an issuer at which people sign in can't be checked.
pub(crate) fn desk(config: &mut Config, issuers: &Arc<Issuers>) -> Result<Desk, TrustFault> {
    let own = config.issuers.first().and_then(|issuer| {
        let place = match &issuer.source {
            KeySource::Given(KeyFiles::SecretFile { file, .. }, _keys) => Place::File(file.clone()),
            KeySource::Given(KeyFiles::Secret { secret, .. }, _keys) => Place::Given(secret.clone()),
            KeySource::Given(KeyFiles::PublicKey { .. }, _keys) => return None,
            KeySource::Published(_settings) => return None,
        };
        let rules = &issuer.rules;
        Some(OwnSecret { place, issuer: rules.issuer.clone(), audience: rules.audience.clone() })
    });
    let sign_in = config.sign_in.take().map(|SignIn { public_url, ways }| {
        let ways = ways.into_iter().map(|way| Way::new(way, Arc::clone(issuers)));
        Ok::<_, TrustFault>(SignInDesk { public_url, ways: ways.collect::<Result<_, _>>()? })
    });
    Ok(Desk {
        sign_in: sign_in.transpose()?,
        roles: config.roles.clone(),
        mint: own.map(|own| Box::new(own) as Box<dyn Mint>),
        minted_ttl_max: config.minted_ttl_max,
        configuration: std::mem::take(&mut config.explained),
    })
}
