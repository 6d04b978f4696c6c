//! What is known of every device. A report goes in; an [`Outcome`] and [`Event`]s come out.
//!
//! Pure: no clock, no lock, no task. The same reports at the same times give the same events. What is not here: who
//! hears the events, and where past locations are kept.

mod device;
mod proximity;
mod world;

pub use device::{Device, Silences, StatusPolicy};
pub use proximity::{Near, Nearness};
pub use world::{Changes, Event, NUMBERED_MAX, Outcome, Policy, Refused, Registration, World};
