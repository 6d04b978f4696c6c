mod compressed;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::CloseFrame;
use crate::client_frame::{KEY, masked, part, whole};

const LIMITS: Limits = Limits { message_bytes_max: 1000, fragment_count_max: 4, queue_bytes_max: 0 };

/// What the decoder makes of a stream that comes in these pieces: the messages up to the violation, if there is one.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> (Vec<Message>, Option<Violation>) {
    decode_with(&mut Decoder::new(limits), pieces)
}

fn decode_with<'a>(
    decoder: &mut Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Option<Violation>) {
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.buffer_mut().extend_from_slice(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(decoder.next_message(), Err(violation));
                    return (messages, Some(violation));
                }
            }
        }
    }
    (messages, None)
}

/// Decodes a stream as a whole and byte by byte, which must make no difference.
fn decode_both_ways(stream: &[u8]) -> (Vec<Message>, Option<Violation>) {
    let outcome = decode([stream], LIMITS);
    assert_eq!(decode(stream.chunks(1), LIMITS), outcome);
    outcome
}

fn text(text: &str) -> Message {
    Message::Text(Text::from(text))
}

fn bytes(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload)
}

#[test]
fn conversations_become_messages() {
    let closing = CloseFrame { code: 4500, reason: Text::from("why") };
    let cases: Vec<(Vec<Vec<u8>>, Vec<Message>)> = vec![
        (vec![], vec![]),
        (vec![whole(Opcode::Text, b"")], vec![text("")]),
        (vec![whole(Opcode::Text, "hällo".as_bytes())], vec![text("hällo")]),
        (vec![whole(Opcode::Binary, &[255; 300])], vec![Message::Binary(bytes(&[255; 300]))]),
        (
            vec![
                whole(Opcode::Text, b"a"),
                whole(Opcode::Ping, b"b"),
                whole(Opcode::Pong, b""),
                whole(Opcode::Binary, b""),
            ],
            vec![
                text("a"),
                Message::Ping(bytes(b"b")),
                Message::Pong(bytes(b"")),
                Message::Binary(bytes(b"")),
            ],
        ),
        // Fragments, cut inside a character, with control frames between them.
        (
            vec![
                part(Opcode::Text, b"\xf0\x9f"),
                whole(Opcode::Ping, b"1"),
                part(Opcode::Continuation, b"\x98"),
                whole(Opcode::Pong, b"2"),
                part(Opcode::Continuation, b""),
                whole(Opcode::Continuation, b"\x80"),
                whole(Opcode::Text, b"next"),
            ],
            vec![Message::Ping(bytes(b"1")), Message::Pong(bytes(b"2")), text("😀"), text("next")],
        ),
        (
            vec![part(Opcode::Binary, b"\xff"), whole(Opcode::Continuation, b"\xfe")],
            vec![Message::Binary(bytes(b"\xff\xfe"))],
        ),
        // Nothing is heard after a close frame.
        (
            vec![part(Opcode::Text, b"a"), whole(Opcode::Close, b"\x11\x94why"), vec![0xff; 30]],
            vec![Message::Close(Some(closing))],
        ),
        (vec![whole(Opcode::Close, b"")], vec![Message::Close(None)]),
    ];
    for (frames, expected) in cases {
        assert_eq!(decode_both_ways(&frames.concat()), (expected, None), "{frames:x?}");
    }
}

#[test]
fn violations_are_refused_with_their_code() {
    let fragment = || part(Opcode::Text, b"x");
    let middle = || part(Opcode::Continuation, b"");
    let cases: Vec<(Vec<Vec<u8>>, Violation, u16)> = vec![
        (vec![vec![0xc1, 0x80]], Violation::ReservedBits, 1002),
        (vec![vec![0xa1, 0x80]], Violation::ReservedBits, 1002),
        (vec![vec![0x98, 0x80]], Violation::ReservedBits, 1002),
        (vec![vec![0x83, 0x80]], Violation::UnknownOpcode(3), 1002),
        (vec![vec![0x8b, 0x80]], Violation::UnknownOpcode(11), 1002),
        (vec![vec![0x81, 0x00]], Violation::Unmasked, 1002),
        (vec![part(Opcode::Ping, b"")], Violation::FragmentedControl, 1002),
        (vec![vec![0x89, 0xfe]], Violation::ControlTooLong, 1002),
        (vec![vec![0x88, 0xff]], Violation::ControlTooLong, 1002),
        (vec![vec![0x81, 0xfe, 0, 125]], Violation::LengthNotMinimal, 1002),
        (vec![vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255]], Violation::LengthNotMinimal, 1002),
        (vec![vec![0x81, 0xff, 128, 0, 0, 0, 0, 1, 0, 0]], Violation::LengthTopBit, 1002),
        (vec![whole(Opcode::Continuation, b"")], Violation::UnexpectedContinuation, 1002),
        (vec![fragment(), whole(Opcode::Text, b"")], Violation::ExpectedContinuation, 1002),
        (vec![fragment(), part(Opcode::Binary, b"")], Violation::ExpectedContinuation, 1002),
        (vec![whole(Opcode::Close, b"x")], Violation::ClosePayload, 1002),
        (vec![whole(Opcode::Close, b"\x03\xed")], Violation::CloseCode(1005), 1002),
        (vec![whole(Opcode::Close, b"\x03\xe8\xff")], Violation::NotUtf8, 1007),
        (vec![whole(Opcode::Text, b"a\xff")], Violation::NotUtf8, 1007),
        (vec![whole(Opcode::Text, b"\xc3")], Violation::NotUtf8, 1007),
        (vec![part(Opcode::Text, b"\xc3"), whole(Opcode::Continuation, b"")], Violation::NotUtf8, 1007),
        (
            vec![fragment(), middle(), middle(), middle(), middle()],
            Violation::TooManyFragments { count_max: 4 },
            1009,
        ),
    ];
    for (frames, expected, code) in cases {
        assert_eq!(decode_both_ways(&frames.concat()).1, Some(expected), "{frames:x?}");
        assert_eq!(expected.close_code(), code);
    }
}

