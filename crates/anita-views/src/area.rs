//! Shapes in the plane of a site, metres.

use anita_wire::view::Area;

/// A number that can be a key: equal when its bits are. Made from finite numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Exact(u64);

impl Exact {
    pub(crate) fn new(number: f64) -> Self {
        // The sum turns a negative zero into a plain one.
        Self((number + 0.0).to_bits())
    }

    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The smallest box around something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: [f64; 2],
    pub(crate) max: [f64; 2],
}

impl Bounds {
    pub(crate) fn contains(&self, [x, y]: [f64; 2]) -> bool {
        let [min_x, min_y] = self.min;
        let [max_x, max_y] = self.max;
        (min_x..=max_x).contains(&x) && (min_y..=max_y).contains(&y)
    }
}

/// An area that can be a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Polygon(Vec<[Exact; 2]>),
    /// Minimum and maximum.
    Box([Exact; 2], [Exact; 2]),
    /// Centre and radius.
    Circle([Exact; 2], Exact),
}

impl From<&Area> for Shape {
    fn from(area: &Area) -> Self {
        match area {
            Area::Polygon(corners) => {
                Self::Polygon(corners.iter().map(|corner| corner.map(Exact::new)).collect())
            }
            Area::Box(it) => {
                Self::Box([it.min_x, it.min_y].map(Exact::new), [it.max_x, it.max_y].map(Exact::new))
            }
            Area::Circle(it) => Self::Circle([it.x, it.y].map(Exact::new), Exact::new(it.radius_m)),
        }
    }
}

impl Shape {
    pub(crate) fn bounds(&self) -> Bounds {
        match self {
            Self::Polygon(corners) => {
                let start = Bounds { min: [f64::INFINITY; 2], max: [f64::NEG_INFINITY; 2] };
                corners.iter().fold(start, |bounds, corner| {
                    let [x, y] = corner.map(Exact::get);
                    let ([min_x, min_y], [max_x, max_y]) = (bounds.min, bounds.max);
                    Bounds { min: [min_x.min(x), min_y.min(y)], max: [max_x.max(x), max_y.max(y)] }
                })
            }
            Self::Box(min, max) => Bounds { min: min.map(Exact::get), max: max.map(Exact::get) },
            Self::Circle(centre, radius) => {
                let ([x, y], radius) = (centre.map(Exact::get), radius.get());
                Bounds { min: [x - radius, y - radius], max: [x + radius, y + radius] }
            }
        }
    }

    pub(crate) fn contains(&self, point: [f64; 2]) -> bool {
        match self {
            Self::Polygon(corners) => is_inside(corners, point),
            Self::Box(..) => self.bounds().contains(point),
            Self::Circle(centre, radius) => {
                let ([x, y], [px, py]) = (centre.map(Exact::get), point);
                (px - x).hypot(py - y) <= radius.get()
            }
        }
    }
}

/// Whether a line from the point to the east crosses the edges an odd number of times.
fn is_inside(corners: &[[Exact; 2]], [px, py]: [f64; 2]) -> bool {
    let mut is_inside = false;
    let Some(last) = corners.last() else { return false };
    let mut before = last.map(Exact::get);
    for corner in corners {
        let [x, y] = corner.map(Exact::get);
        let [bx, by] = before;
        if (y > py) != (by > py) && px < (bx - x) * (py - y) / (by - y) + x {
            is_inside = !is_inside;
        }
        before = [x, y];
    }
    is_inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use anita_wire::view::{BoxArea, CircleArea};
    use proptest::prelude::*;

    #[test]
    fn points_are_inside_or_outside() {
        let house = Area::Polygon(vec![[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [2.0, 4.0], [0.0, 2.0]]);
        let notched = Area::Polygon(vec![[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [2.0, 1.0], [0.0, 4.0]]);
        let square = Area::Box(BoxArea { min_x: -1.0, min_y: -1.0, max_x: 1.0, max_y: 1.0 });
        let disc = Area::Circle(CircleArea { x: 1.0, y: 0.0, radius_m: 1.0 });
        let cases = [
            (&house, [2.0, 3.5], true),
            (&house, [0.2, 3.5], false),
            (&house, [2.0, -0.1], false),
            (&notched, [2.0, 0.5], true),
            (&notched, [2.0, 2.0], false),
            (&notched, [0.5, 2.0], true),
            (&square, [1.0, -1.0], true),
            (&square, [1.01, 0.0], false),
            (&disc, [2.0, 0.0], true),
            (&disc, [1.8, 0.8], false),
        ];
        for (area, point, is_inside) in cases {
            assert_eq!(Shape::from(area).contains(point), is_inside, "{area:?} {point:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_inside_is_inside_the_bounds(
            corners in proptest::collection::vec([-10.0..10.0_f64, -10.0..10.0_f64], 3..8),
            point in [-12.0..12.0_f64, -12.0..12.0_f64],
        ) {
            let shape = Shape::from(&Area::Polygon(corners));
            prop_assert!(!shape.contains(point) || shape.bounds().contains(point));
        }
    }
}
