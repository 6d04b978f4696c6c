use super::*;
use anita_model::{SiteName, SourceName, Timestamp};
use proptest::prelude::*;

fn origin() -> Origin {
    Origin {
        source: SourceName::parse("line").unwrap(),
        site: SiteName::main(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

/// One word for what became of a line: `id@x,y,z`, `id:reason`, `-` for nothing, `!reason`.
fn outcome(line: &str, tag_id: Option<&str>) -> String {
    let tag_id = tag_id.map(|tag_id| DeviceId::parse(tag_id).unwrap());
    match decode(line, tag_id.as_ref(), &origin()) {
        Ok(None) => "-".into(),
        Ok(Some(Report::Fix(fix))) => {
            let Fix { device, position, .. } = fix;
            format!("{device}@{},{},{}", position.x_m(), position.y_m(), position.z_m())
        }
        Ok(Some(Report::NoPosition(none))) => format!("{}:{}", none.device.unwrap(), none.reason),
        Ok(Some(Report::Sighting(sighting))) => format!("{}?", sighting.device),
        Err(malformed) => format!("!{}", malformed.reason()),
    }
}

#[test]
fn a_damaged_line_is_recovered_or_refused_and_never_misread() {
    let cases = [
        // The echo of a command in front, behind a prompt, or twice.
        ("lePOS,0,4CAD,4.56,3.29,1.54,90,x08", "4CAD@4.56,3.29,1.54"),
        ("dwm> lecPOS,7.10,5.24,-2.03,53", "T1@7.1,5.24,-2.03"),
        ("dwm> dwm> POS,7.10,5.24,-2.03,53", "T1@7.1,5.24,-2.03"),
        // Bytes of the anchors lost, the position whole: from a public bug report.
        ("DIST,4,AN0,15BA,0.00,0,AN3,15BA,0.00,0.00,0.00,0.00,POS,2.55,2.01,1.71,98", "T1@2.55,2.01,1.71"),
        ("AN3,15BA,0.00,0,AN3,15BA,0.00,0.00,0.00,0.00", "!damaged_line"),
        // Two lines in one: the last one is whole.
        ("POS,0,4D18,-1.31,0.17POS,0,4CAD,4.56,3.29,1.54,90,x08", "4CAD@4.56,3.29,1.54"),
        ("022E[7.94,8.0 est[6.97,5.17,-1.77,53]", "T1@6.97,5.17,-1.77"),
        // Cut, or with bytes lost inside the position.
        ("POS,0,4CAD,4.56,3.29,1.54,90", "!damaged_line"),
        ("POS,0,4CAD,4.56,3.29,1.54,90,x", "!damaged_line"),
        ("POS,0,4CA,4.56,3.29,1.54,90,x08", "!damaged_line"),
        ("POS,0,4012,4.56,3.29", "!damaged_line"),
        ("POS,7.10,5.24,-2.03", "!damaged_line"),
        ("POS,7.10,5.24,-2.03,", "!damaged_line"),
        ("POS,7.10,524,-2.03,53", "!damaged_line"),
        ("POS,7.10,5.24,-2.03,153", "!damaged_line"),
        ("POS,7.10,5.24,-2.03,+53", "!damaged_line"),
        ("POS,7.10,5.24,--2.03,53", "!damaged_line"),
        ("POS,1e3,5.24,2.03,53", "!damaged_line"),
        ("POS,7.10,inf,2.03,53", "!damaged_line"),
        ("POS,7.10,5.24,-2.03,53,99", "!damaged_line"),
        ("est[6.97,5.17,-1.77,53]", "!damaged_line"),
        ("DIST,3,AN0,2F2F,3.05,2.68,0.00,2.20", "!damaged_line"),
        ("DIST,1,AN0,2F2F,3.05,2.68,0.00,2.20,POS", "!damaged_line"),
        ("POS,x,-1.23,y,0.17,z,0.39", "!damaged_line"),
        ("POS,99999999.00,5.24,-2.03,53", "!too_far"),
    ];
    for (line, expected) in cases {
        assert_eq!(outcome(line, Some("T1")), expected, "{line}");
    }
}

#[test]
fn the_shell_talking_is_nothing() {
    let lines = [
        "",
        "   ",
        "dwm> ",
        "dwm>",
        "leaps> ",
        "dwm> lec",
        "lec",
        "les",
        "# a comment, with, many, commas",
        " DWM1001 TWR Real Time Location System",
        " Copyright :  2016-2019 LEAPS and Decawave",
        " License   :  Please visit https://decawave.com/dwm1001_license",
        " Compiled  :  Mar 27 2019 03:35:59",
        " Help      :  ? or help",
    ];
    for line in lines {
        assert_eq!(outcome(line, None), "-", "{line:?}");
    }
}

#[test]
fn a_tag_without_a_solution_is_no_error() {
    let cases = [
        ("POS,0,4CAD,nan,nan,nan,0,x08", "4CAD:no_solution"),
        ("POS,nan,nan,nan,0", "T1:no_solution"),
        ("POS,1.00,-nan,2.00,0", "T1:no_solution"),
        ("DIST,1,AN0,2F2F,3.05,2.68,0.00,2.20", "T1:no_solution"),
        ("DIST,0", "T1:no_solution"),
        ("022E[7.94,8.03,0.00]=3.38 9280[7.95,0.00,0.00]=5.49 le_us=3082", "T1:no_solution"),
        ("022E[7.94,8.03,0.00]=3.38 9280[7.95,0.00,0.00]=5.49", "T1:no_solution"),
    ];
    for (line, expected) in cases {
        assert_eq!(outcome(line, Some("T1")), expected, "{line}");
    }
}

#[test]
fn without_a_device_id_the_reason_names_the_key() {
    let refusal = decode("POS,7.10,5.24,-2.03,53", None, &origin()).unwrap_err();
    assert_eq!(refusal.reason(), "no_device_id");
    assert!(refusal.to_string().contains("`device_id`"), "{refusal}");
    assert_eq!(outcome("POS,0,4D18,-1.31,0.17,0.39,47,x01", None), "4D18@-1.31,0.17,0.39");
}

proptest! {
    #[test]
    fn any_text_is_decoded_without_a_panic(line in ".*") {
        drop(decode(&line, None, &origin()));
    }

    /// Whatever is lost from the end of a whole line, no position is made of the rest.
    #[test]
    fn a_line_cut_short_gives_no_position(cut in 1_usize..34) {
        let line = "POS,0,4CAD,4.56,3.29,1.54,90,x08";
        let kept = &line[..line.len().saturating_sub(cut)];
        // A lost digit of the mark alone leaves the position whole.
        let expected = cut == 1;
        prop_assert_eq!(outcome(kept, Some("T1")).contains('@'), expected, "{}", kept);
    }

    /// Bytes lost in front of the last position never change it.
    #[test]
    fn damage_in_front_of_the_position_does_not_change_it(junk in "[A-Z0-9,.\\[\\]= ]{0,60}") {
        let line = format!("{junk},POS,2.55,2.01,1.71,98");
        prop_assert_eq!(outcome(&line, Some("T1")), "T1@2.55,2.01,1.71");
    }
}