#[test]
fn a_message_that_is_too_big_is_refused_by_its_header() {
    let refused = Some(Violation::MessageTooBig { bytes_max: 1000 });
    let header = |opcode, payload_bytes| whole(opcode, &vec![b'x'; payload_bytes])[..8].to_vec();
    assert_eq!(decode_both_ways(&header(Opcode::Text, 1000)), (vec![], None));
    assert_eq!(decode_both_ways(&header(Opcode::Text, 1001)), (vec![], refused));
    // The longest length there is.
    assert_eq!(decode_both_ways(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), (vec![], refused));
    // All fragments count together.
    let first = part(Opcode::Binary, &[0; 500]);
    assert_eq!(
        decode_both_ways(&[first.clone(), header(Opcode::Continuation, 500)].concat()),
        (vec![], None)
    );
    assert_eq!(decode_both_ways(&[first, header(Opcode::Continuation, 501)].concat()), (vec![], refused));
}

#[test]
fn text_is_refused_at_its_first_wrong_byte() {
    for opcode in [Opcode::Text, Opcode::Continuation] {
        let mut stream = if opcode == Opcode::Text { vec![] } else { part(Opcode::Text, b"\xf4") };
        let wrong: &[u8] = if opcode == Opcode::Text { b"ok\xf4\x90..." } else { b"\x90....." };
        let at = stream.len() + 6 + if opcode == Opcode::Text { 3 } else { 0 };
        stream.extend(whole(opcode, wrong));
        let mut decoder = Decoder::new(LIMITS);
        for (index, byte) in stream.iter().enumerate() {
            decoder.buffer_mut().extend_from_slice(&[*byte]);
            let expected = if index < at { Ok(None) } else { Err(Violation::NotUtf8) };
            assert_eq!(decoder.next_message(), expected, "byte {index}");
        }
    }
}

/// What is begun and not complete can be given a deadline.
#[test]
fn a_message_is_under_way_from_its_first_byte_to_its_last() {
    let frames = [
        (part(Opcode::Text, b"ab"), true),
        (whole(Opcode::Ping, b"between"), true),
        (part(Opcode::Continuation, b""), true),
        (whole(Opcode::Continuation, b"c"), false),
        (whole(Opcode::Pong, b"alone"), false),
        (whole(Opcode::Binary, &[7; 300]), false),
        (part(Opcode::Binary, b"cut off by the end"), true),
        (whole(Opcode::Close, b""), false),
    ];
    let mut decoder = Decoder::new(LIMITS);
    assert!(!decoder.is_mid_message());
    for (frame, is_mid_after) in &frames {
        for (index, byte) in frame.iter().enumerate() {
            decoder.buffer_mut().extend_from_slice(&[*byte]);
            decoder.next_message().unwrap();
            let expected = *is_mid_after || index + 1 < frame.len();
            assert_eq!(decoder.is_mid_message(), expected, "byte {index} of {frame:x?}");
        }
    }
    let mut decoder = Decoder::new(LIMITS);
    decoder.buffer_mut().extend_from_slice(b"\x81\x00");
    decoder.next_message().unwrap_err();
    assert!(!decoder.is_mid_message());
}

#[test]
fn no_memory_is_held_between_frames() {
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.held_bytes(), 0);
    for frames in [
        whole(Opcode::Text, &vec![b'x'; 100_000]),
        [part(Opcode::Text, b"a"), whole(Opcode::Continuation, b"b")].concat(),
    ] {
        decoder.buffer_mut().extend_from_slice(&frames);
        assert!(matches!(decoder.next_message(), Ok(Some(Message::Text(_)))));
        assert_eq!(decoder.next_message(), Ok(None));
        assert_eq!(decoder.held_bytes(), 0);
    }
}

#[test]
fn a_big_message_is_not_kept_by_the_bytes_after_it() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.buffer_mut().extend_from_slice(&whole(Opcode::Binary, &vec![0; 200_000]));
    decoder.buffer_mut().extend_from_slice(&whole(Opcode::Text, b"next")[..5]);
    assert!(matches!(decoder.next_message(), Ok(Some(Message::Binary(_)))));
    assert!(decoder.held_bytes() < 100, "{}", decoder.held_bytes());
}

