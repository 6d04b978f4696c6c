//! Killed in the middle of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cuts::breaks;
use crate::http;
use crate::server::{Home, PATIENCE, token};
use crate::verify::{verify, whole};

const KILLS: usize = 20;

/// The last line of the file, if it is whole: `SEQ:HASH`.
pub(crate) fn noted(home: &Home, lines: &str) -> Option<String> {
    let text = std::fs::read_to_string(home.file(lines)).ok()?;
    let last = text.lines().next_back().filter(|_line| text.ends_with('\n'))?;
    let line: serde_json::Value = serde_json::from_str(last).ok()?;
    Some(format!("{}:{}", line["seq"], line["hash"].as_str()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_again_and_again_the_chain_and_the_file_are_whole() {
    let home = Home::new("[audit]\nfile_bytes_max = 65536\nfiles_max = 900\n");
    let log = || std::fs::OpenOptions::new().append(true).create(true).open(home.file("log")).unwrap();
    let mut heads = Vec::new();
    for kill in 0..KILLS {
        let server = home.start_telling(log().into());
        assert_eq!(breaks(&server).await, 0, "a kill is no cut");
        let (address, is_over, count) =
            (server.address, Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let callers: Vec<_> = (0..4)
            .map(|_caller| {
                let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
                tokio::spawn(async move {
                    let admin = token("admin");
                    while !is_over.load(Ordering::Relaxed) {
                        // Refused, or cut, when the server is gone.
                        if http::request(address, "GET", "/api/v1/audit?limit=1", &admin, "").await.is_ok() {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let started = Instant::now();
        while count.load(Ordering::Relaxed) < 60 {
            assert!(started.elapsed() < PATIENCE, "nothing is answered after {kill} kills");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(kill as u64 * 2_300)).await;
        server.kill();
        is_over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        heads.extend(noted(&home, "anita.db.audit.jsonl"));
        // What the file said before the crash is in the store after it.
        let noted: Vec<&str> = heads.iter().flat_map(|head| ["--head", head.as_str()]).collect();
        whole(&verify(&home, &noted));
    }
    home.start_telling(log().into()).stop();
    let log = std::fs::read_to_string(home.file("log")).unwrap();
    assert!(!log.contains("audit"), "a kill is no cut: {log}");
    let noted: Vec<&str> = heads.iter().flat_map(|head| ["--head", head.as_str()]).collect();
    let said = verify(&home, &noted);
    let (head, count) = whole(&said);
    assert_eq!(head.split(':').next().unwrap().parse(), Ok(count), "nothing is missing: {said:?}");
    let files = format!("audit.file: {count} entries, seq 1 to {count}, head {head}, whole");
    assert_eq!(
        said.out.lines().nth(1),
        Some(files.as_str()),
        "the file got from the store what the crash kept from it"
    );
}
