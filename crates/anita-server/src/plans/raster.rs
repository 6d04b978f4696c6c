//! The frames of PNG, JPEG and WebP: how large the picture is, and whether all of it is there. Pure.

/// The size of a picture, pixels, or what is wrong with it.
type Size = Result<(u32, u32), &'static str>;

const CUT: &str = "it ends too early";

/// Takes so many bytes.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    let (taken, left) = rest.split_at_checked(count).ok_or(CUT)?;
    *rest = left;
    Ok(taken)
}

/// Takes exactly so many bytes.
fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(CUT)?;
    *rest = left;
    Ok(*taken)
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG)
}

/// Chunks of length, name, data and checksum: `IHDR` first, `IEND` last, data in between.
pub(super) fn png(bytes: &[u8]) -> Size {
    let mut rest = bytes.strip_prefix(PNG).ok_or(CUT)?;
    let mut size = None;
    let mut has_data = false;
    loop {
        let length = u32::from_be_bytes(array(&mut rest)?) as usize;
        let name: [u8; 4] = array(&mut rest)?;
        let mut data = take(&mut rest, length)?;
        take(&mut rest, 4)?;
        match (&name, size) {
            (b"IHDR", None) if length == 13 => {
                size = Some((u32::from_be_bytes(array(&mut data)?), u32::from_be_bytes(array(&mut data)?)));
            }
            (b"IHDR", _) | (_, None) => return Err("it does not begin with one IHDR"),
            (b"IEND", Some(size)) if has_data => return Ok(size),
            (b"IEND", Some(_)) => return Err("it holds no data"),
            (b"IDAT", Some(_)) => has_data = true,
            (_other, Some(_)) => {}
        }
    }
}

pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// Segments of a marker, a length and data until the scan begins; the frame has the size, Exif may say that the picture
/// is seen turned by a quarter.
pub(super) fn jpeg(bytes: &[u8]) -> Size {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).ok_or(CUT)?;
    let mut size = None;
    let mut is_turned = false;
    loop {
        let marker = marker(&mut rest)?;
        // Markers without data.
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        if marker == 0xd9 {
            return Err("it holds no data");
        }
        let length = usize::from(u16::from_be_bytes(array(&mut rest)?));
        let mut data = take(&mut rest, length.checked_sub(2).ok_or("a length is wrong")?)?;
        match marker {
            // The scan: what is left are compressed data and the end.
            0xda => break,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [_precision, high, low, wide, narrow] = array(&mut data)?;
                size = Some((
                    u32::from(u16::from_be_bytes([wide, narrow])),
                    u32::from(u16::from_be_bytes([high, low])),
                ));
            }
            0xe1 => is_turned |= exif_turns(data),
            _other => {}
        }
    }
    if !rest.windows(2).any(|pair| pair == [0xff, 0xd9]) {
        return Err(CUT);
    }
    let (width, height) = size.ok_or("it does not say its size")?;
    Ok(if is_turned { (height, width) } else { (width, height) })
}

/// The next marker: fill bytes come before it.
fn marker(rest: &mut &[u8]) -> Result<u8, &'static str> {
    let [begin] = array(rest)?;
    if begin != 0xff {
        return Err("a marker is missing");
    }
    loop {
        let [marker] = array(rest)?;
        if marker != 0xff {
            return Ok(marker);
        }
    }
}

/// Whether Exif says that width and height are the other way round: orientations 5 to 8 of TIFF 6.0.
fn exif_turns(segment: &[u8]) -> bool {
    orientation(segment).is_some_and(|orientation| (5..=8).contains(&orientation))
}

