//! Text that is not UTF-8 (RFC 6455 section 8.1) is refused at its first impossible byte, however it comes.

use anita_ws::{Decoder, Limits, Message, Violation};

use crate::peer::{
    CONTINUATION, FIN, Form, RSV1, TEXT, connected, decode, echo_over_tcp, header, hear, part, say, whole,
};

/// Bytes at the borders of what the table of RFC 3629 section 4 tells apart.
const BORDERS: [u8; 26] = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
    0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
];

/// What RFC 3629 section 4 says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Text,
    /// A character has begun that may still end well.
    Begun,
    /// This byte, by its index, can belong to no text after those before it.
    Impossible(usize),
}

/// The grammar of RFC 3629 section 4.
fn verdict(bytes: &[u8]) -> Verdict {
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        let (second, more) = match first {
            0x00..=0x7f => (0..=0, 0),
            0xc2..=0xdf => (0x80..=0xbf, 1),
            0xe0 => (0xa0..=0xbf, 2),
            0xe1..=0xec | 0xee..=0xef => (0x80..=0xbf, 2),
            0xed => (0x80..=0x9f, 2),
            0xf0 => (0x90..=0xbf, 3),
            0xf1..=0xf3 => (0x80..=0xbf, 3),
            0xf4 => (0x80..=0x8f, 3),
            _ => return Verdict::Impossible(at),
        };
        for offset in 1..=more {
            let range = if offset == 1 { second.clone() } else { 0x80..=0xbf };
            match bytes.get(at + offset) {
                None => return Verdict::Begun,
                Some(byte) if range.contains(byte) => {}
                Some(_) => return Verdict::Impossible(at + offset),
            }
        }
        at += more + 1;
    }
    Verdict::Text
}

/// Says the bytes of a frame one by one. The index of the payload's byte that is refused.
fn refused_at(decoder: &mut Decoder, header: &[u8], payload: &[u8]) -> Option<usize> {
    decoder.buffer_mut().extend_from_slice(header);
    assert_eq!(decoder.next_message(), Ok(None));
    payload.iter().position(|&byte| {
        decoder.buffer_mut().extend_from_slice(&[byte]);
        match decoder.next_message() {
            Ok(message) => {
                assert_eq!(message, None, "the message has not ended");
                false
            }
            Err(violation) => {
                assert_eq!(violation, Violation::NotUtf8);
                true
            }
        }
    })
}

/// A header of a frame with more payload than comes.
fn endless(first: u8) -> Vec<u8> {
    header(first, Form::Long, 1000, [0; 4])
}

#[test]
fn every_sequence_of_border_bytes_is_refused_at_its_first_impossible_byte() {
    let every = |bytes: &[u8]| {
        let expected = match verdict(bytes) {
            Verdict::Impossible(at) => Some(at),
            Verdict::Text | Verdict::Begun => None,
        };
        let mut decoder = Decoder::new(Limits::default());
        assert_eq!(refused_at(&mut decoder, &endless(FIN | TEXT), bytes), expected, "{bytes:x?}");
    };
    for first in 0..=255 {
        every(&[first]);
        for second in 0..=255 {
            every(&[first, second]);
        }
    }
    let leads = BORDERS.iter().filter(|byte| **byte >= 0xe0);
    for &first in leads {
        for second in BORDERS {
            for third in BORDERS {
                every(&[first, second, third]);
                if first >= 0xf0 {
                    for fourth in BORDERS {
                        every(&[first, second, third, fourth]);
                    }
                }
            }
        }
    }
}

/// Sequences that are judged in every division: text, text that is cut off, and every kind of wrong byte.
fn sequences() -> Vec<Vec<u8>> {
    let mut sequences: Vec<Vec<u8>> = vec![
        "aä€😀z".into(),
        b"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf".to_vec(),
        b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf".to_vec(),
        b"\xef\xbb\xbfbom".to_vec(),
        b"a\x00b".to_vec(),
    ];
    for beginning in [&b"\xce\xba"[..], b"a", b""] {
        for wrong in [
            &b"\x80"[..],
            b"\xc0\xaf",
            b"\xc1\xbf",
            b"\xc3",
            b"\xc3\x28",
            b"\xe0\x9f\xbf",
            b"\xe2\x82",
            b"\xe2\x82\x28",
            b"\xed\xa0\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xf0\x9f\x98",
            b"\xf0\x9f\x98\x28",
            b"\xf4\x90\x80\x80",
            b"\xf5",
            b"\xfe",
            b"\xff",
            b"\xf8\x88\x80\x80\x80",
        ] {
            sequences.push([beginning, wrong, b"tail"].concat());
            sequences.push([beginning, wrong].concat());
        }
    }
    sequences
}

