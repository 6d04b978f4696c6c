//! Where something is.

/// The largest coordinate that is believed, metres: 10,000 km, more than half the Earth's girth away from the origin.
pub const POSITION_ABS_MAX_M: f64 = 10_000_000.0;

/// A point in the frame of its site: x east, y north, z up, metres. Finite and within [`POSITION_ABS_MAX_M`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the unit is part of the name of every number")]
pub struct Position {
    x_m: f64,
    y_m: f64,
    z_m: f64,
}

/// Why three numbers are not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPosition {
    /// A coordinate is NaN or infinite.
    #[error("{axis} is not a finite number")]
    NotFinite {
        /// `x`, `y` or `z`.
        axis: char,
    },
    /// A coordinate is farther out than [`POSITION_ABS_MAX_M`].
    #[error("{axis} is more than 10,000 km from the origin; coordinates are metres in the frame of the site")]
    TooFar {
        /// `x`, `y` or `z`.
        axis: char,
    },
}

impl Position {
    /// Checks three coordinates, metres.
    ///
    /// # Errors
    /// [`InvalidPosition`] names the first axis that is not finite or too far out.
    pub fn new(x_m: f64, y_m: f64, z_m: f64) -> Result<Self, InvalidPosition> {
        for (axis, value) in [('x', x_m), ('y', y_m), ('z', z_m)] {
            if !value.is_finite() {
                return Err(InvalidPosition::NotFinite { axis });
            }
            if value.abs() > POSITION_ABS_MAX_M {
                return Err(InvalidPosition::TooFar { axis });
            }
        }
        Ok(Self { x_m, y_m, z_m })
    }

    /// East of the origin, metres.
    pub fn x_m(self) -> f64 {
        self.x_m
    }

    /// North of the origin, metres.
    pub fn y_m(self) -> f64 {
        self.y_m
    }

    /// Above the origin, metres.
    pub fn z_m(self) -> f64 {
        self.z_m
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_and_earthly_coordinates_are_positions() {
        assert!(Position::new(POSITION_ABS_MAX_M, -POSITION_ABS_MAX_M, 0.0).is_ok());
        assert_eq!(Position::new(f64::NAN, 0.0, 0.0), Err(InvalidPosition::NotFinite { axis: 'x' }));
        assert_eq!(Position::new(0.0, f64::NEG_INFINITY, 0.0), Err(InvalidPosition::NotFinite { axis: 'y' }));
        assert_eq!(Position::new(0.0, 0.0, 10_000_000.5), Err(InvalidPosition::TooFar { axis: 'z' }));
    }
}
