//! Any text as the payload of `subscribe`: the area and the filter are asked about a device that walks.

/// Subscribes, lets a device walk through, changes the view to the same again, and lets it walk back.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let payload = text.replace(['\n', '\r'], " ");
    let mut script = format!("c0pv\nc1pa\n>0subscribe {payload}\n");
    let places = ["0 0", "1 1", "5.5 -3", "39.999 24", "100 100", "-1e3 0.001", "12 6"];
    for place in places.iter().chain(places.iter().rev()) {
        script.push_str(&format!("s tag-1 {place}\nt 60\n"));
    }
    script.push_str(&format!(
        ">0update_subscription {{\"subscription\":\"s1\",\"view\":{{}}}}\n>0start_position_tracking {payload}\ns a1 1 1\nt 600\n\
         >0get_active_devices {payload}\n>0play_history {payload}\nt 300\n>0unsubscribe {{\"subscription\":\"s1\"}}\n"
    ));
    crate::session::run(script.as_bytes());
}
