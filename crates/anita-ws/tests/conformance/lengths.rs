//! Lengths in all encodings, and messages up to the limit and one byte beyond it.

use anita_ws::{Decoder, Limits, Message, Violation};
use tokio::io::AsyncWriteExt;

use crate::peer::{
    BINARY, CONTINUATION, FIN, Form, PING, TEXT, connected, decode, echo_over_tcp, echoed, header, hear,
    minimal, part, raw, say, whole,
};

const MIB: usize = 1024 * 1024;

/// 16 MiB a message, in any number of fragments.
const LARGE: Limits =
    Limits { message_bytes_max: 16 * MIB, fragment_count_max: usize::MAX, queue_bytes_max: 16 * MIB };

/// The close code that a header leads to.
fn refused(header: &[u8], limits: Limits) -> Option<u16> {
    let mut decoder = Decoder::new(limits);
    decode(&mut decoder, [header]).1.map(Violation::close_code)
}

/// 16 MiB of a pattern again and again.
fn patterned(pattern: &[u8]) -> Vec<u8> {
    let mut payload = pattern.repeat(16 * MIB / pattern.len() + 1);
    payload.truncate(16 * MIB);
    payload
}

#[test]
fn every_length_is_taken_in_its_shortest_form_only() {
    let limits = Limits { message_bytes_max: 70_000, ..LARGE };
    let lengths = (0..=260).chain(65_000..=65_540).chain([1000, 32_768, 69_999, 70_000]);
    for payload_bytes in lengths {
        for form in [Form::Short, Form::Long, Form::Longest] {
            let fits = match form {
                Form::Short => payload_bytes <= 125,
                Form::Long => payload_bytes <= 65_535,
                Form::Longest => true,
            };
            if !fits {
                continue;
            }
            let expected = if form == minimal(payload_bytes) { None } else { Some(1002) };
            let header = header(FIN | BINARY, form, payload_bytes, [0; 4]);
            // The length alone shows it, without the mask.
            assert_eq!(refused(&header[..header.len() - 4], limits), expected, "{payload_bytes} {form:?}");
            assert_eq!(refused(&header, limits), expected, "{payload_bytes} {form:?}");
        }
    }
    for payload_bytes in 0..=0xffff {
        let header = header(FIN | BINARY, Form::Long, payload_bytes, [0; 4]);
        let expected = if payload_bytes < 126 { Some(1002) } else { None };
        assert_eq!(refused(&header, limits), expected, "{payload_bytes}");
    }
}

#[test]
fn no_length_is_too_long_to_be_refused_and_the_top_bit_is_a_violation() {
    for bit in 16..64 {
        for payload_bytes in [1_u64 << bit, (1 << bit) | 1, u64::MAX >> (63 - bit)] {
            let expected = match payload_bytes {
                0..=0x0100_0000 => None,
                0x8000_0000_0000_0000.. => Some(1002),
                _ => Some(1009),
            };
            for opcode in [TEXT, BINARY] {
                let header = header(FIN | opcode, Form::Longest, payload_bytes, [0; 4]);
                assert_eq!(refused(&header, LARGE), expected, "{payload_bytes:x}");
            }
        }
    }
}

#[tokio::test]
async fn messages_of_the_lengths_around_each_border_come_back() {
    for payload_bytes in [0, 1, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 65_537] {
        for (opcode, byte) in [(TEXT, b'x'), (BINARY, 0xff)] {
            let payload = vec![byte; payload_bytes];
            let heard = echoed(Limits::default(), None, &whole(opcode, &payload)).await;
            assert_eq!((heard.len(), heard[0].first), (1, FIN | opcode), "{payload_bytes}");
            assert!(heard[0].payload == payload, "{payload_bytes}");
        }
    }
}

#[tokio::test]
async fn a_control_frame_has_up_to_125_bytes() {
    for payload_bytes in [0, 1, 124, 125] {
        let heard = echoed(Limits::default(), None, &whole(PING, &vec![0xfe; payload_bytes])).await;
        assert_eq!((heard[0].first, heard[0].payload.len()), (0x8a, payload_bytes));
    }
    for payload_bytes in [126, 127, 128, 65_536] {
        for opcode in [8, 9, 10] {
            let heard = echoed(Limits::default(), None, &whole(opcode, &vec![0; payload_bytes])).await;
            assert_eq!((heard.len(), heard[0].close_code()), (1, Some(1002)));
        }
    }
}

