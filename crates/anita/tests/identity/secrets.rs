//! Nothing prints a secret, a token, a ticket or a session: at the finest level of the log, and in what the program says.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{PATIENCE, SECRET, token};

const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn write(folder: &Path) -> std::path::PathBuf {
    std::fs::write(folder.join("jwt.secret"), SECRET).unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"\n\
        [drain]\nspread_secs = 0.01\n[log]\nlevel = \"trace\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
        [[auth.issuers]]\nissuer = \"other\"\nsecret_env = \"OTHER_SECRET\"\n";
    std::fs::write(folder.join("anita.toml"), text).unwrap();
    folder.join("anita.toml")
}

fn anita(command: &str, file: &Path) -> Command {
    let mut anita = Command::new(env!("CARGO_BIN_EXE_anita"));
    anita.args([command, "--config"]).arg(file).env("OTHER_SECRET", OTHER_SECRET);
    anita
}

/// One exchange; an upgrade is left at once.
async fn exchange(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_in_any_line_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path());
    let mut child = anita("serve", &file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("RUST_LOG", "trace")
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut heard = String::new();
    let address = lines
        .by_ref()
        .inspect(|line| heard += line)
        .find_map(|line| line.split_once("http://")?.1.split([' ', '/']).next().map(str::to_owned))
        .unwrap();
    let said_more = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));

    let (by_header, by_query) = (token("alice", "viewer", "t1"), token("alice", "viewer", "t2"));
    let (by_protocol, bad) = (token("alice", "viewer", "t3"), format!("{}x", token("alice", "admin", "t4")));
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let host = format!("host: {address}\r\norigin: http://{address}\r\n");
    let post = format!(
        "POST /api/v1/tickets HTTP/1.1\r\n{host}authorization: Bearer {by_header}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(&address, &post).await;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let ticket = body["ticket"].as_str().unwrap().to_owned();
    let session = exchange(&address, &post.replace("/tickets", "/session")).await;
    let cookie = session.split_once("anita_session=").unwrap().1.split(';').next().unwrap().to_owned();
    let requests = [
        format!("GET /ws?token={by_query} HTTP/1.1\r\n{host}{upgrade}\r\n"),
        format!("GET /ws?token={bad} HTTP/1.1\r\n{host}{upgrade}\r\n"),
        format!("GET /ws?ticket={ticket} HTTP/1.1\r\n{host}{upgrade}\r\n"),
        format!(
            "GET /ws HTTP/1.1\r\n{host}{upgrade}sec-websocket-protocol: anita.v1, anita.bearer.{by_protocol}\r\n\r\n"
        ),
        format!("GET /ws HTTP/1.1\r\n{host}{upgrade}cookie: anita_session={cookie}\r\n\r\n"),
        format!(
            "GET /api/v1/devices HTTP/1.1\r\n{host}authorization: Bearer {bad}\r\nconnection: close\r\n\r\n"
        ),
        format!("GET /nowhere?token={by_query} HTTP/1.1\r\n{host}connection: close\r\n\r\n"),
    ];
    for request in &requests {
        let answer = exchange(&address, request).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    child.wait().unwrap();
    let log = format!("{heard}\n{}\n{}", said.join().unwrap(), said_more.join().unwrap());
    assert!(log.contains("TRACE"), "the finest level is on");
    let signatures =
        [&by_header, &by_query, &by_protocol, &bad].map(|token| token.rsplit('.').next().unwrap());
    let secrets = [SECRET, OTHER_SECRET, &ticket, &cookie];
    for secret in signatures.into_iter().chain(secrets) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[test]
fn check_config_shows_where_secrets_are_and_not_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = anita("check-config", &write(folder.path())).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("jwt.secret") && text.contains("OTHER_SECRET"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains(OTHER_SECRET), "{text}");
}
