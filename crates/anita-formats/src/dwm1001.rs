//! The text of a Qorvo/Decawave DWM1001 (PANS R2): what a tag prints for `lec`, `les` and `lep`, and what a listener prints.
//!
//! ```text
//! lec       DIST,<n>,(AN<i>,<anchor>,<x>,<y>,<z>,<range>){n}[,POS,<x>,<y>,<z>,<quality>]
//! lep       POS,<x>,<y>,<z>,<quality>
//! les       (<anchor>[<x>,<y>,<z>]=<range> )* le_us=<n>[ est[<x>,<y>,<z>,<quality>]]
//! listener  POS,<index>,<tag>,<x>,<y>,<z>,<quality>,x<hex>
//! ```
//!
//! A tag does not print its own id; the configuration has to give it. A listener prints the id of each tag it hears.
//!
//! **Damage is real.** The shell's echo is written into the lines, and at high rates bytes are lost. Nothing guards a line
//! but its own form, so a position is taken from a damaged line only by this rule: the *last* part of the line that begins with
//! `POS,` (or ` est[`) must be whole up to the end of the line, that is: three coordinates with a decimal point (or `nan`), a quality
//! of 0 to 100 as a whole number, and, where the part is a listener's, an index, an id of four hex digits and the `x<hex>` mark.
//! The two cannot be taken for each other: they differ in length, and an index and an id have no decimal point. So `lePOS,0,4CAD,4.56,…` is read, a
//! line cut in the middle of its numbers is refused, and neither is misread. The anchors in a line are not reported: a
//! digit lost in their ids would put anchors on the map that do not exist.

use anita_model::{DeviceId, Fix, NoPosition, Position, Report};

use crate::Origin;
use crate::malformed::{Malformed, Reason};

/// The shell's prompts, which stand alone or in front of a line.
const PROMPTS: [&str; 2] = ["dwm>", "leaps>"];

/// What is read out of a line before it is known whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Solution<'l> {
    /// The tag, if the line names it.
    tag: Option<&'l str>,
    /// `None` when the tag found no solution.
    coordinates_m: Option<[f64; 3]>,
}

/// Decodes one line, without its end. `tag_id` is whose line it is where the line does not say.
///
/// Prompts, echoes, banners and comments are `None`.
///
/// # Errors
/// [`Malformed`]: `damaged_line`; `no_device_id` for a tag's own line without `tag_id`; `bad_id` and `too_far`.
pub fn decode(line: &str, tag_id: Option<&DeviceId>, origin: &Origin) -> Result<Option<Report>, Malformed> {
    let Some(solution) = read(line)? else { return Ok(None) };
    let device = match (solution.tag, tag_id) {
        (Some(tag), _) => {
            DeviceId::parse(tag).map_err(|error| Malformed::id("the id in the line", &error))?
        }
        (None, Some(tag_id)) => tag_id.clone(),
        (None, None) => {
            let what = "the lines of a tag do not say whose they are: set `device_id` for this source";
            return Err(Malformed::new(Reason::NoDeviceId, what));
        }
    };
    let Some([x_m, y_m, z_m]) = solution.coordinates_m else {
        return Ok(Some(Report::NoPosition(NoPosition {
            device: Some(device),
            reason: "no_solution",
            source: origin.source.clone(),
        })));
    };
    let position = Position::new(x_m, y_m, z_m).map_err(|error| Malformed::position("POS", error))?;
    Ok(Some(Report::Fix(Fix {
        device,
        site: origin.site.clone(),
        position,
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at: origin.received_at,
        received_at: origin.received_at,
        source: origin.source.clone(),
        sequence: None,
    })))
}

fn read(line: &str) -> Result<Option<Solution<'_>>, Malformed> {
    let text = without_prompt(line);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if let Some(solution) = last_position(text).or_else(|| last_estimate(text)) {
        return Ok(Some(solution));
    }
    if is_whole_dist(text) || is_whole_les(text) {
        return Ok(Some(Solution { tag: None, coordinates_m: None }));
    }
    if is_data_like(text) { Err(Malformed::damaged("a damaged line", text)) } else { Ok(None) }
}

