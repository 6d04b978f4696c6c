//! A token and the present make a [`Principal`]; a role is a set of [`Permission`]s, given as data.
//!
//! Pure: the time is an argument, keys are bytes. What is not here: how a token arrives, what a permission allows in
//! detail, and sessions of pages.

mod pattern;
mod permission;
mod principal;
mod token;

pub use pattern::{InvalidPattern, Patterns};
pub use permission::{Permission, Permissions, Roles, UnknownPermission};
pub use principal::Principal;
pub use token::{
    Claims, HS256_SECRET_BYTES_MIN, InvalidKey, Key, LEEWAY, MintError, Minter, TOKEN_BYTES_MAX, TokenError,
    Verifier,
};