#[test]
fn the_limit_is_judged_by_headers_alone_whole_and_in_fragments() {
    let of_message = |payload_bytes: u64| header(FIN | BINARY, Form::Longest, payload_bytes, [0; 4]);
    assert_eq!(refused(&of_message(16 * MIB as u64), LARGE), None);
    assert_eq!(refused(&of_message(16 * MIB as u64 + 1), LARGE), Some(1009));
    // Fragments of 4 KiB: the one that would be too much is refused by its header, and not one byte earlier.
    let mut decoder = Decoder::new(LARGE);
    for number in 0..4096 {
        let opcode = if number == 0 { BINARY } else { CONTINUATION };
        let mut fragment = header(opcode, Form::Long, 4096, [0; 4]);
        fragment.resize(fragment.len() + 4096, 7);
        assert_eq!(decode(&mut decoder, [&fragment[..]]), (vec![], None));
    }
    let empty = header(CONTINUATION, Form::Short, 0, [0; 4]);
    assert_eq!(decode(&mut decoder, [&empty[..]]), (vec![], None));
    let one_more = header(FIN | CONTINUATION, Form::Short, 1, [0; 4]);
    let (early, last) = one_more.split_at(one_more.len() - 1);
    assert_eq!(decode(&mut decoder, [early]), (vec![], None));
    assert_eq!(decode(&mut decoder, [last]).1.map(Violation::close_code), Some(1009));
}

#[test]
fn sixteen_mebibytes_arrive_whole_in_thousands_of_fragments_and_byte_for_byte() {
    let payload = patterned(&(0..251).collect::<Vec<u8>>());
    for fragment_bytes in [16 * MIB, 4096, 1500] {
        let mut decoder = Decoder::new(LARGE);
        let mut messages = Vec::new();
        let count = payload.chunks(fragment_bytes).count();
        for (index, fragment) in payload.chunks(fragment_bytes).enumerate() {
            let opcode = if index == 0 { BINARY } else { CONTINUATION };
            let last = if index + 1 == count { FIN } else { 0 };
            let (heard, violation) = decode(&mut decoder, [&raw(last | opcode, fragment)[..]]);
            assert_eq!(violation, None);
            messages.extend(heard);
        }
        let [Message::Binary(heard)] = &messages[..] else { panic!("{} messages", messages.len()) };
        assert!(*heard == payload, "in fragments of {fragment_bytes}");
    }
}

#[tokio::test]
async fn sixteen_mebibytes_come_back_over_tcp_and_one_byte_more_is_refused_by_its_header() {
    let address = echo_over_tcp(LARGE).await;
    let payload = patterned(b"what is repeated here is not as long as a fragment");
    let mut client = connected(address, None).await;
    for fragment_bytes in [16 * MIB, 8192] {
        let (mut reads, mut writes) = client.split();
        let says = async {
            let count = payload.chunks(fragment_bytes).count();
            for (index, fragment) in payload.chunks(fragment_bytes).enumerate() {
                let opcode = if index == 0 { TEXT } else { CONTINUATION };
                let last = if index + 1 == count { FIN } else { 0 };
                writes.write_all(&raw(last | opcode, fragment)).await.unwrap();
            }
        };
        let ((), heard) = tokio::join!(says, hear(&mut reads));
        let heard = heard.unwrap();
        assert_eq!(heard.first, FIN | TEXT);
        assert!(heard.payload == payload);
    }
    say(&mut client, &header(FIN | TEXT, Form::Longest, 16 * MIB as u64 + 1, [0; 4])).await;
    assert_eq!(hear(&mut client).await.unwrap().close_code(), Some(1009));
}

#[tokio::test]
async fn over_tcp_the_largest_message_that_the_example_takes_by_itself_comes_back() {
    let address = echo_over_tcp(Limits { message_bytes_max: 32 * MIB, ..LARGE }).await;
    let payload = patterned(b"twice").repeat(2);
    for offer in [None, Some("permessage-deflate")] {
        let mut client = connected(address, offer).await;
        let (mut reads, mut writes) = client.split();
        // What is random would not become smaller; this does, so that the answer is compressed where that was agreed.
        let payload = if offer.is_some() { &payload[..2 * MIB] } else { &payload[..] };
        let says = async { writes.write_all(&raw(FIN | BINARY, payload)).await.unwrap() };
        let ((), heard) = tokio::join!(says, hear(&mut reads));
        let heard = heard.unwrap();
        assert_eq!(heard.first == FIN | BINARY, offer.is_none());
        assert!(heard.payload == payload || offer.is_some());
    }
}

#[tokio::test]
async fn one_fragment_too_many_is_refused_with_1009() {
    let limits = Limits { fragment_count_max: 3, ..Limits::default() };
    let middle = part(CONTINUATION, b"");
    let fine = [part(TEXT, b"a"), middle.clone(), whole(CONTINUATION, b"b")].concat();
    assert_eq!(echoed(limits, None, &fine).await[0].payload, b"ab");
    let wrong = [part(TEXT, b"a"), middle.clone(), middle, whole(CONTINUATION, b"b")].concat();
    assert_eq!(echoed(limits, None, &wrong).await[0].close_code(), Some(1009));
}