#[test]
fn wherever_a_text_is_cut_into_fragments_it_is_judged_the_same() {
    for bytes in sequences() {
        let expected = verdict(&bytes);
        for first_cut in 0..=bytes.len() {
            for second_cut in first_cut..=bytes.len() {
                let cuts = [&bytes[..first_cut], &bytes[first_cut..second_cut], &bytes[second_cut..]];
                let frames = [part(TEXT, cuts[0]), part(CONTINUATION, cuts[1]), whole(CONTINUATION, cuts[2])];
                let stream = frames.concat();
                let mut decoder = Decoder::new(Limits::default());
                // The index in the stream of the byte after which the answer is there.
                let ended_at = (0..stream.len()).find_map(|at| {
                    decoder.buffer_mut().extend_from_slice(&stream[at..=at]);
                    match decoder.next_message() {
                        Ok(None) => None,
                        outcome => Some((at, outcome)),
                    }
                });
                let last = stream.len() - 1;
                let expected = match expected {
                    Verdict::Text => {
                        let text = std::str::from_utf8(&bytes).unwrap();
                        (last, Ok(Some(Message::Text(text.into()))))
                    }
                    Verdict::Begun => (last, Err(Violation::NotUtf8)),
                    Verdict::Impossible(at) => {
                        let headers = 1 + usize::from(at >= first_cut) + usize::from(at >= second_cut);
                        (6 * headers + at, Err(Violation::NotUtf8))
                    }
                };
                assert_eq!(ended_at, Some(expected), "{bytes:x?} cut at {first_cut} and {second_cut}");
            }
        }
    }
}

#[test]
fn in_compressed_text_too_the_first_impossible_byte_ends_it() {
    for bytes in sequences() {
        let Verdict::Impossible(at) = verdict(&bytes) else { continue };
        // A stored block, so that each byte comes out when it goes in.
        let length = u16::try_from(bytes.len()).unwrap();
        let stored = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &bytes].concat();
        let mut decoder = Decoder::new(Limits::default());
        decoder.accept_compressed();
        let refused = refused_at(&mut decoder, &endless(FIN | RSV1 | TEXT), &stored);
        assert_eq!(refused, Some(5 + at), "{bytes:x?}");
    }
}

#[test]
fn whatever_is_not_text_may_have_any_bytes() {
    for opcode in [0x2, 0x9, 0xa] {
        let mut decoder = Decoder::new(Limits::default());
        let (messages, violation) = decode(&mut decoder, whole(opcode, b"\xff\xc0\x80").chunks(1));
        assert_eq!((messages.len(), violation), (1, None));
    }
}

#[tokio::test]
async fn over_tcp_1007_comes_as_soon_as_the_first_impossible_byte_was_said() {
    let address = echo_over_tcp(Limits::default()).await;
    for bytes in sequences() {
        let Verdict::Impossible(at) = verdict(&bytes) else { continue };
        for cut in 0..=at {
            let mut client = connected(address, None).await;
            // The first fragment ends at the cut; the second would go on for long after the wrong byte.
            say(&mut client, &part(TEXT, &bytes[..cut])).await;
            let rest = [&endless(FIN | CONTINUATION)[..], &bytes[cut..=at]].concat();
            let (early, wrong) = rest.split_at(rest.len() - 1);
            say(&mut client, early).await;
            say(&mut client, wrong).await;
            let heard = hear(&mut client).await.unwrap();
            assert_eq!(heard.close_code(), Some(1007), "{bytes:x?} cut at {cut}");
        }
    }
}

#[tokio::test]
async fn over_tcp_a_text_that_ends_inside_a_character_is_refused_at_its_end() {
    let address = echo_over_tcp(Limits::default()).await;
    for bytes in sequences() {
        if verdict(&bytes) != Verdict::Begun {
            continue;
        }
        let mut client = connected(address, None).await;
        say(&mut client, &part(TEXT, &bytes)).await;
        say(&mut client, &whole(0x9, b"still fine")).await;
        assert_eq!(hear(&mut client).await.unwrap().payload, b"still fine");
        say(&mut client, &whole(CONTINUATION, b"")).await;
        assert_eq!(hear(&mut client).await.unwrap().close_code(), Some(1007), "{bytes:x?}");
    }
}
