//! Floor plans: a picture of a floor, and where in the site it lies.
//!
//! They are kept apart from the records of the [`Writer`](crate::Writer): they are few, large and seldom changed, and
//! whoever changes one waits for the answer and can try again. So nothing of them waits in a queue or in a spool; while
//! the store is away they can't be changed.

mod calibration;

use std::fmt;
use std::sync::Arc;

use anita_model::{PlanId, SiteName, Timestamp};

pub use calibration::{
    Calibration, InvalidCalibration, METRES_PER_PIXEL_MAX, METRES_PER_PIXEL_MIN, PIXEL_ABS_MAX, Pair, Point,
    Similarity,
};

use crate::port::{BoxFuture, StoreError};

/// What the bytes of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureKind {
    /// PNG.
    Png,
    /// SVG.
    Svg,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl PictureKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Png, Self::Svg, Self::Jpeg, Self::Webp];

    /// Its media type (RFC 6838).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The kind of a media type.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.media_type() == media_type)
    }
}

/// What is known of a plan's picture without its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// What its bytes are.
    pub kind: PictureKind,
    /// Its width, pixels; of an SVG its own units, which need not be whole.
    pub width_px: f64,
    /// Its height, pixels.
    pub height_px: f64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The plan's revision that brought it.
    pub revision: u64,
}

/// A floor plan without the bytes of its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// What people call it.
    pub name: String,
    /// The site it is of.
    pub site: SiteName,
    /// The floor it is of; `None` for a site without floors.
    pub floor: Option<f64>,
    /// How much of the picture is seen, above 0 and at most 1.
    pub opacity: f64,
    /// Where the picture lies; `None` until somebody says it.
    pub calibration: Option<Calibration>,
    /// Its picture; `None` until there is one.
    pub picture: Option<Picture>,
    /// Larger with each change, also of a plan that was removed and made again: the server's microseconds since 1970, or
    /// one more than before.
    pub revision: u64,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
}

/// The bytes of a picture, shared by all who read them.
pub type PictureBytes = Arc<[u8]>;

/// What a change does to the bytes of the picture.
#[derive(Clone, PartialEq, Eq)]
pub enum PictureChange {
    /// They stay.
    Stays,
    /// These are in their place.
    Replaced(PictureBytes),
}

impl fmt::Debug for PictureChange {
    /// Without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("Stays"),
            Self::Replaced(bytes) => write!(f, "Replaced({} bytes)", bytes.len()),
        }
    }
}

/// The part of a store that keeps floor plans. What it did survives a crash; changes are made one after the other.
pub trait PlanStore: Send + Sync {
    /// All plans, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(&self) -> BoxFuture<'_, Result<Vec<Plan>, StoreError>>;

    /// The picture of a plan with its bytes, both of one moment; `None` when there is no such plan, or no picture yet.
    ///
    /// # Errors
    /// [`StoreError`].
    fn picture(&self, id: PlanId) -> BoxFuture<'_, Result<Option<(Picture, PictureBytes)>, StoreError>>;

    /// Keeps a plan in the place of the one with its id, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is changed, unless a connection broke at the last moment.
    fn save(&self, plan: Plan, picture: PictureChange) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes a plan with its picture; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`], as for [`PlanStore::save`].
    fn remove(&self, id: PlanId) -> BoxFuture<'_, Result<(), StoreError>>;
}
