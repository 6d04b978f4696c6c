//! Close frames and the closing handshake (RFC 6455 sections 5.5.1 and 7).

use anita_ws::{Decoder, Limits, Message, Violation};
use tokio::io::AsyncWriteExt;

use crate::peer::{
    BINARY, CLOSE, Heard, PING, TEXT, agreed_plainly, close_payload, connected, decode, echo_in_memory,
    echo_over_tcp, echoed, hear, hear_all, say, whole,
};

/// RFC 6455 section 7.4 and its registry: what an endpoint may send.
fn may_be_sent(code: u16) -> bool {
    let is_defined = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].contains(&code);
    is_defined || (3000..5000).contains(&code)
}

async fn close_code_after(payload: &[u8]) -> Option<u16> {
    let heard = echoed(Limits::default(), None, &whole(CLOSE, payload)).await;
    assert_eq!(heard.len(), 1, "one close frame and nothing else: {heard:?}");
    heard[0].close_code()
}

#[tokio::test]
async fn every_code_up_to_5000_is_answered_with_itself_or_with_1002() {
    for code in 0..=5000 {
        let expected = if may_be_sent(code) { code } else { 1002 };
        assert_eq!(close_code_after(&close_payload(code, b"")).await, Some(expected), "{code}");
    }
}

#[test]
fn every_code_there_is_is_judged_by_the_registry() {
    for code in 0..=u16::MAX {
        for reason in [&b""[..], b"why"] {
            let mut decoder = Decoder::new(Limits::default());
            let (messages, violation) =
                decode(&mut decoder, [&whole(CLOSE, &close_payload(code, reason))[..]]);
            if may_be_sent(code) {
                let [Message::Close(Some(frame))] = &messages[..] else { panic!("{messages:?}") };
                assert_eq!((frame.code, frame.reason.as_bytes(), violation), (code, reason, None));
            } else {
                assert_eq!((&messages[..], violation), (&[][..], Some(Violation::CloseCode(code))));
            }
        }
    }
}

#[tokio::test]
async fn reasons_are_up_to_123_bytes_of_utf8() {
    let cases: [(&[u8], u16); 9] = [
        (b"", 1000),
        (b"x", 1000),
        ("Grüße 😀".as_bytes(), 1000),
        (&[b'x'; 123], 1000),
        (b"\xff", 1007),
        (b"fine until\xc0\xaf", 1007),
        (b"\xed\xa0\x80", 1007),
        (b"cut off \xf0\x9f\x98", 1007),
        (&[b'x'; 124], 1002),
    ];
    for (reason, expected) in cases {
        assert_eq!(close_code_after(&close_payload(1000, reason)).await, Some(expected), "{reason:x?}");
    }
    // The code is judged before the reason.
    assert_eq!(close_code_after(&close_payload(1005, b"\xff")).await, Some(1002));
}

#[tokio::test]
async fn a_payload_is_empty_or_has_a_whole_code() {
    assert_eq!(close_code_after(b"").await, Some(1000));
    for byte in 0..=255 {
        assert_eq!(close_code_after(&[byte]).await, Some(1002));
    }
}

#[tokio::test]
async fn what_comes_after_a_close_frame_is_not_heard_whatever_it_is() {
    let after: [Vec<u8>; 6] = [
        whole(TEXT, b"late"),
        whole(BINARY, &vec![0; 70_000]),
        whole(PING, b"answer me"),
        whole(CLOSE, &close_payload(1001, b"")),
        vec![0xff; 3000],
        whole(TEXT, b"\xff"),
    ];
    for is_deflate in [false, true] {
        for after in &after {
            let said = [&whole(CLOSE, &close_payload(4321, b"bye"))[..], after].concat();
            let heard = echoed(Limits::default(), is_deflate.then(agreed_plainly), &said).await;
            assert_eq!(heard, [Heard::of(CLOSE, &4321_u16.to_be_bytes())]);
        }
    }
}

#[test]
fn a_decoder_says_nothing_and_holds_nothing_after_a_close_frame() {
    for after in [whole(TEXT, b"late"), whole(CLOSE, b""), vec![0xff; 3000], whole(TEXT, b"\xff")] {
        let mut decoder = Decoder::new(Limits::default());
        let stream = [whole(CLOSE, b""), after].concat();
        assert_eq!(decode(&mut decoder, stream.chunks(7)), (vec![Message::Close(None)], None));
        assert_eq!((decoder.held_bytes(), decoder.is_mid_message()), (0, false));
    }
}

#[tokio::test]
async fn messages_before_a_close_frame_are_answered_before_it() {
    let said = [whole(TEXT, b"one"), whole(PING, b"two"), whole(TEXT, b"three"), whole(CLOSE, b"")].concat();
    let mut heard = echoed(Limits::default(), None, &said).await;
    assert_eq!(heard.pop(), Some(Heard::of(CLOSE, &1000_u16.to_be_bytes())));
    heard.retain(|frame| frame.first == 0x81);
    assert_eq!(heard, [Heard::of(TEXT, b"one"), Heard::of(TEXT, b"three")]);
}

#[tokio::test]
async fn over_tcp_the_client_closes_and_the_server_ends_the_connection_first() {
    let address = echo_over_tcp(Limits::default()).await;
    for offer in [None, Some("permessage-deflate")] {
        let mut client = connected(address, offer).await;
        say(&mut client, &whole(CLOSE, &close_payload(1000, b"done"))).await;
        // Our side stays open: the end of the stream is the server's doing (section 7.1.1).
        assert_eq!(hear_all(&mut client).await, [Heard::of(CLOSE, &1000_u16.to_be_bytes())]);
    }
}

#[tokio::test]
async fn over_tcp_a_connection_that_is_cut_off_without_a_close_frame_ends_quietly() {
    let address = echo_over_tcp(Limits::default()).await;
    for bytes in [&b""[..], &whole(TEXT, b"half")[..7], &[0x81]] {
        let mut client = connected(address, None).await;
        say(&mut client, bytes).await;
        client.shutdown().await.unwrap();
        assert_eq!(hear_all(&mut client).await, []);
    }
}

/// Time stands still, so that the whole wait is over at once.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_a_close_frame_is_dropped_after_five_seconds() {
    let (mut client, server) = echo_in_memory(Limits::default(), None);
    let start = tokio::time::Instant::now();
    say(&mut client, &[0xff, 0xff]).await;
    assert_eq!(hear(&mut client).await.unwrap().close_code(), Some(1002));
    server.await.unwrap();
    let waited = start.elapsed();
    assert!((5..6).contains(&waited.as_secs()), "{waited:?}");
}
