use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

use super::*;

/// Some JSON of one kind, about as much as so many devices take.
fn batch(device_count: usize) -> String {
    let devices = (0..device_count).map(|number| {
        let (x, y) = (number * 7919 % 100_000, number * 104_729 % 50_000);
        format!(
            r#"{{"device_id":"tag-{number:05}","x":{}.{:03},"y":{}.{:03},"z":1.25,"quality":{}}}"#,
            x / 1000,
            x % 1000,
            y / 1000,
            y % 1000,
            number % 100
        )
    });
    format!(r#"{{"type":"uwb.locations","payload":[{}]}}"#, devices.collect::<Vec<_>>().join(","))
}

/// What an independent receiver makes of the payload, with a window of so many bits.
fn inflated(payload: &[u8], window_bits: u8) -> Vec<u8> {
    let mut inflate = Decompress::new_with_window_bits(false, window_bits);
    let mut out = Vec::with_capacity(10_000_000);
    inflate.decompress_vec(&[payload, &TAIL].concat(), &mut out, FlushDecompress::Sync).unwrap();
    assert_eq!(inflate.total_in(), payload.len() as u64 + 4);
    out
}

/// The frames with every message as it was before compression; and how many were compressed.
fn plain(mut frames: &[u8], window_bits: u8) -> (Vec<u8>, usize) {
    let mut out = BytesMut::new();
    let mut deflated_count = 0;
    while let Some((first, payload, frame_bytes)) = next_frame(frames) {
        if first & COMPRESSED == 0 {
            out.put_slice(&frames[..frame_bytes]);
        } else {
            deflated_count += 1;
            let opcode = data_opcode(first & !COMPRESSED).unwrap();
            let payload = inflated(payload, window_bits);
            frame::header_into(&mut out, opcode, payload.len());
            out.put_slice(&payload);
        }
        frames = &frames[frame_bytes..];
    }
    assert!(frames.is_empty());
    (out.to_vec(), deflated_count)
}

#[test]
fn a_batch_becomes_much_smaller_with_any_window() {
    let frame = frame::text(&batch(600));
    for window_bits in 9..=15 {
        let mut deflater = Deflater::new(window_bits);
        let small = deflated(&frame, &mut deflater);
        assert!(small.len() * 2 < frame.len(), "{} of {}", small.len(), frame.len());
        assert_eq!(plain(&small, window_bits), (frame.to_vec(), 1));
        // Nothing of one message is needed for the next.
        assert_eq!(deflated(&frame, &mut deflater), small);
    }
    assert_eq!(Deflater::new(0).window_bits(), 9);
    assert_eq!(Deflater::new(99).window_bits(), 15);
}

#[test]
fn only_messages_that_become_smaller_are_changed() {
    let mut deflater = Deflater::new(15);
    let mut noise = vec![0; 3000];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut noise);
    let unchanged = [
        frame::text(&"x".repeat(PAYLOAD_BYTES_MIN - 1)),
        frame::binary(&noise),
        frame::ping(b"x"),
        frame::close(1000, ""),
        deflated(&frame::text(&batch(10)), &mut deflater),
        Bytes::new(),
    ];
    for frame in &unchanged {
        let same = deflated(frame, &mut deflater);
        assert_eq!(same, frame);
        assert_eq!(same.as_ptr(), frame.as_ptr());
    }
    let small = [frame::text(&"x".repeat(PAYLOAD_BYTES_MIN)), frame::binary(&vec![7; 70_000])];
    let mixed = Bytes::from(
        [&unchanged[0], &small[0], &unchanged[1], &unchanged[2], &small[1]].map(Bytes::as_ref).concat(),
    );
    let made = deflated(&mixed, &mut deflater);
    assert_eq!(plain(&made, 15), (mixed.to_vec(), 2));
    assert!(made.len() < mixed.len() - 70_000);
}

#[test]
fn any_number_of_messages_that_do_not_become_smaller_leave_no_trace() {
    // What zlib-rs could not give out stayed inside of it, until after some hundred messages it had no room and
    // panicked: the conformance suite's section 12.2.3 has such messages.
    let mut deflater = Deflater::new(15);
    let mut noise = [0; PAYLOAD_BYTES_MIN];
    for _ in 0..3000 {
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut noise);
        let frame = frame::binary(&noise);
        assert_eq!(deflated(&frame, &mut deflater), frame);
    }
    let frame = frame::text(&batch(20));
    assert_eq!(deflated(&frame, &mut deflater), deflated(&frame, &mut Deflater::new(15)));
}

#[test]
fn a_big_message_leaves_no_big_buffer() {
    let mut deflater = Deflater::new(12);
    deflated(&frame::binary(&vec![1; 3_000_000]), &mut deflater);
    deflated(&frame::binary(&vec![1; 3000]), &mut deflater);
    assert!(deflater.buffer.capacity() <= BUFFER_BYTES_KEPT_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_was_deflated_is_inflated_again(
        messages in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(&b"abcdef"[..]), 0..4000), 0..5_usize),
            0..6,
        ),
        window_bits in 9_u8..=15,
    ) {
        let frames = messages.iter().map(|(payload, kind)| match kind {
            0 => frame::ping(payload),
            1 | 2 => frame::binary(payload),
            _ => frame::text(str::from_utf8(payload).unwrap()),
        });
        let frames = Bytes::from(frames.collect::<Vec<_>>().concat());
        let made = deflated(&frames, &mut Deflater::new(window_bits));
        prop_assert!(made.len() <= frames.len());
        prop_assert_eq!(plain(&made, window_bits).0, frames.to_vec());
    }

    #[test]
    fn what_is_no_frame_stays_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let cut = frame::text(&"x".repeat(500));
        for bytes in [bytes.clone(), cut.slice(..400)] {
            let made = deflated(&bytes, &mut Deflater::new(9));
            prop_assert!(made.len() <= bytes.len());
        }
    }
}
