//! Where a picture lies in its site, from two points of it whose place is known.
//!
//! A picture counts pixels from its top left corner, y downwards; a site counts metres, y to the north. Two pairs of
//! points give a similarity: moved, turned and scaled, the same in both directions, and never mirrored.

use anita_model::POSITION_ABS_MAX_M;

/// How far a point may be from the corner of the picture, pixels: also outside of it.
pub const PIXEL_ABS_MAX: f64 = 1e6;

/// The finest scale, metres a pixel: a tenth of a millimetre.
pub const METRES_PER_PIXEL_MIN: f64 = 1e-4;

/// The coarsest scale, metres a pixel.
pub const METRES_PER_PIXEL_MAX: f64 = 100.0;

/// How far the two points have to be from each other at least, pixels: below it, a trembling hand turns the whole picture.
const APART_PX_MIN: f64 = 2.0;

/// The same in the site, metres.
const APART_M_MIN: f64 = 0.01;

/// A point of a plane: pixels of a picture, or metres of a site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right, or to the east.
    pub x: f64,
    /// Down in a picture, to the north in a site.
    pub y: f64,
}

impl Point {
    fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    fn is_within(self, abs_max: f64) -> bool {
        // What is not a number is within nothing.
        self.x.abs() <= abs_max && self.y.abs() <= abs_max
    }
}

/// A point of the picture and where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// In the picture, pixels from its top left corner.
    pub pixel: Point,
    /// In the site, metres.
    pub metres: Point,
}

/// Why two pairs of points say nothing about where a picture lies.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidCalibration {
    /// A point of the picture is too far away, or no number.
    #[error("a pixel has to be within {PIXEL_ABS_MAX} of the picture's corner")]
    Pixel,
    /// A point of the site is too far away, or no number.
    #[error("metres have to be within {POSITION_ABS_MAX_M} of the site's origin")]
    Metres,
    /// The two points are the same in the picture, or nearly.
    #[error(
        "the two points of the picture are {apart_px:.1} pixels apart; choose points that are far from each other"
    )]
    SamePixel {
        /// How far they are from each other.
        apart_px: f64,
    },
    /// The two points are the same in the site, or nearly.
    #[error("the two points of the site are {apart_m:.3} m apart; give the metres of two different points")]
    SameMetres {
        /// How far they are from each other.
        apart_m: f64,
    },
    /// The scale can't be that of a floor plan.
    #[error(
        "that is {metres_per_pixel:.2e} metres a pixel; {METRES_PER_PIXEL_MIN} to {METRES_PER_PIXEL_MAX} are taken: look at the unit of the metres"
    )]
    Scale {
        /// The scale.
        metres_per_pixel: f64,
    },
}

/// Two points of a picture and where they are; holding one means that it says where the picture lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration([Pair; 2]);

impl Calibration {
    /// Checks two pairs.
    ///
    /// # Errors
    /// [`InvalidCalibration`].
    pub fn new(pairs: [Pair; 2]) -> Result<Self, InvalidCalibration> {
        let [a, b] = pairs;
        if ![a, b].iter().all(|pair| pair.pixel.is_within(PIXEL_ABS_MAX)) {
            return Err(InvalidCalibration::Pixel);
        }
        if ![a, b].iter().all(|pair| pair.metres.is_within(POSITION_ABS_MAX_M)) {
            return Err(InvalidCalibration::Metres);
        }
        let (apart_px, apart_m) = (a.pixel.distance(b.pixel), a.metres.distance(b.metres));
        if apart_px < APART_PX_MIN {
            return Err(InvalidCalibration::SamePixel { apart_px });
        }
        if apart_m < APART_M_MIN {
            return Err(InvalidCalibration::SameMetres { apart_m });
        }
        let metres_per_pixel = apart_m / apart_px;
        if !(METRES_PER_PIXEL_MIN..=METRES_PER_PIXEL_MAX).contains(&metres_per_pixel) {
            return Err(InvalidCalibration::Scale { metres_per_pixel });
        }
        Ok(Self(pairs))
    }

    /// The two pairs.
    pub fn pairs(&self) -> [Pair; 2] {
        self.0
    }

