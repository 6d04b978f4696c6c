use super::*;
use proptest::prelude::*;
use std::io::BufReader;

/// A recording as one text a line of outcome: `line at_ms taken_ms id x,y,z`, or the error with its source.
fn outcome(format: Format, text: &str) -> (Vec<String>, u64) {
    let mut reader = Reader::new(format, text.as_bytes());
    let lines = reader
        .by_ref()
        .map(|entry| match entry {
            Ok(entry) => {
                let Entry { line, at, taken_us, device, position, .. } = entry;
                let (x, y, z) = (position.x_m(), position.y_m(), position.z_m());
                format!("{line} {} {} {device} {x},{y},{z}", at.as_millis(), taken_us / 1_000)
            }
            Err(ReadError::Line { line, malformed }) => format!("{line} !{}", malformed.reason()),
            Err(error) => error.to_string(),
        })
        .collect();
    (lines, reader.skipped_count())
}

#[test]
fn the_header_decides_which_column_is_what() {
    let text = "\u{feff}note,z_m,tag_id,x_m,y_m,t_s\r\n,0.5,\"A,1\",1,2,10.5\r\n\r\nx,0.5,B,3,4,11\r\nx,0.5,B,,4,12\r\n";
    let (lines, skipped_count) = outcome(Format::Csv, text);
    assert_eq!(lines, ["2 0 0 A,1 1,2,0.5", "4 500 500 B 3,4,0.5"]);
    assert_eq!(skipped_count, 1);
}

#[test]
fn a_header_without_a_needed_column_ends_the_reading() {
    let (lines, _) = outcome(Format::Csv, "t_s,tag_id,x_m,y_m\n0,A,1,2\n");
    assert_eq!(lines, ["line 1: the header has no column `z_m`; it must name t_s,tag_id,x_m,y_m,z_m"]);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_next_one_is_read() {
    let text = "t_s,tag_id,x_m,y_m,z_m\n0,A,1,2,3\n1,A,one,2,3\nsoon,A,1,2,3\n2,,1,2,3\n2,A,inf,2,3\n2,A,1e9,2,3\n2,A\n3,A,1,2,4\n";
    let (lines, skipped_count) = outcome(Format::Csv, text);
    let expected = [
        "2 0 0 A 1,2,3",
        "3 !not_a_number",
        "4 !not_a_number",
        "5 !bad_id",
        "6 !not_finite",
        "7 !too_far",
        "8 !missing_field",
        "9 3000 3000 A 1,2,4",
    ];
    assert_eq!(lines, expected);
    assert_eq!(skipped_count, 0);
}

#[test]
fn an_entry_out_of_order_is_due_with_the_one_before_it() {
    let text = "t_s,tag_id,x_m,y_m,z_m\n5,A,1,2,3\n4.9,B,1,2,3\n5.2,A,1,2,3\n5.1,B,1,2,3\n";
    let (lines, _) = outcome(Format::Csv, text);
    assert_eq!(lines, ["2 0 0 A 1,2,3", "3 0 -100 B 1,2,3", "4 200 200 A 1,2,3", "5 200 100 B 1,2,3"]);
}

#[test]
fn every_dialect_of_ndjson_is_read() {
    let text = r#"{"t_s":0,"tag_id":7,"x_m":"1.5","y_m":2,"z_m":3}
{"t_s":1,"tag_id":"7","x_m":null,"y_m":2,"z_m":3}
{"t_s":1,"tag_id":"7","x_m":"","y_m":2,"z_m":3}
{"t_s":1,"tag_id":"7","y_m":2,"z_m":3}
{"device_id":"A","location":{"x":1,"y":2,"z":3},"timestamp":"1970-01-01T00:00:02.5Z"}
{"device_id":"A","location":null}
{"device_id":"A","location":{"x":1,"y":2,"z":3}}
{"device_id":"A","location":{"x":1,"y":2,"z":3},"timestamp":"soon"}
{"type":"uwb.location","payload":{"device_id":"A","location":{"x":4,"y":2,"z":3},"timestamp":"1970-01-01T00:00:03Z"},"seq":1}
{"type":"system.heartbeat","payload":{"server_time":"1970-01-01T00:00:03Z"}}
[{"version":"2.0","tagId":"9","timestamp":4.5,"success":true,"data":{"coordinates":{"x":1000,"y":2500,"z":0}}},{"tagId":"9","timestamp":4.6,"success":false}]
[1,{"tagId":"9","success":true,"data":{"coordinates":{"x":1000,"y":2500,"z":0}}}]
{}
{"a
"#;
    let (lines, skipped_count) = outcome(Format::Ndjson, text);
    let expected = [
        "1 0 0 7 1.5,2,3",
        "4 !missing_field",
        "5 2500 2500 A 1,2,3",
        "7 !missing_field",
        "8 !bad_time",
        "9 3000 3000 A 4,2,3",
        "11 4500 4500 9 1,2.5,0",
        "12 !wrong_shape",
        "12 !missing_field",
        "13 !wrong_shape",
        "14 !not_json",
    ];
    assert_eq!(lines, expected);
    assert_eq!(skipped_count, 5);
}

#[test]
fn an_endless_line_is_refused_in_bounded_memory() {
    let long = usize::try_from(LINE_BYTES_MAX).unwrap() + 10;
    let text = format!("t_s,tag_id,x_m,y_m,z_m\n{}\n0,A,1,2,3\n", "9".repeat(long));
    assert_eq!(outcome(Format::Csv, &text).0, ["2 !damaged_line", "3 0 0 A 1,2,3"]);
}

#[test]
fn a_file_that_breaks_ends_the_reading_once() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let mut reader = Reader::new(Format::Csv, BufReader::new(Broken));
    assert!(matches!(reader.next(), Some(Err(ReadError::Io(_)))));
    assert!(reader.next().is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_the_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        for format in [Format::Csv, Format::Ndjson] {
            prop_assert!(Reader::new(format, bytes.as_slice()).count() <= bytes.len());
        }
    }
}

#[test]
fn an_export_of_the_hub_is_a_recording() {
    let text = "device_id,timestamp,received_at,x_m,y_m,z_m,accuracy_m,floor,battery_percent,source,site,sequence\r\n\
        tag-1,2026-03-01T12:00:00.000000Z,2026-03-01T12:00:01.000000Z,1,2,3,,,,hall,main,\r\n\
        \"cart \"\"7\"\", red\",2026-03-01T12:00:00.250000Z,2026-03-01T12:00:01.000000Z,1.235,0,2,0.25,-1.5,87.6,hall,north,7\r\n\
        tag-1,noon,,1,2,3,,,,,,\r\n";
    let (lines, _) = outcome(Format::Csv, text);
    assert_eq!(lines, ["2 0 0 tag-1 1,2,3", "3 250 250 cart \"7\", red 1.235,0,2", "4 !bad_time"]);
    let entry = Reader::new(Format::Csv, text.as_bytes()).nth(1).unwrap().unwrap();
    assert_eq!((entry.accuracy_m, entry.floor, entry.battery_percent), (Some(0.25), Some(-1.5), Some(87.6)));
    assert_eq!(entry.sequence, Some(7));
}
