//! Compressed messages (RFC 7692 sections 6 and 7.2): the standard's own bytes, bombs, and what the server sends.

use anita_ws::{Agreed, Decoder, Limits, Violation};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::peer::{
    BINARY, CLOSE, CONTINUATION, FIN, Heard, PING, RSV1, TEXT, agreed_on, agreed_plainly, close_payload,
    connected, decode, echo_over_tcp, echoed, hear, part, raw, say, whole,
};

const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// "Hello" compressed (section 7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

const MIB: usize = 1024 * 1024;

/// A whole compressed frame.
fn compressed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(FIN | RSV1 | opcode, payload)
}

/// A payload as a client compresses it, with a window of so many bits.
fn deflated(payload: &[u8], window_bits: u8) -> Vec<u8> {
    let mut compress = Compress::new_with_window_bits(Compression::best(), false, window_bits);
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 100);
    compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(compress.total_in(), payload.len() as u64);
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 255, 255]);
    out
}

/// A payload as a client inflates it that has no more than a window of so many bits. `None`: it cannot.
fn inflated(payload: &[u8], window_bits: u8) -> Option<Vec<u8>> {
    let mut inflate = Decompress::new_with_window_bits(false, window_bits);
    let input = [payload, &[0, 0, 255, 255]].concat();
    let mut out = Vec::with_capacity(1 << 20);
    inflate.decompress_vec(&input, &mut out, FlushDecompress::Sync).ok()?;
    Some(out)
}

/// What inflates to so many mebibytes of zeros: the same kibibyte again and again.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let piece = [&deflated(&vec![0; MIB], 15)[..], &[0, 0, 255, 255]].concat();
    let mut all = piece.repeat(mebibytes);
    all.truncate(all.len() - 4);
    all
}

async fn echoed_with_deflate(bytes: &[u8]) -> Vec<Heard> {
    echoed(Limits::default(), Some(agreed_plainly()), bytes).await
}

