//! How floor plans are written and read.

use anita_auth::Permission;
use anita_model::SiteName;
use anita_store::{Calibration, Pair, Picture, PictureKind, Plan, Point};
use anita_wire::{ErrorCode, Refusal, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::PLANS_MAX;
use super::picture::{PIXELS_MAX, SIDE_PX_MAX};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::server::Server;

/// The longest name, bytes.
const NAME_BYTES_MAX: usize = 128;

/// The least that is seen of a picture.
const OPACITY_MIN: f64 = 0.05;

/// The farthest floor from the ground.
const FLOOR_ABS_MAX: f64 = 1_000.0;

/// A point, as it is written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PlanPoint")]
pub(crate) struct ShownPoint {
    x: f64,
    y: f64,
}

/// A point of the picture, and where it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PlanPointPair")]
pub(crate) struct ShownPair {
    /// Pixels from the picture's top left corner, y downwards.
    pixel: ShownPoint,
    /// Metres in the frame of the site.
    metres: ShownPoint,
}

impl From<Point> for ShownPoint {
    fn from(point: Point) -> Self {
        Self { x: point.x, y: point.y }
    }
}

impl From<ShownPoint> for Point {
    fn from(point: ShownPoint) -> Self {
        Self { x: point.x, y: point.y }
    }
}

impl From<Pair> for ShownPair {
    fn from(pair: Pair) -> Self {
        Self { pixel: pair.pixel.into(), metres: pair.metres.into() }
    }
}

impl From<ShownPair> for Pair {
    fn from(pair: ShownPair) -> Self {
        Self { pixel: pair.pixel.into(), metres: pair.metres.into() }
    }
}

/// The floor plans.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownPlans {
    /// In the order of their ids.
    pub(super) plans: Vec<ShownPlan>,
    /// What may be brought.
    pub(super) limits: Limits,
}

/// What may be brought.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanLimits")]
pub(crate) struct Limits {
    /// The most plans.
    plans_max: usize,
    /// The largest picture, bytes.
    picture_bytes_max: usize,
    /// The longest side of a picture, pixels.
    side_px_max: u32,
    /// The most pixels of a picture.
    pixels_max: u64,
    /// Which kinds of pictures.
    media_types: Vec<&'static str>,
}

impl Limits {
    pub(super) fn new(picture_bytes_max: usize) -> Self {
        Self {
            plans_max: PLANS_MAX,
            picture_bytes_max,
            side_px_max: SIDE_PX_MAX,
            pixels_max: PIXELS_MAX,
            media_types: PictureKind::ALL.map(PictureKind::media_type).to_vec(),
        }
    }
}

/// A floor plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub(crate) struct ShownPlan {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// The site it is of; `main` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// The floor it is of; absent where it is of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    /// How much of the picture is seen, above 0 and at most 1.
    opacity: f64,
    /// The picture; absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<ShownPicture>,
    /// Where it lies; absent until somebody says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<ShownCalibration>,
    /// Larger with each change.
    revision: u64,
    /// When it was changed last.
    updated_at: Time,
    /// By whom; for those who may change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

/// A picture.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanPicture")]
struct ShownPicture {
    /// What it is, by its content.
    media_type: &'static str,
    /// Its width, pixels.
    width_px: f64,
    /// Its height, pixels.
    height_px: f64,
    /// How many bytes it has.
    bytes: u64,
    /// Which picture it is: another one has a larger number.
    revision: u64,
    /// Where it is; what is there never changes, so it may be kept.
    url: String,
}

/// Where a picture lies.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanCalibration")]
struct ShownCalibration {
    /// Two points of the picture and where they are.
    points: [ShownPair; 2],
    /// What follows from them.
    transform: Transform,
    /// How many metres a pixel is wide.
    metres_per_pixel: f64,
    /// How far the picture is turned counter-clockwise, degrees.
    rotation_deg: f64,
}

/// From pixels `(u, v)` to metres: `x = a·u + b·v + x_m`, `y = b·u − a·v + y_m`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanTransform")]
struct Transform {
    a: f64,
    b: f64,
    x_m: f64,
    y_m: f64,
}