/// The line without the prompts in front of it.
fn without_prompt(line: &str) -> &str {
    let mut text = line.trim();
    while let Some(rest) = PROMPTS.iter().find_map(|prompt| text.strip_prefix(prompt)) {
        text = rest.trim_start();
    }
    text
}

/// The last `POS,` part of a line, if it is whole up to the end.
fn last_position(text: &str) -> Option<Solution<'_>> {
    let (_, part) = text.rsplit_once("POS,")?;
    let fields: Vec<&str> = part.split(',').collect();
    match fields.as_slice() {
        [x, y, z, quality] => solution(None, [x, y, z], quality),
        [index, tag, x, y, z, quality, mark]
            if is_whole_number(index) && is_node_id(tag) && is_mark(mark) =>
        {
            solution(Some(tag), [x, y, z], quality)
        }
        _ => None,
    }
}

/// The last `est[` part of a line, if it is whole and ends the line.
fn last_estimate(text: &str) -> Option<Solution<'_>> {
    let (_, part) = text.rsplit_once(" est[")?;
    let fields: Vec<&str> = part.strip_suffix(']')?.split(',').collect();
    let [x, y, z, quality] = fields.as_slice() else { return None };
    solution(None, [x, y, z], quality)
}

fn solution<'l>(tag: Option<&'l str>, coordinates: [&str; 3], quality: &str) -> Option<Solution<'l>> {
    let is_quality = is_whole_number(quality) && quality.parse::<u8>().is_ok_and(|percent| percent <= 100);
    if !is_quality {
        return None;
    }
    let [x, y, z] = coordinates.map(coordinate);
    let (x, y, z) = (x?, y?, z?);
    let is_solved = ![x, y, z].iter().any(|value| value.is_nan());
    Some(Solution { tag, coordinates_m: is_solved.then_some([x, y, z]) })
}

/// A coordinate as the firmware prints it: digits with a decimal point, or `nan`.
fn coordinate(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let (whole, fraction) = unsigned.split_once('.')?;
    if is_whole_number(whole) && is_whole_number(fraction) { text.parse().ok() } else { None }
}

/// `DIST,<n>,…` with exactly `n` whole anchors and no position after them.
fn is_whole_dist(text: &str) -> bool {
    let Some((count, anchors)) =
        text.strip_prefix("DIST,").map(|rest| rest.split_once(',').unwrap_or((rest, "")))
    else {
        return false;
    };
    let fields: Vec<&str> = if anchors.is_empty() { Vec::new() } else { anchors.split(',').collect() };
    let groups = fields.chunks(6);
    let is_counted = count.parse() == Ok(groups.len());
    is_counted && groups.enumerate().all(|(index, anchor)| is_whole_anchor(index, anchor))
}

fn is_whole_anchor(index: usize, anchor: &[&str]) -> bool {
    let [label, id, numbers @ ..] = anchor else { return false };
    label.strip_prefix("AN").is_some_and(|number| number.parse() == Ok(index))
        && is_node_id(id)
        && numbers.len() == 4
        && numbers.iter().all(|number| coordinate(number).is_some())
}

/// A `les` line with ranges and no estimate.
fn is_whole_les(text: &str) -> bool {
    let is_range = |word: &str| {
        let parts = word.split_once('[').and_then(|(id, rest)| Some((id, rest.split_once("]=")?)));
        parts.is_some_and(|(id, (place, range))| {
            is_node_id(id)
                && coordinate(range).is_some()
                && place.split(',').filter_map(coordinate).count() == 3
        })
    };
    let is_engine_time = |word: &str| word.strip_prefix("le_us=").is_some_and(is_whole_number);
    let mut words = text.split_ascii_whitespace();
    words.next_back().is_some_and(|word| is_engine_time(word) || is_range(word)) && words.all(is_range)
}

/// Whether a line wanted to be data, so that its loss must be told; the rest is the shell talking.
fn is_data_like(text: &str) -> bool {
    let marks = ["POS", "DIST", "est[", "le_us", "]="];
    marks.iter().any(|mark| text.contains(mark)) || text.matches(',').count() >= 3
}

/// Four hex digits, as the firmware prints them.
fn is_node_id(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

fn is_mark(text: &str) -> bool {
    let digits = text.strip_prefix('x').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_whole_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
