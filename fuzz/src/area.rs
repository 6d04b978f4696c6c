//! Any text as the filter of a view, of which the area is asked about many places, and compared with what is known of the
//! plane by other means.

use anita_model::{POSITION_ABS_MAX_M, Position};
use anita_views::Filter;
use anita_wire::view::{Area, ViewFilter};

/// How near an edge two ways to ask may differ, as a part of the largest coordinate.
const NEAR: f64 = 1e-9;

/// So many places a side of the box around the area are asked for, and one row more around it.
const PLACES: i32 = 6;

/// Reads a filter; an area that is taken answers for every place, and as it should.
pub fn run(bytes: &[u8]) {
    let Ok(wire) = serde_json::from_slice::<ViewFilter>(bytes) else { return };
    let Ok(filter) = Filter::from_wire(&ViewFilter { area: wire.area.clone(), ..ViewFilter::default() })
    else {
        panic!("an area is no pattern");
    };
    // Whether its patterns can be read is theirs to say.
    drop(Filter::from_wire(&wire));
    let Some(area) = &wire.area else { return };
    let (min, max) = bounds(area);
    let largest = [min, max].concat().into_iter().fold(0.0, |most: f64, it| most.max(it.abs()));
    assert!(largest <= 3.0 * POSITION_ABS_MAX_M, "what is taken is on this planet");
    let step = [(max[0] - min[0]) / f64::from(PLACES), (max[1] - min[1]) / f64::from(PLACES)];
    for row in -1..=PLACES + 1 {
        for column in -1..=PLACES + 1 {
            let place = [min[0] + step[0] * f64::from(column), min[1] + step[1] * f64::from(row)];
            let Ok(position) = Position::new(place[0], place[1], 0.0) else { continue };
            let is_inside = filter.lets_place(Some(position), None);
            let is_near = |distance: f64| distance <= NEAR * largest.max(1e-3);
            match area {
                Area::Box(it) => {
                    let is_meant = place[0] >= it.min_x && place[0] <= it.max_x;
                    assert_eq!(is_inside, is_meant && place[1] >= it.min_y && place[1] <= it.max_y);
                }
                Area::Circle(it) => {
                    let distance = ((place[0] - it.x).powi(2) + (place[1] - it.y).powi(2)).sqrt();
                    assert!(
                        is_inside == (distance <= it.radius_m) || is_near((distance - it.radius_m).abs())
                    );
                }
                Area::Polygon(corners) => {
                    let is_at_edge = edges(corners).any(|(from, to)| is_near(distance(place, from, to)));
                    assert!(is_at_edge || is_inside == is_crossed_to_the_north(corners, place), "{place:?}");
                }
            }
        }
    }
}

fn bounds(area: &Area) -> ([f64; 2], [f64; 2]) {
    match area {
        Area::Box(it) => ([it.min_x, it.min_y], [it.max_x, it.max_y]),
        Area::Circle(it) => {
            ([it.x - it.radius_m, it.y - it.radius_m], [it.x + it.radius_m, it.y + it.radius_m])
        }
        Area::Polygon(corners) => {
            let start = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            corners.iter().fold(start, |(min, max), [x, y]| {
                ([min[0].min(*x), min[1].min(*y)], [max[0].max(*x), max[1].max(*y)])
            })
        }
    }
}

fn edges(corners: &[[f64; 2]]) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    corners.iter().copied().zip(corners.iter().copied().cycle().skip(1))
}

/// How far a place is from the piece of a line.
fn distance([x, y]: [f64; 2], [ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
    let (dx, dy) = (bx - ax, by - ay);
    let square = dx * dx + dy * dy;
    let part = if square > 0.0 { (((x - ax) * dx + (y - ay) * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    (x - ax - part * dx).hypot(y - ay - part * dy)
}

/// The even-odd rule by a line to the north, where the server looks to the east.
fn is_crossed_to_the_north(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let crosses = |([ax, ay], [bx, by]): &([f64; 2], [f64; 2])| {
        (*ax > x) != (*bx > x) && ay + (by - ay) * ((x - ax) / (bx - ax)) > y
    };
    edges(corners).filter(crosses).count() % 2 == 1
}
