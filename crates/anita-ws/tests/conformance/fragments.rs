//! Fragmentation (RFC 6455 section 5.4): every split of a message, with control frames between its fragments.

use anita_ws::{Agreed, Decoder, Limits, Message, Violation};

use crate::peer::{
    BINARY, CLOSE, CONTINUATION, FIN, Heard, PING, PONG, RSV1, TEXT, agreed_plainly, close_payload,
    connected, decode, echo_over_tcp, echoed, hear, part, raw, say, whole,
};

/// Eight bytes: characters of one, two and four bytes, and "a".
const WORDS: &str = "1ä😀a";

/// "Hello" compressed (RFC 7692 section 7.2.3.1).
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// A payload cut after the bytes whose bits are set.
fn cut(payload: &[u8], cuts: usize) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut start = 0;
    for end in 1..payload.len() {
        if cuts >> (end - 1) & 1 == 1 {
            parts.push(&payload[start..end]);
            start = end;
        }
    }
    parts.push(&payload[start..]);
    parts
}

/// The parts as the frames of one message.
fn fragments(bits: u8, opcode: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let frames = parts.iter().enumerate().map(|(index, part)| {
        let opcode = if index == 0 { bits | opcode } else { CONTINUATION };
        raw(if index == last { FIN | opcode } else { opcode }, part)
    });
    frames.collect()
}

/// Each split of a message, said to the echo with something between all fragments.
async fn every_split_comes_back(agreed: Option<Agreed>, opcode: u8, payload: &[u8], expected: &[u8]) {
    let bits = if agreed.is_some() { RSV1 } else { 0 };
    let between: [&[Vec<u8>]; 4] = [
        &[],
        &[whole(PING, b"one")],
        &[whole(PONG, b"not asked for")],
        &[whole(PING, &[0xff; 125]), whole(PONG, b""), whole(PING, b"")],
    ];
    for cuts in 0..1_usize << (payload.len() - 1) {
        let frames = fragments(bits, opcode, &cut(payload, cuts));
        for between in between {
            let mut said = Vec::new();
            let mut expects = Vec::new();
            for (index, frame) in frames.iter().enumerate() {
                if index > 0 {
                    said.extend(between.concat());
                    expects.extend(between.iter().filter(|frame| frame[0] == FIN | PING).map(Vec::len));
                }
                said.extend_from_slice(frame);
            }
            let heard = echoed(Limits::default(), agreed, &said).await;
            let (message, pongs) = heard.split_last().unwrap();
            assert_eq!(*message, Heard::of(opcode, expected), "cuts {cuts:b}");
            // Pongs come before the end of the message, in order.
            let pongs: Vec<usize> = pongs.iter().map(|pong| pong.payload.len() + 6).collect();
            assert_eq!(pongs, expects, "cuts {cuts:b}");
        }
    }
}

#[tokio::test]
async fn every_split_of_a_text_is_the_text_whatever_comes_between() {
    every_split_comes_back(None, TEXT, WORDS.as_bytes(), WORDS.as_bytes()).await;
}

#[tokio::test]
async fn every_split_of_a_binary_message_is_the_message() {
    every_split_comes_back(None, BINARY, &[0xff, 0, 0x80, 1, 0xfe], &[0xff, 0, 0x80, 1, 0xfe]).await;
}

#[tokio::test]
async fn every_split_of_a_compressed_message_is_the_message() {
    every_split_comes_back(Some(agreed_plainly()), TEXT, HELLO, b"Hello").await;
    every_split_comes_back(Some(agreed_plainly()), BINARY, HELLO, b"Hello").await;
}

#[tokio::test]
async fn empty_fragments_add_nothing() {
    for opcode in [TEXT, BINARY] {
        for parts in [
            &[&b""[..], b""][..],
            &[b"", b"", b""],
            &[b"", b"x"],
            &[b"x", b""],
            &[b"", b"x", b"", b"", b"y", b""],
        ] {
            let heard = echoed(Limits::default(), None, &fragments(0, opcode, parts).concat()).await;
            assert_eq!(heard, [Heard::of(opcode, &parts.concat())], "{parts:?}");
        }
    }
}