#[tokio::test]
async fn the_messages_of_the_standard_are_understood() {
    let examples: [&[u8]; 4] = [
        // Section 7.2.3.1: one block.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // Section 7.2.3.3: a block without compression.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // Section 7.2.3.4: a block that says it is the last one.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // Section 7.2.3.5: two blocks.
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for example in examples {
        let heard = echoed_with_deflate(&compressed(TEXT, example)).await;
        assert_eq!(heard, [Heard::of(TEXT, b"Hello")], "{example:x?}");
    }
    // Section 7.2.3.1, in two fragments as it stands there: 0x41 … 0x80 ….
    let fragments = [raw(RSV1 | TEXT, &HELLO[..3]), raw(FIN, &HELLO[3..])].concat();
    assert_eq!(echoed_with_deflate(&fragments).await, [Heard::of(TEXT, b"Hello")]);
    // The unmasked frames of RFC 6455 section 5.7, masked.
    let plain = [part(TEXT, b"Hel"), whole(CONTINUATION, b"lo")].concat();
    assert_eq!(echoed_with_deflate(&plain).await, [Heard::of(TEXT, b"Hello")]);
}

#[tokio::test]
async fn the_frames_of_rfc_6455_are_understood_to_the_byte() {
    // Section 5.7: a masked text, a masked pong for the ping, both with the key 37 fa 21 3d.
    let text = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let asks = b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let unasked = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let heard = echoed(Limits::default(), None, &[&text[..], unasked, asks].concat()).await;
    let mut payloads = heard.into_iter();
    let mut next = || payloads.next().map(|frame| (frame.first, frame.payload));
    // Exactly the bytes `81 05 48 65 6c 6c 6f` and `8a 05 48 65 6c 6c 6f`; the pong may overtake.
    let answers = [next(), next()];
    assert!(answers.contains(&Some((0x81, b"Hello".to_vec()))), "{answers:x?}");
    assert!(answers.contains(&Some((0x8a, b"Hello".to_vec()))), "{answers:x?}");
    assert_eq!(next(), None);
}

#[tokio::test]
async fn a_message_that_refers_to_the_one_before_it_is_refused_because_that_was_agreed() {
    // Section 7.2.3.2: the second "Hello" of a client that takes over its context.
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let heard = echoed_with_deflate(&[compressed(TEXT, HELLO), compressed(TEXT, &second)].concat()).await;
    assert_eq!(heard[0], Heard::of(TEXT, b"Hello"));
    assert_eq!((heard.len(), heard[1].close_code()), (2, Some(1007)));
}

#[tokio::test]
async fn an_empty_compressed_message_is_an_empty_message() {
    for opcode in [TEXT, BINARY] {
        // Section 7.2.3.6, and a message without any byte, as some clients send it.
        for payload in [&[0x00][..], &[], &[0x02, 0x00]] {
            let heard = echoed_with_deflate(&compressed(opcode, payload)).await;
            assert_eq!(heard, [Heard::of(opcode, b"")], "{payload:x?}");
        }
    }
}

#[tokio::test]
async fn plain_and_compressed_messages_may_take_turns() {
    let said =
        [whole(TEXT, b"plain"), compressed(TEXT, HELLO), whole(BINARY, HELLO), compressed(BINARY, HELLO)];
    let heard = echoed_with_deflate(&said.concat()).await;
    let expected = [
        Heard::of(TEXT, b"plain"),
        Heard::of(TEXT, b"Hello"),
        Heard::of(BINARY, HELLO),
        Heard::of(BINARY, b"Hello"),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn the_bit_of_compression_belongs_to_the_first_frame_of_a_message() {
    let wrong = [
        vec![raw(FIN | RSV1 | PING, b"")],
        vec![raw(FIN | RSV1 | CLOSE, &close_payload(1000, b""))],
        vec![raw(FIN | RSV1 | 0xa, b"")],
        vec![raw(RSV1 | TEXT, HELLO), raw(FIN | RSV1 | CONTINUATION, b"")],
        vec![part(TEXT, b"a"), raw(FIN | RSV1 | CONTINUATION, HELLO)],
        vec![raw(RSV1 | TEXT, HELLO), raw(RSV1 | CONTINUATION, b"")],
    ];
    for frames in wrong {
        let heard = echoed_with_deflate(&frames.concat()).await;
        assert_eq!((heard.len(), heard[0].close_code()), (1, Some(1002)), "{frames:x?}");
    }
    let heard = echoed(Limits::default(), None, &compressed(TEXT, HELLO)).await;
    assert_eq!(heard[0].close_code(), Some(1002), "nothing was agreed on");
}

#[tokio::test]
async fn a_client_may_use_any_window_whatever_it_was_told() {
    let text = "far apart, ".repeat(4000);
    for window_bits in 9..=15 {
        let heard = echoed_with_deflate(&compressed(TEXT, &deflated(text.as_bytes(), window_bits))).await;
        assert_eq!(heard[0].first, FIN | RSV1 | TEXT);
        assert_eq!(inflated(&heard[0].payload, 15).as_deref(), Some(text.as_bytes()));
    }
}

/// Bytes that repeat themselves after 20,000, so that only a large window is of use.
fn repeating_late() -> Vec<u8> {
    let mut number = 1_u32;
    let noise = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (number >> 24) as u8 % 26
    });
    noise.take(20_000).collect::<Vec<_>>().repeat(3)
}

#[tokio::test]
async fn what_the_server_sends_fits_into_the_window_that_was_agreed_on() {
    let text = repeating_late();
    for window_bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={window_bits}");
        let agreed: Agreed = agreed_on(&offer).unwrap().0;
        let heard = echoed(Limits::default(), Some(agreed), &whole(TEXT, &text)).await;
        let heard = heard[0].clone();
        assert_eq!(heard.first, FIN | RSV1 | TEXT, "letters take fewer bits than bytes");
        assert!(inflated(&heard.payload, window_bits).is_some_and(|out| out == text), "{window_bits}");
    }
}

