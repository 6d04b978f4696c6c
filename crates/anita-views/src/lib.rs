//! Views: which devices concern whom, and one frame for all who want the same.
//!
//! Views that are equal, of equal rights, are a class ([`Views`] keeps them). A fix is looked at once for each class that
//! shows its device; a tick makes one frame for each class and hands the same bytes to every socket that is up to date.
//! A socket that takes nothing is left alone: its member keeps the number up to which it was told, and catches up with
//! all that is newer, each device once. Which classes a moving device concerns is found in a grid, so a fix costs
//! nothing for those who don't see it.
//!
//! What is not here: sockets, clocks and tasks ([`Outlets`] and the owner of the [`Views`] have them), the meaning of
//! a client's words (`anita-session`), and rooms (`anita-hub`).

mod ages;
mod area;
mod class;
mod connections;
mod devices;
mod encode;
mod filter;
mod grid;
mod live;
mod member;
mod packet;
mod payload;
mod portions;
mod spec;
mod tail;
mod views;

pub use ages::Stamp;
pub use connections::ConnectionFigures;
pub use filter::Filter;
pub use live::Live;
pub use member::{CaughtUp, Start};
pub use packet::Packet;
pub use payload::{device, history_entry, location};
pub use portions::Portions;
pub use spec::{Form, Label, Pace, Slot, ViewSpec};
pub use views::{Change, Outlets, ViewSettings, Views};
