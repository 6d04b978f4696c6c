//! Any bytes as the picture of a floor plan: PNG, JPEG, WebP or SVG.

use anita_server::measured_plan;
use anita_store::{PIXEL_ABS_MAX, PictureKind};

/// What no drawing holds: put into one that is taken, it makes it one that is refused.
const DENIED: [&str; 4] =
    ["<script>x</script>", "<g onload='x'/>", "<a href='https://elsewhere.example/'/>", "<foreignObject/>"];

/// Measures the picture. One that is taken has a size; a part of a raster is none; an SVG is refused once it holds what
/// runs, or what refers elsewhere.
pub fn run(bytes: &[u8]) {
    let Some((kind, width_px, height_px)) = measured_plan(bytes) else { return };
    assert!((1.0..=PIXEL_ABS_MAX).contains(&width_px) && (1.0..=PIXEL_ABS_MAX).contains(&height_px));
    if kind != PictureKind::Svg {
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Where markup is only text, it does nothing.
    if text.contains("<!--") || text.contains("<![CDATA[") || text.contains("<?") {
        return;
    }
    let Some(end) = text.rfind("</") else { return };
    for denied in DENIED {
        let (before, after) = text.split_at(end);
        let worse = format!("{before}{denied}{after}");
        assert_eq!(measured_plan(worse.as_bytes()), None, "{worse}");
    }
}
