//! The place that is simulated: a hall of 40 by 25 metres.

use anita_model::{DeviceId, Position};

/// A floor plan, metres in the frame of the site; its south-west corner is the origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// From west to east, metres.
    pub width_m: f64,
    /// From south to north, metres.
    pub depth_m: f64,
    /// Named areas. They do not overlap.
    pub zones: Vec<Zone>,
    /// Where the anchors are mounted.
    pub anchors: Vec<Anchor>,
}

/// A named area.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// A short name without spaces.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// Its corners, `[x, y]` metres, anticlockwise; the last one is joined to the first.
    pub polygon_m: Vec<[f64; 2]>,
}

/// A radio on a wall.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// Its id.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Where it is mounted.
    pub position: Position,
}

const WIDTH_M: f64 = 40.0;
const DEPTH_M: f64 = 25.0;
const ANCHOR_HEIGHT_M: f64 = 3.5;

// === impl Layout ===

impl Layout {
    /// The hall: goods come in at the west, are stored, worked on, and leave at the east.
    pub fn hall() -> Self {
        let zone = |id, name, [west, south, east, north]: [f64; 4]| Zone {
            id,
            name,
            polygon_m: vec![[west, south], [east, south], [east, north], [west, north]],
        };
        let zones = vec![
            zone("receiving", "Receiving", [0.0, 0.0, 8.0, 12.0]),
            zone("office", "Office", [0.0, 19.0, 8.0, DEPTH_M]),
            Zone {
                id: "storage",
                name: "Storage",
                // An L: the racks go round the corner of the office.
                polygon_m: vec![
                    [10.0, 13.0],
                    [26.0, 13.0],
                    [26.0, 25.0],
                    [10.0, 25.0],
                    [10.0, 19.0],
                    [12.0, 19.0],
                    [12.0, 15.0],
                    [10.0, 15.0],
                ],
            },
            zone("assembly", "Assembly", [10.0, 0.0, 26.0, 10.0]),
            zone("crane", "Crane area", [28.0, 13.0, WIDTH_M, DEPTH_M]),
            zone("shipping", "Shipping", [28.0, 0.0, WIDTH_M, 10.0]),
        ];
        let mounted = [
            [0.0, 0.0],
            [WIDTH_M / 2.0, 0.0],
            [WIDTH_M, 0.0],
            [WIDTH_M, DEPTH_M],
            [WIDTH_M / 2.0, DEPTH_M],
            [0.0, DEPTH_M],
        ];
        let anchors = mounted.into_iter().enumerate().filter_map(|(index, [x_m, y_m])| {
            let number = index + 1;
            Some(Anchor {
                device: DeviceId::parse(&format!("anchor-{number}")).ok()?,
                name: format!("Anchor {number}"),
                position: Position::new(x_m, y_m, ANCHOR_HEIGHT_M).ok()?,
            })
        });
        Self { width_m: WIDTH_M, depth_m: DEPTH_M, zones, anchors: anchors.collect() }
    }
}
