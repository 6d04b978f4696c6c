//! The keys of issuers: from files that the operator names and from addresses where issuers publish them, kept fresh.
//!
//! What judges a token is a value without a clock ([`anita_auth::Verifier`]); here are the tasks that put another one in
//! its place, and what a token waits for that is signed with a key which was published a moment ago. And the way of people
//! to their tokens: what a browser is sent to the issuer with, and the exchange of the code that it brings back.

mod address;
mod fetch;
mod files;
mod issuers;
mod published;
mod way;

pub use address::{InvalidAddress, KeyAddress, PublicUrl};
pub use fetch::{FetchFault, JWKS_BYTES_MAX, TrustFault};
pub use files::{KeyFault, KeyFiles, Secret};
pub use issuers::{IssuerSettings, Issuers, KeySource, TOKENS_WAITING_MAX};
pub use published::{DEMAND_INTERVAL, KEYS_WAIT_MAX, PublishedSettings};
pub use way::{
    ClientSecret, EXCHANGES_MAX, Opening, RESERVED_PARAMETERS, Rights, SignInFault, SignedIn, Way,
    WaySettings,
};
