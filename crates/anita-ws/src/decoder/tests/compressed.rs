//! The compressed messages of RFC 7692, and others that were made on purpose.

use flate2::{Compress, Compression, FlushCompress};

use super::*;

/// "Hello" (RFC 7692 section 7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// The frame as the first one of a compressed message.
fn marked(mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= 0x40;
    frame
}

/// A payload as a client would compress it.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new_with_window_bits(Compression::default(), false, 15);
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 100);
    compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 255, 255]);
    out
}

fn decode_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(limits);
    decoder.accept_compressed();
    decode_with(&mut decoder, pieces)
}

fn decode_both_ways(stream: &[u8]) -> (Vec<Message>, Option<Violation>) {
    let outcome = decode_pieces([stream], LIMITS);
    assert_eq!(decode_pieces(stream.chunks(1), LIMITS), outcome);
    outcome
}

#[test]
fn the_examples_of_the_standard_are_inflated() {
    let examples: [&[u8]; 6] = [
        HELLO,
        // Without compression, section 7.2.3.3.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // A last block that more follows, section 7.2.3.4.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // Two blocks, section 7.2.3.5.
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        // A last block and nothing after it, as some senders do it.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // A message in two streams.
        &[&deflated(b"Hel")[..], &[0x00, 0x00, 0xff, 0xff], &deflated(b"lo")].concat(),
    ];
    for example in examples {
        let whole = marked(whole(Opcode::Text, example));
        assert_eq!(decode_both_ways(&whole), (vec![text("Hello")], None), "{example:x?}");
        for cut in 0..=example.len() {
            let fragments = [
                marked(part(Opcode::Text, &example[..cut])),
                super::whole(Opcode::Ping, b"p"),
                part(Opcode::Continuation, b""),
                super::whole(Opcode::Continuation, &example[cut..]),
                super::whole(Opcode::Text, b"plain"),
            ];
            let messages = vec![Message::Ping(bytes(b"p")), text("Hello"), text("plain")];
            assert_eq!(decode_both_ways(&fragments.concat()), (messages, None), "{cut} of {example:x?}");
        }
    }
    for empty in [&[0x00][..], &[], &[0x02, 0x00]] {
        assert_eq!(
            decode_both_ways(&marked(whole(Opcode::Binary, empty))).0,
            [Message::Binary(Bytes::new())]
        );
    }
}

#[test]
fn the_bit_stands_on_the_first_frame_of_a_message_only() {
    let refused = [
        vec![marked(whole(Opcode::Ping, b""))],
        vec![marked(whole(Opcode::Close, b""))],
        vec![marked(part(Opcode::Text, HELLO)), marked(whole(Opcode::Continuation, b""))],
        vec![part(Opcode::Text, b"a"), marked(whole(Opcode::Continuation, b"b"))],
        vec![vec![0xa1, 0x80]],
        vec![vec![0xd1, 0x80]],
    ];
    for frames in refused {
        assert_eq!(decode_both_ways(&frames.concat()).1, Some(Violation::ReservedBits), "{frames:x?}");
    }
    let interrupted = [marked(part(Opcode::Text, HELLO)), marked(whole(Opcode::Text, HELLO))].concat();
    assert_eq!(decode_both_ways(&interrupted).1, Some(Violation::ExpectedContinuation));
    let hello = marked(whole(Opcode::Text, HELLO));
    assert_eq!(decode([&hello[..]], LIMITS).1, Some(Violation::ReservedBits));
}

#[test]
fn what_cannot_be_inflated_is_refused() {
    let long = deflated(&b"some text, and some more of the same text".repeat(9));
    let refused: [&[u8]; 6] = [
        // A kind of block that does not exist.
        &[0x06],
        &[0xff; 9],
        // The length of a stored block and its complement do not fit.
        &[0x00, 0x05, 0x00, 0x05, 0x00],
        // Ends inside a block, and inside a stored one.
        &long[..long.len() / 2],
        &[0x00, 0xff, 0x00, 0x00, 0xff, b'a'],
        // A repetition of what was before the beginning.
        &[0x4a, 0x04, 0x11, 0x00],
    ];
    for payload in refused {
        let of_binary = decode_both_ways(&marked(whole(Opcode::Binary, payload))).1;
        assert_eq!(of_binary, Some(Violation::NotDeflate), "{payload:x?}");
        let of_text = decode_both_ways(&marked(whole(Opcode::Text, payload))).1;
        assert_eq!(of_text.map(Violation::close_code), Some(1007), "{payload:x?}");
    }
    assert_eq!(Violation::NotDeflate.close_code(), 1007);
}