fn orientation(segment: &[u8]) -> Option<u16> {
    const ORIENTATION: u16 = 0x0112;
    let tiff = segment.strip_prefix(b"Exif\0\0")?;
    let is_big = match tiff.first_chunk::<4>()? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _other => return None,
    };
    let short = |at: &[u8]| {
        let bytes = *at.first_chunk::<2>()?;
        Some(if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let at = *tiff.get(4..)?.first_chunk::<4>()?;
    let at = if is_big { u32::from_be_bytes(at) } else { u32::from_le_bytes(at) };
    let directory = tiff.get(usize::try_from(at).ok()?..)?;
    let count = usize::from(short(directory)?);
    let entries = directory.get(2..)?.chunks_exact(12).take(count);
    entries
        .into_iter()
        .find(|entry| short(entry) == Some(ORIENTATION))
        .and_then(|entry| short(entry.get(8..)?))
}

pub(super) fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

/// RIFF with one of three first chunks (RFC 9649).
pub(super) fn webp(bytes: &[u8]) -> Size {
    let mut rest = bytes.strip_prefix(b"RIFF").ok_or(CUT)?;
    let length = u32::from_le_bytes(array(&mut rest)?) as usize;
    let mut body = take(&mut rest, length)?;
    let _webp: [u8; 4] = array(&mut body)?;
    let name: [u8; 4] = array(&mut body)?;
    let length = u32::from_le_bytes(array(&mut body)?) as usize;
    let mut data = take(&mut body, length)?;
    match &name {
        b"VP8 " => {
            let [_, _, _, 0x9d, 0x01, 0x2a] = array(&mut data)? else {
                return Err("its first frame is no key frame");
            };
            let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
            Ok((side(array(&mut data)?), side(array(&mut data)?)))
        }
        b"VP8L" => {
            let [0x2f] = array(&mut data)? else { return Err("its lossless data has no head") };
            let bits = u32::from_le_bytes(array(&mut data)?);
            Ok(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let _flags: [u8; 4] = array(&mut data)?;
            let mut side = || -> Result<u32, &'static str> {
                let [low, middle, high] = array(&mut data)?;
                Ok(u32::from_le_bytes([low, middle, high, 0]) + 1)
            };
            Ok((side()?, side()?))
        }
        _other => Err("it has no head that is known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::tests::{jpeg as make_jpeg, png as make_png, webp as make_webp};

    #[test]
    fn a_jpeg_that_is_seen_turned_has_its_sides_swapped() {
        for (orientation, size) in [
            (1, (64, 48)),
            (3, (64, 48)),
            (4, (64, 48)),
            (5, (48, 64)),
            (6, (48, 64)),
            (8, (48, 64)),
            (9, (64, 48)),
        ] {
            assert_eq!(jpeg(&make_jpeg(64, 48, Some(orientation))), Ok(size), "{orientation}");
        }
    }

    #[test]
    fn each_kind_of_webp_says_its_size() {
        assert_eq!(webp(&make_webp(16_384, 1)), Ok((16_384, 1)));
        let chunk = |name: &[u8; 4], data: &[u8]| {
            let length = u32::try_from(data.len()).unwrap();
            let body = [b"WEBP", &name[..], &length.to_le_bytes(), data].concat();
            [b"RIFF", &u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
        };
        let lossy = chunk(b"VP8 ", &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xe0, 0x01]);
        assert_eq!(webp(&lossy), Ok((640, 480)));
        let extended = chunk(b"VP8X", &[0x10, 0, 0, 0, 0x7f, 0x02, 0, 0xdf, 0x01, 0]);
        assert_eq!(webp(&extended), Ok((640, 480)));
        assert_eq!(webp(&chunk(b"ANIM", &[0; 16])), Err("it has no head that is known"));
    }

    #[test]
    fn a_png_has_one_head_first_and_some_data() {
        let whole = make_png(64, 48);
        let (head, rest) = whole.split_at(8);
        assert_eq!(png(&[head, &rest[25..]].concat()), Err("it does not begin with one IHDR"));
        assert_eq!(png(&[head, &rest[..25], rest].concat()), Err("it does not begin with one IHDR"));
        let end = &rest[rest.len() - 12..];
        assert_eq!(png(&[head, &rest[..25], end].concat()), Err("it holds no data"));
    }
}