#[tokio::test]
async fn a_close_between_fragments_ends_the_conversation_without_the_message() {
    let said = [
        part(TEXT, b"never"),
        part(CONTINUATION, b"to be"),
        whole(CLOSE, &close_payload(1001, b"bye")),
        whole(CONTINUATION, b"finished"),
        whole(PING, b"nor this"),
    ];
    for is_deflate in [false, true] {
        let heard = echoed(Limits::default(), is_deflate.then(agreed_plainly), &said.concat()).await;
        assert_eq!(heard, [Heard::of(CLOSE, &1001_u16.to_be_bytes())]);
    }
}

#[tokio::test]
async fn fragments_out_of_order_are_refused_with_1002() {
    let begun = || part(TEXT, b"a");
    let ended = || whole(CONTINUATION, b"b");
    let wrong = [
        vec![whole(CONTINUATION, b"")],
        vec![part(CONTINUATION, b"")],
        vec![whole(PING, b""), whole(CONTINUATION, b"")],
        // A continuation after a message that is complete, whole or in fragments.
        vec![whole(TEXT, b"a"), ended()],
        vec![begun(), ended(), ended()],
        vec![begun(), ended(), part(CONTINUATION, b"c")],
        // A beginning inside a message, of the same kind or the other, whole or not, after a control frame or not.
        vec![begun(), whole(TEXT, b"")],
        vec![begun(), part(TEXT, b"")],
        vec![begun(), whole(BINARY, b"")],
        vec![begun(), part(CONTINUATION, b""), part(BINARY, b"")],
        vec![begun(), whole(PING, b""), whole(TEXT, b"")],
        vec![part(BINARY, b""), whole(BINARY, b"")],
        // A control frame in fragments.
        vec![part(PING, b"a")],
        vec![part(PONG, b"")],
        vec![part(CLOSE, b"")],
        vec![begun(), part(PING, b"a")],
    ];
    for frames in wrong {
        let heard = echoed(Limits::default(), None, &frames.concat()).await;
        assert_eq!(heard.last().unwrap().close_code(), Some(1002), "{frames:x?}");
        let mut decoder = Decoder::new(Limits::default());
        let refused = decode(&mut decoder, frames.concat().chunks(1)).1;
        assert_eq!(refused.map(Violation::close_code), Some(1002), "byte by byte: {frames:x?}");
    }
}

#[test]
fn no_message_leaks_into_the_next_one() {
    let frames = [
        part(TEXT, "ä".as_bytes()),
        whole(CONTINUATION, b"b"),
        whole(BINARY, &[0xc3]),
        part(BINARY, &[0xc3]),
        whole(CONTINUATION, &[0x28]),
        whole(TEXT, b"c"),
        part(TEXT, b""),
        whole(CONTINUATION, b"d"),
    ];
    let mut decoder = Decoder::new(Limits::default());
    let (messages, violation) = decode(&mut decoder, [&frames.concat()[..]]);
    let expected = [
        Message::Text("äb".into()),
        Message::Binary(vec![0xc3].into()),
        Message::Binary(vec![0xc3, 0x28].into()),
        Message::Text("c".into()),
        Message::Text("d".into()),
    ];
    assert_eq!((messages, violation), (expected.to_vec(), None));
}

#[tokio::test]
async fn over_tcp_a_ping_inside_a_message_is_answered_before_the_message_ends() {
    let address = echo_over_tcp(Limits::default()).await;
    let mut client = connected(address, None).await;
    for part_of_message in [part(TEXT, b"be"), part(CONTINUATION, b""), part(CONTINUATION, b"gun")] {
        say(&mut client, &part_of_message).await;
        say(&mut client, &whole(PING, b"still there?")).await;
        assert_eq!(hear(&mut client).await, Some(Heard::of(PONG, b"still there?")));
    }
    say(&mut client, &whole(CONTINUATION, b"!")).await;
    assert_eq!(hear(&mut client).await, Some(Heard::of(TEXT, b"begun!")));
}

#[tokio::test]
async fn over_tcp_each_ping_gets_its_pong_in_order() {
    let address = echo_over_tcp(Limits::default()).await;
    let mut client = connected(address, None).await;
    for number in 0..10_u8 {
        say(&mut client, &whole(PING, &[number; 125])).await;
        assert_eq!(hear(&mut client).await, Some(Heard::of(PONG, &[number; 125])));
    }
    say(&mut client, &whole(PONG, b"nobody asked")).await;
    say(&mut client, &whole(TEXT, b"and nobody minds")).await;
    assert_eq!(hear(&mut client).await, Some(Heard::of(TEXT, b"and nobody minds")));
}