#[test]
fn the_limit_is_for_what_comes_out() {
    let refused = Some(Violation::MessageTooBig { bytes_max: 1000 });
    let message = |length| marked(whole(Opcode::Binary, &deflated(&vec![7; length])));
    assert_eq!(decode_both_ways(&message(1000)), (vec![Message::Binary(bytes(&[7; 1000]))], None));
    assert_eq!(decode_both_ways(&message(1001)).1, refused);
    // Also over fragments, and with bytes that do not become fewer.
    let noise: Vec<u8> =
        (0..1001_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (length, expected) in [(1000, None), (1001, refused)] {
        let payload = deflated(&noise[..length]);
        let (first, second) = payload.split_at(500);
        let frames = [marked(part(Opcode::Binary, first)), whole(Opcode::Continuation, second)].concat();
        assert_eq!(decode_both_ways(&frames).1, expected);
    }
    // Bytes that nothing comes out of are limited by the headers.
    let claims = |length: u16| [&[0xc2, 0xfe][..], &length.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(decode_both_ways(&claims(1000 + 125 + 1024)).1, None);
    assert_eq!(decode_both_ways(&claims(1000 + 125 + 1025)).1, refused);
    let empty_blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(200);
    let mut endless = marked(part(Opcode::Text, &empty_blocks));
    endless.extend(part(Opcode::Continuation, &empty_blocks));
    assert_eq!(decode_both_ways(&endless).1, None);
    endless.extend(part(Opcode::Continuation, &empty_blocks));
    assert_eq!(decode_both_ways(&endless).1, refused);
}

#[test]
fn a_bomb_is_stopped_before_it_costs_memory() {
    let bomb = marked(whole(Opcode::Text, &deflated(&vec![b'x'; 20_000_000])));
    assert!(bomb.len() < 25_000);
    let limits = Limits { message_bytes_max: 256 * 1024, ..LIMITS };
    for piece_bytes in [100, 8192] {
        let mut decoder = Decoder::new(limits);
        decoder.accept_compressed();
        let mut held_max = 0;
        let violation = bomb.chunks(piece_bytes).find_map(|piece| {
            decoder.buffer_mut().extend_from_slice(piece);
            let outcome = decoder.next_message();
            held_max = held_max.max(decoder.held_bytes());
            outcome.err()
        });
        assert_eq!(violation, Some(Violation::MessageTooBig { bytes_max: 256 * 1024 }));
        assert_eq!(violation.map(Violation::close_code), Some(1009));
        let bound = 256 * 1024 + 48 * 1024 + 2 * piece_bytes + 1024;
        assert!(held_max < bound, "{held_max}");
        assert_eq!(decoder.held_bytes(), 0);
    }
}

#[test]
fn wrong_text_is_refused_before_the_message_has_ended() {
    // Stored, so that each byte comes out when it goes in.
    let stored = [&[0x00, 0x08, 0x00, 0xf7, 0xff][..], b"ok\xf4\x90...."].concat();
    let stream = marked(whole(Opcode::Text, &stored));
    let mut decoder = Decoder::new(LIMITS);
    decoder.accept_compressed();
    for (index, byte) in stream[..14].iter().enumerate() {
        decoder.buffer_mut().extend_from_slice(&[*byte]);
        assert_eq!(decoder.next_message(), Ok(None), "byte {index}");
    }
    decoder.buffer_mut().extend_from_slice(&stream[14..15]);
    assert_eq!(decoder.next_message(), Err(Violation::NotUtf8));
    let half = marked(whole(Opcode::Text, &deflated(b"\xc3")));
    assert_eq!(decode_both_ways(&half).1, Some(Violation::NotUtf8));
}

#[test]
fn no_memory_is_held_between_compressed_messages() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.accept_compressed();
    let payload = deflated(&[b'x'; 10_000]);
    decoder.buffer_mut().extend_from_slice(&marked(part(Opcode::Text, &payload)));
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.held_bytes() > 10_000);
    decoder.buffer_mut().extend_from_slice(&whole(Opcode::Continuation, b""));
    assert!(matches!(decoder.next_message(), Ok(Some(Message::Text(_)))));
    assert_eq!(decoder.next_message(), Ok(None));
    assert_eq!(decoder.held_bytes(), 0);
    assert!(size_of::<Decoder>() <= 152, "{}", size_of::<Decoder>());
}

/// What to change of a payload, and where.
type Change = (prop::sample::Index, u8);

proptest! {
    #[test]
    fn compressed_messages_in_any_pieces_are_what_they_were(
        payload in ".{0,300}",
        cut in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1_usize..60, 1..10),
    ) {
        let limits = Limits { message_bytes_max: payload.len(), ..LIMITS };
        let small = deflated(payload.as_bytes());
        let (first, second) = small.split_at(cut.index(small.len() + 1));
        let stream = [
            marked(part(Opcode::Text, first)),
            whole(Opcode::Continuation, second),
            marked(whole(Opcode::Binary, &small)),
        ].concat();
        let messages = vec![text(&payload), Message::Binary(bytes(payload.as_bytes()))];
        prop_assert_eq!(decode_pieces(pieces(&stream, &sizes), limits), (messages.clone(), None));
        prop_assert_eq!(decode_pieces([&stream[..]], limits), (messages, None));
    }

    #[test]
    fn any_compressed_bytes_in_any_pieces_come_to_the_same_and_memory_is_bounded(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (".{0,2000}", prop::collection::vec(any::<Change>(), 0..3)).prop_map(|(text, changes)| {
                let mut payload = deflated(text.as_bytes());
                for (at, byte) in changes {
                    let at = at.index(payload.len());
                    payload[at] = byte;
                }
                payload
            }),
        ],
        opcode in prop::sample::select(&[Opcode::Text, Opcode::Binary][..]),
        sizes in prop::collection::vec(1_usize..60, 1..10),
    ) {
        let stream = marked(whole(opcode, &payload));
        let (messages, violation) = decode_pieces([&stream[..]], LIMITS);
        let split = decode_pieces(pieces(&stream, &sizes), LIMITS);
        prop_assert_eq!(split.1, violation);
        prop_assert_eq!(split.0, messages);

        let mut decoder = Decoder::new(LIMITS);
        decoder.accept_compressed();
        for piece in pieces(&stream, &sizes) {
            decoder.buffer_mut().extend_from_slice(piece);
            while let Ok(Some(_)) = decoder.next_message() {}
            let bound = 4 * LIMITS.message_bytes_max + inflate::STATE_BYTES + 200;
            prop_assert!(decoder.held_bytes() <= bound);
        }
    }
}
