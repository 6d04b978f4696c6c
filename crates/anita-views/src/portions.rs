//! How much is told at once, and how much is remembered.

use anita_wire::limits::VIEW_DEVICES_PER_MESSAGE_MAX;

/// How much is told at once, and how much is remembered for those that were not told yet. The defaults are what a
/// server uses; smaller ones let a test with ten devices go the ways that otherwise take ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portions {
    /// How many devices a page of a snapshot has. A change of a view that takes more in and out is told as a snapshot.
    pub page_devices: usize,
    /// How many devices a member is told of at once when it catches up; the rest follows when these are written.
    pub catch_up_devices: usize,
    /// How many devices that left a class are remembered for members that were not told yet.
    pub tombs_max: usize,
    /// How many fixes a reader of the lane `every` is told at once; the rest follows when these are written.
    pub fixes: usize,
    /// How many fixes are looked at for that; most of them may be for others.
    pub fixes_looked_at: usize,
}

impl Default for Portions {
    fn default() -> Self {
        Self {
            page_devices: VIEW_DEVICES_PER_MESSAGE_MAX,
            catch_up_devices: 4_096,
            tombs_max: 10_000,
            fixes: 512,
            fixes_looked_at: 8_192,
        }
    }
}
