//! Pictures for tests: whole frames without a picture inside, which is all that is looked at.

use super::*;

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &name, data, &[0; 4]].concat()
}

pub(super) fn png(width: u32, height: u32) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(*b"IHDR", &head), chunk(*b"IDAT", &[1, 2]), chunk(*b"IEND", &[])]
        .concat()
}

pub(super) fn jpeg(width: u16, height: u16, orientation: Option<u16>) -> Vec<u8> {
    let segment = |marker: u8, data: &[u8]| {
        let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], data].concat()
    };
    let exif = orientation.map(|orientation| {
        let [high, low] = orientation.to_be_bytes();
        let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, high, low, 0, 0];
        segment(0xe1, &[b"Exif\0\0MM\0*\0\0\0\x08\0\x01", &entry[..]].concat())
    });
    let [[h1, h2], [w1, w2]] = [height.to_be_bytes(), width.to_be_bytes()];
    let frame = segment(0xc2, &[8, h1, h2, w1, w2, 1, 1, 0x11, 0]);
    let scan = segment(0xda, &[1, 1, 0, 0, 0x3f, 0]);
    [vec![0xff, 0xd8], exif.unwrap_or_default(), frame, scan, vec![7, 7, 0xff, 0xd9]].concat()
}

pub(super) fn webp(width: u32, height: u32) -> Vec<u8> {
    let bits = (width - 1) | (height - 1) << 14;
    let body = [b"WEBPVP8L\x05\0\0\0\x2f", &bits.to_le_bytes()[..]].concat();
    [b"RIFF", &u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
}

fn sized(width_px: f64, height_px: f64) -> Picture {
    Picture { kind: anita_store::PictureKind::Png, width_px, height_px, bytes: 1, revision: 1 }
}

#[test]
fn another_picture_of_the_same_drawing_lies_where_the_one_before_lay() {
    use anita_store::{Pair, Point};
    let pair = |x: f64, y: f64| Pair { pixel: Point { x, y }, metres: Point { x: x / 10.0, y: -y / 10.0 } };
    let placed = Calibration::new([pair(10.0, 10.0), pair(390.0, 190.0)]).unwrap();
    let after = |width_px, height_px| Measured { kind: anita_store::PictureKind::Png, width_px, height_px };
    let before = sized(400.0, 200.0);
    assert_eq!(carried(Some(placed), Some(&before), &after(400.0, 200.0)), Some(placed));
    let twice = carried(Some(placed), Some(&before), &after(800.0, 401.0)).unwrap();
    assert_eq!(twice.pairs()[1].pixel, Point { x: 780.0, y: 380.0 });
    assert_eq!(twice.pairs()[1].metres, placed.pairs()[1].metres);
    assert_eq!(carried(Some(placed), Some(&before), &after(400.0, 300.0)), None);
    // What was said before there was a picture was said of this one.
    assert_eq!(carried(Some(placed), None, &after(7.0, 7.0)), Some(placed));
    assert_eq!(carried(None, Some(&before), &after(400.0, 200.0)), None);
}

#[test]
fn a_tag_is_known_in_every_way_of_writing_it() {
    let known = |lines: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(line));
        }
        has_already(&headers, "\"7\"")
    };
    for lines in [&["\"7\""][..], &["W/\"7\""], &["\"6\", \"7\""], &["\"6\"", "W/\"5\",\"7\""], &["*"]] {
        assert!(known(lines), "{lines:?}");
    }
    for lines in [&[][..], &["7"], &["\"77\""], &["\"6\", \"8\""]] {
        assert!(!known(lines), "{lines:?}");
    }
}

#[test]
fn a_revision_grows_also_when_the_clock_goes_back() {
    let at = |us| Timestamp::from_micros(us).unwrap();
    assert_eq!(next_revision(&[], at(5)), 5);
    assert_eq!(next_revision(&[], at(-5)), 1);
    let plan = |revision| Plan {
        id: PlanId::parse("a").unwrap(),
        name: String::new(),
        site: anita_model::SiteName::main(),
        floor: None,
        opacity: 1.0,
        calibration: None,
        picture: None,
        revision,
        updated_at: at(0),
        updated_by: String::new(),
    };
    assert_eq!(next_revision(&[plan(9), plan(3)], at(5)), 10);
    assert_eq!(next_revision(&[plan(9), plan(3)], at(50)), 50);
}