    /// How the picture lies.
    pub fn similarity(&self) -> Similarity {
        let [from, to] = self.0;
        // With the picture's y turned upwards, a similarity is one complex factor and one shift.
        let (du, dv) = (to.pixel.x - from.pixel.x, from.pixel.y - to.pixel.y);
        let (dx, dy) = (to.metres.x - from.metres.x, to.metres.y - from.metres.y);
        let square = du * du + dv * dv;
        let (a, b) = ((dx * du + dy * dv) / square, (dy * du - dx * dv) / square);
        Similarity {
            a,
            b,
            x_m: from.metres.x - a * from.pixel.x - b * from.pixel.y,
            y_m: from.metres.y - b * from.pixel.x + a * from.pixel.y,
        }
    }

    /// The same for the same drawing with more or fewer pixels.
    ///
    /// # Errors
    /// [`InvalidCalibration`] when the scale is none of a floor plan any more.
    pub fn scaled(&self, factor: f64) -> Result<Self, InvalidCalibration> {
        Self::new(
            self.0.map(|pair| Pair {
                pixel: Point { x: pair.pixel.x * factor, y: pair.pixel.y * factor },
                ..pair
            }),
        )
    }
}

/// From pixels to metres: `x = a·u + b·v + x_m`, `y = b·u − a·v + y_m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// The scale times the cosine of the angle, metres a pixel.
    pub a: f64,
    /// The scale times the sine of the angle, metres a pixel.
    pub b: f64,
    /// Where the picture's top left corner is, metres to the east.
    pub x_m: f64,
    /// The same to the north.
    pub y_m: f64,
}

impl Similarity {
    /// Where a pixel is, metres.
    pub fn metres(&self, pixel: Point) -> Point {
        Point {
            x: self.a * pixel.x + self.b * pixel.y + self.x_m,
            y: self.b * pixel.x - self.a * pixel.y + self.y_m,
        }
    }

    /// Which pixel is there.
    pub fn pixel(&self, metres: Point) -> Point {
        let (x, y) = (metres.x - self.x_m, metres.y - self.y_m);
        let square = self.a * self.a + self.b * self.b;
        Point { x: (self.a * x + self.b * y) / square, y: (self.b * x - self.a * y) / square }
    }