#[tokio::test]
async fn each_message_of_the_server_is_inflated_without_the_ones_before_it() {
    let text = "the same again and again; ".repeat(50);
    let said = whole(TEXT, text.as_bytes()).repeat(5);
    let heard = echoed_with_deflate(&said).await;
    assert_eq!(heard.len(), 5);
    for frame in heard {
        assert_eq!(frame.first, FIN | RSV1 | TEXT);
        assert_eq!(inflated(&frame.payload, 15).as_deref(), Some(text.as_bytes()));
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit_and_costs_little_more() {
    let limits = Limits { message_bytes_max: 100_000, ..Limits::default() };
    for bomb in [deflated(&vec![b'x'; 100_001], 15), bomb(1), bomb(1000)] {
        for opcode in [TEXT, BINARY] {
            for piece_bytes in [1, 1000, bomb.len() + 14] {
                let mut decoder = Decoder::new(limits);
                decoder.accept_compressed();
                let stream = compressed(opcode, &bomb);
                let mut held_max = 0;
                let refused = stream.chunks(piece_bytes).find_map(|piece| {
                    decoder.buffer_mut().extend_from_slice(piece);
                    let outcome = decoder.next_message();
                    held_max = held_max.max(decoder.held_bytes());
                    outcome.err()
                });
                assert_eq!(refused, Some(Violation::MessageTooBig { bytes_max: 100_000 }));
                assert!(held_max <= 3 * 100_000 + 2 * piece_bytes, "{held_max} bytes were held");
            }
        }
    }
}

#[tokio::test]
async fn over_tcp_a_bomb_is_refused_with_1009_and_a_message_at_the_limit_is_not() {
    let address = echo_over_tcp(Limits { message_bytes_max: 2 * MIB, ..Limits::default() }).await;
    let mut client = connected(address, Some(OFFER)).await;
    say(&mut client, &compressed(BINARY, &bomb(2))).await;
    let heard = hear(&mut client).await.unwrap();
    assert_eq!((heard.first, heard.payload.len() < 100_000), (FIN | RSV1 | BINARY, true));
    let one_more = [&bomb(2)[..], &[0, 0, 255, 255], &deflated(b"\0", 15)].concat();
    for bomb in [one_more, bomb(1000)] {
        let mut client = connected(address, Some(OFFER)).await;
        say(&mut client, &compressed(BINARY, &bomb)).await;
        assert_eq!(hear(&mut client).await.unwrap().close_code(), Some(1009));
        // In fragments, whose headers say nothing of what comes out.
        let mut client = connected(address, Some(OFFER)).await;
        let (first, second) = bomb.split_at(bomb.len() / 2);
        say(&mut client, &raw(RSV1 | BINARY, first)).await;
        say(&mut client, &raw(FIN | CONTINUATION, second)).await;
        assert_eq!(hear(&mut client).await.unwrap().close_code(), Some(1009));
    }
}

#[test]
fn what_is_no_deflate_is_refused_with_1007_in_any_pieces() {
    let good = deflated(&b"some words, and some words again".repeat(20), 15);
    let mut wrong: Vec<Vec<u8>> = vec![
        vec![0x06],
        vec![0x07],
        vec![0xff; 20],
        vec![0x00, 0x05, 0x00, 0x05, 0x00, b'h', b'e', b'l', b'l', b'o', 0x00],
        // It ends inside a stored block.
        vec![0x00, 0x32, 0x00, 0xcd, 0xff, b'h'],
        // A repetition from before the beginning.
        vec![0xf2, 0x00, 0x11, 0x00, 0x00],
    ];
    // It ends inside a block. (The very last byte holds nothing but the beginning of an empty block.)
    wrong.extend((1..good.len() - 1).map(|end| good[..end].to_vec()));
    for payload in wrong {
        for piece_bytes in [1, 3, payload.len() + 14] {
            let mut decoder = Decoder::new(Limits::default());
            decoder.accept_compressed();
            let (messages, violation) =
                decode(&mut decoder, compressed(BINARY, &payload).chunks(piece_bytes));
            assert_eq!((messages, violation), (vec![], Some(Violation::NotDeflate)), "{payload:x?}");
        }
    }
}
