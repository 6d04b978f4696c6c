//! A token and the present make a [`Principal`]; a role is a set of [`Permission`]s, given as data.
//!
//! Pure: the time is an argument, keys are bytes. What is not here: how a token arrives, where keys come from, what a
//! permission allows in detail, and sessions of pages.

mod authority;
mod claims;
mod key;
mod minter;
mod pattern;
mod permission;
mod principal;
mod revocations;
mod token;
mod verifier;

pub use authority::{Authority, IssuerReport, Judgement, KeysAwaited, KeysState};
pub use claims::{ClaimNames, ClaimPath};
pub use key::{HS256_SECRET_BYTES_MIN, InvalidKey, InvalidKeySet, JWKS_KEYS_MAX, Key, KeySet};
pub use minter::{Grant, MintError, Minter};
pub use pattern::{InvalidPattern, Patterns};
pub use permission::{Permission, Permissions, Roles, UnknownPermission};
pub use principal::Principal;
pub use revocations::{REVOCATIONS_MAX, Revocations, TooManyRevocations};
pub use token::{LEEWAY, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TokenError};
pub use verifier::{IdTokenRules, IssuerRules, Verifier};