impl From<Calibration> for ShownCalibration {
    fn from(calibration: Calibration) -> Self {
        let lies = calibration.similarity();
        Self {
            points: calibration.pairs().map(ShownPair::from),
            transform: Transform { a: lies.a, b: lies.b, x_m: lies.x_m, y_m: lies.y_m },
            metres_per_pixel: lies.metres_per_pixel(),
            rotation_deg: lies.rotation_deg(),
        }
    }
}

impl ShownPlan {
    pub(super) fn of(plan: &Plan, caller: &Caller) -> Self {
        let may_write = caller.principal.may(Permission::PlansWrite);
        let picture = |it: Picture| ShownPicture {
            media_type: it.kind.media_type(),
            width_px: it.width_px,
            height_px: it.height_px,
            bytes: it.bytes,
            revision: it.revision,
            url: format!("/api/v1/plans/{}/picture?revision={}", plan.id, it.revision),
        };
        Self {
            id: plan.id.to_string(),
            name: plan.name.clone(),
            site: (plan.site != SiteName::main()).then(|| plan.site.to_string()),
            floor: plan.floor,
            opacity: plan.opacity,
            picture: plan.picture.map(picture),
            calibration: plan.calibration.map(ShownCalibration::from),
            revision: plan.revision,
            updated_at: Time(plan.updated_at),
            updated_by: may_write.then(|| plan.updated_by.clone()),
        }
    }
}

/// A floor plan without its picture, as somebody wants it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    /// What people call it.
    name: String,
    /// The site it is of; `main` when absent.
    site: Option<String>,
    /// The floor it is of; of none when absent.
    floor: Option<f64>,
    /// How much of the picture is seen, 0.05 to 1; 1 when absent.
    opacity: Option<f64>,
    /// Where the picture lies; nowhere when absent.
    calibration: Option<RawCalibration>,
}

/// Where a picture lies, as somebody wants it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCalibration {
    /// Two points of the picture and where they are.
    points: [ShownPair; 2],
}

/// What a `PUT` wants, checked.
#[derive(Debug)]
pub(crate) struct PlanRequest {
    pub(super) name: String,
    pub(super) site: SiteName,
    pub(super) floor: Option<f64>,
    pub(super) opacity: f64,
    pub(super) calibration: Option<Calibration>,
}

impl JsonSchema for PlanRequest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PlanRequest".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawPlan::json_schema(generator)
    }
}

/// A value that can't be, with its field.
fn out_of_range(path: &str, message: &str) -> Problem {
    let refusal = Refusal::saying(ErrorCode::OutOfRange, format!("{path}: {message}."));
    Problem(refusal.with_details(json!({ "path": path })))
        .with_remedy("Mend the field that `details.path` names.")
}

impl PlanRequest {
    /// Reads the body of a request.
    pub(super) fn read(server: &Server, body: &[u8]) -> Result<Self, Problem> {
        server.read_json::<RawPlan>(body)?.checked()
    }
}

impl RawPlan {
    fn checked(self) -> Result<PlanRequest, Problem> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(out_of_range("name", "is empty"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(out_of_range("name", &format!("has more than {NAME_BYTES_MAX} bytes")));
        }
        if name.contains(char::is_control) {
            return Err(out_of_range("name", "holds control characters"));
        }
        let site = self.site.as_deref().map(SiteName::parse).transpose();
        let site = site.map_err(|invalid| out_of_range("site", &invalid.to_string()))?;
        let is_floor = |floor: f64| floor.abs() <= FLOOR_ABS_MAX;
        if self.floor.is_some_and(|floor| !is_floor(floor)) {
            return Err(out_of_range("floor", &format!("has to be within {FLOOR_ABS_MAX} of the ground")));
        }
        let opacity = self.opacity.unwrap_or(1.0);
        if !(OPACITY_MIN..=1.0).contains(&opacity) {
            return Err(out_of_range("opacity", &format!("has to be {OPACITY_MIN} to 1")));
        }
        let calibration = self.calibration.map(|it| Calibration::new(it.points.map(Pair::from))).transpose();
        let calibration =
            calibration.map_err(|invalid| out_of_range("calibration.points", &invalid.to_string()))?;
        Ok(PlanRequest {
            name,
            site: site.unwrap_or_else(SiteName::main),
            floor: self.floor,
            opacity,
            calibration,
        })
    }
}
