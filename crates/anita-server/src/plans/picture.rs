//! What a picture is and how large, from its bytes. Pure.
//!
//! Nothing is decoded: whoever looks at the picture does that. What is read are its head and its frame, so that what is no
//! picture, or only a part of one, is refused before anybody sees it.

use anita_store::{PIXEL_ABS_MAX, PictureKind};
use anita_wire::{ErrorCode, Refusal};
use serde_json::json;

use super::{raster, svg};
use crate::problem::Problem;

/// The longest side of a picture of pixels.
pub(super) const SIDE_PX_MAX: u32 = 16_384;

/// The most pixels: a page that shows it holds four bytes of each.
pub(super) const PIXELS_MAX: u64 = 50_000_000;

/// A picture, as far as its bytes say it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) kind: PictureKind,
    pub(super) width_px: f64,
    pub(super) height_px: f64,
}

/// Why bytes are no picture of a floor plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum NoPicture {
    #[error("The body is no PNG, SVG, JPEG or WebP picture; what counts is its content, not its name")]
    Unknown,
    #[error("The {kind} is damaged: {reason}")]
    Damaged { kind: &'static str, reason: &'static str },
    #[error(
        "The picture has {width} × {height} pixels; a side may have {SIDE_PX_MAX}, and the whole {PIXELS_MAX}"
    )]
    TooLarge { width: u32, height: u32 },
    #[error("The SVG {0}")]
    Svg(#[from] svg::Fault),
}

impl NoPicture {
    /// The same for whoever sent it.
    pub(super) fn problem(&self) -> Problem {
        let (code, remedy) = match self {
            Self::Unknown => (ErrorCode::InvalidPayload, "Save the floor plan as PNG, SVG, JPEG or WebP."),
            Self::Damaged { .. } => (ErrorCode::InvalidPayload, "Save it again, and send all of it."),
            Self::TooLarge { .. } => (ErrorCode::TooLarge, "Save it with fewer pixels, or as SVG."),
            Self::Svg(fault) => (ErrorCode::InvalidPayload, fault.remedy()),
        };
        let refusal = Refusal::saying(code, format!("{self}.")).with_details(json!({ "path": "picture" }));
        Problem(refusal).with_remedy(remedy)
    }
}

/// Finds out what a picture is and how large.
pub(super) fn measure(bytes: &[u8]) -> Result<Measured, NoPicture> {
    type Head = fn(&[u8]) -> Result<(u32, u32), &'static str>;
    let formats: [(PictureKind, &'static str, bool, Head); 3] = [
        (PictureKind::Png, "PNG", raster::is_png(bytes), raster::png),
        (PictureKind::Jpeg, "JPEG", raster::is_jpeg(bytes), raster::jpeg),
        (PictureKind::Webp, "WebP", raster::is_webp(bytes), raster::webp),
    ];
    if let Some((kind, name, _is_it, head)) = formats.into_iter().find(|(_kind, _name, is_it, _head)| *is_it)
    {
        let (width, height) = head(bytes).map_err(|reason| NoPicture::Damaged { kind: name, reason })?;
        if width == 0 || height == 0 {
            return Err(NoPicture::Damaged { kind: name, reason: "it has no pixels" });
        }
        if width.max(height) > SIDE_PX_MAX || u64::from(width) * u64::from(height) > PIXELS_MAX {
            return Err(NoPicture::TooLarge { width, height });
        }
        return Ok(Measured { kind, width_px: width.into(), height_px: height.into() });
    }
    if !svg::is_markup(bytes) {
        return Err(NoPicture::Unknown);
    }
    let (width_px, height_px) = svg::measure(bytes)?;
    if !(1.0..=PIXEL_ABS_MAX).contains(&width_px) || !(1.0..=PIXEL_ABS_MAX).contains(&height_px) {
        return Err(svg::Fault::Size.into());
    }
    Ok(Measured { kind: PictureKind::Svg, width_px, height_px })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plans::tests::{jpeg, png, webp};

    #[test]
    fn what_it_is_is_read_from_the_bytes() {
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 30 12.5'/>";
        let measured = |bytes: &[u8]| {
            let it = measure(bytes).unwrap();
            (it.kind, it.width_px, it.height_px)
        };
        assert_eq!(measured(&png(640, 480)), (PictureKind::Png, 640.0, 480.0));
        assert_eq!(measured(&jpeg(640, 480, None)), (PictureKind::Jpeg, 640.0, 480.0));
        assert_eq!(measured(&webp(640, 480)), (PictureKind::Webp, 640.0, 480.0));
        assert_eq!(measured(svg), (PictureKind::Svg, 30.0, 12.5));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused_with_what_to_do() {
        for bytes in [&b""[..], b"hello", b"GIF89a....", b"%PDF-1.7", b"\x00\x01\x02", b"{\"a\":1}"] {
            assert_eq!(measure(bytes).unwrap_err(), NoPicture::Unknown);
        }
        for (width, height) in [(SIDE_PX_MAX + 1, 1), (1, SIDE_PX_MAX + 1), (10_000, 5_001)] {
            let error = measure(&png(width, height)).unwrap_err();
            assert_eq!(error, NoPicture::TooLarge { width, height });
            assert_eq!(error.problem().0.code, ErrorCode::TooLarge);
        }
        assert!(measure(&png(10_000, 5_000)).is_ok());
        for bytes in [png(0, 5), png(5, 0), jpeg(5, 0, None)] {
            let error = measure(&bytes).unwrap_err().to_string();
            assert!(error.contains("no pixels"), "{error}");
        }
        for size in ["width='0.5' height='10'", "viewBox='0 0 1000001 9'"] {
            let text = format!("<svg xmlns='http://www.w3.org/2000/svg' {size}/>");
            assert_eq!(measure(text.as_bytes()).unwrap_err(), NoPicture::Svg(svg::Fault::Size), "{size}");
        }
    }

    #[test]
    fn a_part_of_a_picture_is_none() {
        for whole in [png(64, 48), jpeg(64, 48, Some(1)), webp(64, 48)] {
            for length in 0..whole.len() {
                assert!(measure(&whole[..length]).is_err(), "{length} of {}", whole.len());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>, head in 0..5_usize) {
            let heads: [&[u8]; 5] =
                [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"<svg "];
            drop(measure(&[heads[head], &bytes].concat()));
        }

        #[test]
        fn no_byte_of_a_picture_breaks_it(place: prop::sample::Index, value: u8, which in 0..3_usize) {
            let mut whole = [png(64, 48), jpeg(64, 48, Some(6)), webp(64, 48)][which].clone();
            let place = place.index(whole.len());
            whole[place] = value;
            drop(measure(&whole));
        }
    }
}