    /// How many metres a pixel is wide.
    pub fn metres_per_pixel(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// How far the picture is turned counter-clockwise, degrees above −180 and at most 180.
    pub fn rotation_deg(&self) -> f64 {
        self.b.atan2(self.a).to_degrees()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    fn pair(pixel: (f64, f64), metres: (f64, f64)) -> Pair {
        Pair { pixel: point(pixel.0, pixel.1), metres: point(metres.0, metres.1) }
    }

    #[test]
    fn a_picture_that_is_not_turned_has_its_top_in_the_north() {
        // A hall of 40 by 20 m, 20 pixels a metre, with its south-west corner at the origin.
        let plan = Calibration::new([pair((0.0, 400.0), (0.0, 0.0)), pair((800.0, 0.0), (40.0, 20.0))]);
        let lies = plan.unwrap().similarity();
        assert_eq!((lies.a, lies.b, lies.x_m, lies.y_m), (0.05, 0.0, 0.0, 20.0));
        assert_eq!(lies.metres(point(0.0, 0.0)), point(0.0, 20.0));
        assert_eq!(lies.metres(point(800.0, 400.0)), point(40.0, 0.0));
        assert!(lies.rotation_deg().abs() < 1e-12);
    }

    #[test]
    fn a_picture_whose_right_is_the_north_is_turned_a_quarter_to_the_left() {
        let plan = Calibration::new([pair((0.0, 0.0), (5.0, 5.0)), pair((100.0, 0.0), (5.0, 15.0))]);
        let lies = plan.unwrap().similarity();
        assert!((lies.rotation_deg() - 90.0).abs() < 1e-9);
        let down = lies.metres(point(0.0, 100.0));
        assert!((down.x - 15.0).abs() < 1e-9 && (down.y - 5.0).abs() < 1e-9, "{down:?}");
    }

    #[test]
    fn what_says_nothing_or_nonsense_is_refused_with_the_reason() {
        let cases = [
            ([pair((0.0, 0.0), (0.0, 0.0)), pair((1.0, 1.0), (9.0, 9.0))], "1.4 pixels apart"),
            ([pair((7.0, 7.0), (0.0, 0.0)), pair((7.0, 7.0), (9.0, 9.0))], "0.0 pixels apart"),
            ([pair((0.0, 0.0), (3.0, 3.0)), pair((90.0, 0.0), (3.0, 3.0))], "0.000 m apart"),
            ([pair((0.0, 0.0), (0.0, 0.0)), pair((10.0, 0.0), (1_001.0, 0.0))], "1.00e2 metres a pixel"),
            ([pair((0.0, 0.0), (0.0, 0.0)), pair((1_001.0, 0.0), (0.1, 0.0))], "9.99e-5 metres a pixel"),
            ([pair((f64::NAN, 0.0), (0.0, 0.0)), pair((9.0, 0.0), (9.0, 0.0))], "a pixel has to be"),
            ([pair((0.0, 0.0), (0.0, 0.0)), pair((9.0, 1.1e6), (9.0, 0.0))], "a pixel has to be"),
            ([pair((0.0, 0.0), (0.0, 0.0)), pair((9.0, 0.0), (9.0, f64::INFINITY))], "metres have to be"),
            ([pair((0.0, 0.0), (1.1e7, 0.0)), pair((9.0, 0.0), (9.0, 0.0))], "metres have to be"),
        ];
        for (pairs, reason) in cases {
            let error = Calibration::new(pairs).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    fn close(a: Point, b: Point, tolerance: f64) -> bool {
        a.distance(b) <= tolerance
    }

    prop_compose! {
        /// A picture somewhere, turned and scaled in any way that is taken.
        fn similarity()(
            scale in -3.9_f64..1.9,
            angle in -std::f64::consts::PI..std::f64::consts::PI,
            x_m in -1e5..1e5_f64,
            y_m in -1e5..1e5_f64,
        ) -> Similarity {
            let scale = 10_f64.powf(scale);
            Similarity { a: scale * angle.cos(), b: scale * angle.sin(), x_m, y_m }
        }
    }

    proptest! {
        #[test]
        fn two_points_of_a_known_place_give_that_place_back(
            lies in similarity(),
            from in (0.0..8_000_f64, 0.0..8_000_f64),
            step in (200.0..4_000_f64, 200.0..4_000_f64),
            other in (0.0..16_000_f64, 0.0..16_000_f64),
        ) {
            let pixels = [point(from.0, from.1), point(from.0 + step.0, from.1 - step.1)];
            let pairs = pixels.map(|pixel| Pair { pixel, metres: lies.metres(pixel) });
            let found = Calibration::new(pairs).unwrap().similarity();
            let other = point(other.0, other.1);
            prop_assert!(close(found.metres(other), lies.metres(other), 1e-5));
            prop_assert!(close(found.pixel(found.metres(other)), other, 1e-2));
            let turned = (found.rotation_deg() - lies.rotation_deg()).abs();
            prop_assert!(turned < 1e-3 || (turned - 360.0).abs() < 1e-3);
        }

        #[test]
        fn it_never_mirrors_and_keeps_all_proportions(
            pixels in [(-9e3..9e3_f64, -9e3..9e3_f64), (-9e3..9e3_f64, -9e3..9e3_f64)],
            metres in [(-500.0..500_f64, -500.0..500_f64), (-500.0..500_f64, -500.0..500_f64)],
        ) {
            let pairs = [pair(pixels[0], metres[0]), pair(pixels[1], metres[1])];
            let Ok(plan) = Calibration::new(pairs) else { return Ok(()) };
            let lies = plan.similarity();
            for pair in plan.pairs() {
                prop_assert!(close(lies.metres(pair.pixel), pair.metres, 1e-6));
            }
            let [corner, right, down] =
                [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)].map(|(x, y)| lies.metres(point(x, y)));
            let (wide, high) = (corner.distance(right), corner.distance(down));
            prop_assert!((wide - high).abs() < 1e-6 && (wide / 100.0 - lies.metres_per_pixel()).abs() < 1e-6);
            // From the right to below is a turn to the right, in the picture as on the ground.
            let turn = (right.x - corner.x) * (down.y - corner.y) - (right.y - corner.y) * (down.x - corner.x);
            prop_assert!(turn < 0.0);
        }

        #[test]
        fn more_pixels_for_the_same_drawing_change_nothing_on_the_ground(
            lies in similarity(), factor in 0.5..2.0_f64, at in (0.0..4_000_f64, 0.0..4_000_f64),
        ) {
            let pairs = [point(0.0, 0.0), point(4_000.0, 3_000.0)]
                .map(|pixel| Pair { pixel, metres: lies.metres(pixel) });
            let Ok(scaled) = Calibration::new(pairs).unwrap().scaled(factor) else { return Ok(()) };
            let ground = scaled.similarity().metres(point(at.0 * factor, at.1 * factor));
            prop_assert!(close(ground, lies.metres(point(at.0, at.1)), 1e-4));
        }
    }
}