#[test]
fn a_whole_message_is_not_copied() {
    let mut decoder = Decoder::new(Limits::default());
    decoder
        .buffer_mut()
        .extend_from_slice(&[whole(Opcode::Text, &[b'x'; 500]), whole(Opcode::Binary, b"y")].concat());
    let received = decoder.buffer_mut().as_ptr_range();
    let Ok(Some(Message::Text(text))) = decoder.next_message() else { panic!("no text") };
    assert!(received.contains(&text.as_str().as_ptr()));
}

/// A valid stream: messages whole or in fragments, control frames anywhere, and what it means.
fn conversation() -> impl Strategy<Value = (Vec<u8>, Vec<Message>)> {
    let message = prop_oneof![
        ".{0,40}".prop_map(|content| (Opcode::Text, content.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|content| (Opcode::Binary, content)),
        prop::collection::vec(any::<u8>(), 0..126).prop_map(|content| (Opcode::Ping, content)),
        prop::collection::vec(any::<u8>(), 0..126).prop_map(|content| (Opcode::Pong, content)),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop::collection::vec((message, any::<[u8; 4]>(), cuts, any::<bool>()), 0..8).prop_map(|entries| {
        let mut stream = Vec::new();
        let mut messages = Vec::new();
        for ((opcode, payload), key, cuts, has_ping_inside) in entries {
            let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            bounds.extend([0, payload.len()]);
            bounds.sort_unstable();
            if opcode.is_control() {
                bounds = vec![0, payload.len()];
            }
            let last = bounds.len() - 2;
            for (index, bound) in bounds.windows(2).enumerate() {
                let opcode = if index == 0 { opcode } else { Opcode::Continuation };
                let mut frame = masked(key, opcode, &payload[bound[0]..bound[1]]);
                if index < last {
                    frame[0] &= 0x7f;
                }
                stream.extend(frame);
                if has_ping_inside && index < last {
                    stream.extend(whole(Opcode::Ping, b"inside"));
                    messages.push(Message::Ping(bytes(b"inside")));
                }
            }
            messages.push(match opcode {
                Opcode::Text => Message::Text(Text::try_from(Bytes::from(payload)).unwrap()),
                Opcode::Ping => Message::Ping(payload.into()),
                Opcode::Pong => Message::Pong(payload.into()),
                Opcode::Binary | Opcode::Close | Opcode::Continuation => Message::Binary(payload.into()),
            });
        }
        (stream, messages)
    })
}

/// Bytes that are likely to be taken for frames: random ones, or a valid stream with some bytes changed.
fn suspicious() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changed =
        (conversation(), prop::collection::vec(change, 0..4)).prop_map(|((mut stream, _), changes)| {
            for (at, byte) in changes {
                if !stream.is_empty() {
                    let at = at.index(stream.len());
                    stream[at] = byte;
                }
            }
            stream
        });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed]
}

fn pieces<'a>(mut stream: &'a [u8], sizes: &'a [usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_its_messages(
        (stream, messages) in conversation(),
        sizes in prop::collection::vec(1_usize..100, 1..10),
    ) {
        let limits = Limits { message_bytes_max: 1000, fragment_count_max: 5, queue_bytes_max: 0 };
        prop_assert_eq!(decode([&stream[..]], limits), (messages.clone(), None));
        prop_assert_eq!(decode(pieces(&stream, &sizes), limits), (messages, None));
    }

    #[test]
    fn any_split_of_any_bytes_gives_the_same_and_memory_is_bounded(
        stream in suspicious(),
        sizes in prop::collection::vec(1_usize..50, 1..10),
    ) {
        let (messages, violation) = decode([&stream[..]], LIMITS);
        let split = decode(pieces(&stream, &sizes), LIMITS);
        prop_assert_eq!(split.1.map(Violation::close_code), violation.map(Violation::close_code));
        prop_assert_eq!(split.0, messages);

        let mut decoder = Decoder::new(LIMITS);
        for piece in pieces(&stream, &sizes) {
            decoder.buffer_mut().extend_from_slice(piece);
            while let Ok(Some(_)) = decoder.next_message() {}
            prop_assert!(decoder.held_bytes() <= 4 * LIMITS.message_bytes_max + 200);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn what_is_masked_is_decoded(payload in prop::collection::vec(any::<u8>(), 0..70_000), key in any::<[u8; 4]>()) {
        let stream = masked(key, Opcode::Binary, &payload);
        let outcome = decode([&stream[..]], Limits::default());
        prop_assert_eq!(outcome, (vec![Message::Binary(payload.into())], None));
    }
}

#[test]
fn the_key_of_the_standards_example_is_used() {
    assert_eq!(KEY, [0x37, 0xfa, 0x21, 0x3d]);
    assert_eq!(whole(Opcode::Text, b"Hello"), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
}
