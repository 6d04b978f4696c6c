//! One conversation with one client: a message goes in, frames come out, and perhaps an end.
//!
//! A [`Session`] has no socket, no clock and no task: whoever owns the socket hands it what was heard and the time,
//! and takes what it wants to say. Its router (`router.rs`) is one exhaustive match from a request to its permission,
//! and one to its handler.

pub mod past;

mod answering;
mod authentication;
mod budget;
mod class;
mod context;
mod deliver;
mod extension;
mod handlers;
mod parked;
mod playback;
mod router;
mod session;

pub use authentication::token_refusal;
pub use budget::Budget;
pub use class::{ClassBudgets, ClassRates, Rate, RequestClass};
pub use context::{Context, Credentials, SessionSettings};
pub use extension::{Caller, ExtensionError, Extensions};
pub use handlers::locations::report;
pub use handlers::{Refused, device_list, history_page};
pub use playback::{PLAYBACKS_MAX, Playbacks};
pub use router::refusal_frame;
pub use session::{Closing, Delivery, Session};
