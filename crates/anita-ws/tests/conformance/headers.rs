//! The first two bytes of a frame (RFC 6455 section 5.2), all 65,536 of them, in every situation.

use anita_ws::{Agreed, Decoder, Limits};

use crate::peer::{
    BINARY, CONTINUATION, FIN, PING, TEXT, agreed_plainly, connected, echo_over_tcp, echoed, header, hear,
    hear_all, minimal, part, raw, say, whole,
};

/// What the standards say of a header.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// It is wrong by its first two bytes.
    Wrong,
    /// It is wrong after the frames before it.
    WrongHere,
}

/// Where a header comes.
#[derive(Debug, Clone, Copy)]
struct Situation {
    /// After the first fragment of a message.
    is_inside: bool,
    /// After compression was agreed on.
    is_deflate: bool,
}

/// RFC 6455 sections 5.1, 5.2, 5.4 and 5.5, and RFC 7692 section 6.
fn verdict(first: u8, second: u8, Situation { is_inside, is_deflate }: Situation) -> Verdict {
    let (is_final, reserved, opcode) = (first >> 7 == 1, first >> 4 & 0b111, first & 0b1111);
    let is_data = matches!(opcode, 1 | 2);
    let is_reserved_fine = reserved == 0b000 || (reserved == 0b100 && is_deflate && is_data);
    let is_masked = second >> 7 == 1;
    let is_wrong = match opcode {
        0..=2 => !is_reserved_fine || !is_masked,
        8..=10 => !is_reserved_fine || !is_masked || !is_final || second & 0x7f > 125,
        _ => true,
    };
    match (is_wrong, opcode) {
        (true, _) => Verdict::Wrong,
        (false, 0) if !is_inside => Verdict::WrongHere,
        (false, 1 | 2) if is_inside => Verdict::WrongHere,
        (false, _) => Verdict::Fine,
    }
}

/// The rest of a header whose length has its shortest form.
fn rest(second: u8) -> Vec<u8> {
    let length: &[u8] = match second & 0x7f {
        126 => &[0x01, 0x00],
        127 => &[0, 0, 0, 0, 0, 1, 0, 0],
        _ => &[],
    };
    [length, &[1, 2, 3, 4]].concat()
}

#[test]
fn every_pair_of_first_bytes_is_judged_as_the_standards_say() {
    for is_deflate in [false, true] {
        for is_inside in [false, true] {
            for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |second| (first, second))) {
                let mut decoder = Decoder::new(Limits::default());
                if is_deflate {
                    decoder.accept_compressed();
                }
                if is_inside {
                    decoder.buffer_mut().extend_from_slice(&part(TEXT, b""));
                    assert_eq!(decoder.next_message(), Ok(None));
                }
                let mut judge = |bytes: &[u8]| {
                    decoder.buffer_mut().extend_from_slice(bytes);
                    decoder.next_message().err().map(anita_ws::Violation::close_code)
                };
                // What two bytes show is told after two bytes.
                let (early, late) = (judge(&[first, second]), judge(&rest(second)));
                let expected = match verdict(first, second, Situation { is_inside, is_deflate }) {
                    Verdict::Fine => (None, None),
                    Verdict::Wrong => (Some(1002), Some(1002)),
                    Verdict::WrongHere => (None, Some(1002)),
                };
                let situation = format!("{first:02x} {second:02x} inside {is_inside} deflate {is_deflate}");
                assert_eq!((early, late), expected, "{situation}");
            }
        }
    }
}

/// The server closes with 1002, and has said nothing before.
async fn is_refused(frames: &[u8], agreed: Option<Agreed>) -> bool {
    let heard = echoed(Limits::default(), agreed, frames).await;
    heard.len() == 1 && heard[0].close_code() == Some(1002)
}

#[tokio::test]
async fn every_first_byte_of_a_frame_is_answered_or_refused_with_1002() {
    for is_deflate in [false, true] {
        for first in 0..=255 {
            let (frame, inside) = (raw(first, b""), [part(BINARY, b""), raw(first, b"")].concat());
            for (frames, is_inside) in [(frame, false), (inside, true)] {
                let expected = verdict(first, 0x80, Situation { is_inside, is_deflate }) != Verdict::Fine;
                let situation = format!("{first:02x} inside {is_inside} deflate {is_deflate}");
                assert_eq!(
                    is_refused(&frames, is_deflate.then(agreed_plainly)).await,
                    expected,
                    "{situation}"
                );
            }
        }
    }
}

#[tokio::test]
async fn frames_that_are_not_masked_are_refused_of_any_kind() {
    for opcode in [CONTINUATION, TEXT, BINARY, 8, 9, 10] {
        for payload in [&b""[..], b"x"] {
            let length = u8::try_from(payload.len()).unwrap();
            let frame = [&[FIN | opcode, length], payload].concat();
            assert!(is_refused(&frame, None).await, "{frame:x?}");
        }
    }
}

#[tokio::test]
async fn masks_of_any_key_are_taken_off() {
    for key in [[0; 4], [0xff; 4], [0, 0, 0, 1], [0x80, 1, 2, 3]] {
        for length in 0..20 {
            let payload: Vec<u8> = (0..length).collect();
            let mut frame = header(FIN | BINARY, minimal(u64::from(length)), u64::from(length), key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            let heard = echoed(Limits::default(), None, &frame).await;
            assert_eq!(heard[0].payload, payload);
        }
    }
}

#[tokio::test]
async fn over_tcp_what_is_refused_is_told_and_the_messages_before_it_are_answered() {
    let address = echo_over_tcp(Limits::default()).await;
    let wrong: [&[u8]; 12] = [
        &raw(FIN | 0x40 | TEXT, b""),
        &raw(FIN | 0x20 | TEXT, b""),
        &raw(FIN | 0x10 | TEXT, b""),
        &raw(FIN | 0x70 | PING, b""),
        &raw(FIN | 0x3, b""),
        &raw(FIN | 0x7, b""),
        &raw(FIN | 0xb, b""),
        &raw(FIN | 0xf, b"payload"),
        &[FIN | TEXT, 0x00],
        &part(PING, b""),
        &raw(FIN | CONTINUATION, b""),
        &[part(TEXT, b""), whole(TEXT, b"")].concat(),
    ];
    for wrong in wrong {
        let mut client = connected(address, None).await;
        say(&mut client, &whole(TEXT, b"before")).await;
        assert_eq!(hear(&mut client).await.unwrap().payload, b"before");
        for byte in wrong {
            say(&mut client, &[*byte]).await;
        }
        // More comes than anybody wants; it must not reset the connection before the close frame is read.
        say(&mut client, &vec![0x55; 20_000]).await;
        let heard = hear(&mut client).await.unwrap();
        assert_eq!(heard.close_code(), Some(1002), "{wrong:x?}");
        assert!(std::str::from_utf8(&heard.payload[2..]).is_ok_and(|reason| !reason.is_empty()));
        drop(tokio::io::AsyncWriteExt::shutdown(&mut client).await);
        assert_eq!(hear_all(&mut client).await, []);
    }
}
