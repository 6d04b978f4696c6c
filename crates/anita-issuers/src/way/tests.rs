use http::StatusCode;

use super::*;

#[test]
fn a_form_is_written_as_forms_are() {
    assert_eq!(written(&[("a", "x y"), ("b", "&=ö")]), "a=x+y&b=%26%3D%C3%B6");
    assert_eq!((escaped("a:b c"), escaped("")), ("a%3Ab+c".to_owned(), String::new()));
}

#[test]
fn what_an_issuer_says_of_a_fault_holds_nothing_that_was_sent() {
    let form = [("code", "C0de"), ("code_verifier", "V3rifier"), ("grant_type", "authorization_code")];
    let said = "invalid_grant: C0de with V3rifier and s3cret in authorization_code";
    assert_eq!(without(said, &form, Some("s3cret")), "invalid_grant: … with … and … in authorization_code");
}

/// A status, a body, and whether this is the refusal that it means.
type Row = (u16, &'static str, fn(&Refusal) -> bool);

#[test]
fn an_answer_is_what_it_has_to_be_or_says_whose_fault_it_is() {
    let read = |status: u16, body: &str| {
        let read = answer::read(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        read.map(|answer| (answer.access_token, answer.id_token))
    };
    let good = r#"{"access_token":"a","token_type":"bearer","id_token":"i","scope":"openid"}"#;
    assert_eq!(read(200, good), Ok(("a".to_owned(), Some("i".to_owned()))));
    let table: [Row; 7] = [
        (200, "{}", |it| matches!(it, Refusal::Incomplete(_))),
        (200, "<html>", |it| matches!(it, Refusal::Incomplete(_))),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, |it| matches!(it, Refusal::Incomplete(_))),
        (400, r#"{"error":"invalid_grant"}"#, |it| *it == Refusal::Grant("invalid_grant".to_owned())),
        (401, r#"{"error":"invalid_client","error_description":"who?"}"#, |it| {
            *it == Refusal::Client("invalid_client: who?".to_owned())
        }),
        (503, r#"{"error":"invalid_grant"}"#, |it| matches!(it, Refusal::Down(_))),
        (302, "", |it| matches!(it, Refusal::Client(_))),
    ];
    for (status, body, is_expected) in table {
        let refusal = read(status, body).unwrap_err();
        assert!(is_expected(&refusal), "{status} {body}: {refusal:?}");
    }
}
