use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::scripted::{Asked, Certificate, http, soon};

#[expect(clippy::unnecessary_wraps, reason = "it is one of the answers of a script")]
fn accepts(asked: &Asked) -> crate::scripted::Answered {
    let accepted = asked.body.as_array().unwrap().len();
    Some((200, vec![], json!({ "accepted": accepted, "refused": [] })))
}

fn recording(folder: &Path, lines: u32) -> PathBuf {
    let path = folder.join("log.csv");
    let line = |line: u32| format!("{},tag-{},{line},2.5,0", 100.0 + f64::from(line) * 0.1, line % 3);
    let lines: Vec<String> = (0..lines).map(line).collect();
    std::fs::write(&path, format!("t_s,tag_id,x_m,y_m,z_m\n{}\n", lines.join("\n"))).unwrap();
    path
}

fn items(asked: &Mutex<Vec<Asked>>) -> Vec<Value> {
    asked.lock().iter().flat_map(|it| it.body.as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_recording_goes_out_in_its_own_time_and_order_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = http(None, |_, asked| accepts(asked)).await;
    let options = ReplayOptions {
        token: Some(Token::new("jwt")),
        speed: 20.0,
        ..ReplayOptions::new(format!("http://{address}"), recording(folder.path(), 61))
    };
    let (began_at, wall) = (Instant::now(), Timestamp::now());
    let report = soon(replay(options, |_| {})).await.unwrap();
    let took = began_at.elapsed();
    assert_eq!((report.sent, report.accepted, report.refused, report.passes), (61, 61, 0, 1));
    // 6 s of recording at 20 times the speed.
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let items = items(&asked);
    let xs: Vec<f64> = items.iter().map(|item| item["location"]["x"].as_f64().unwrap()).collect();
    assert_eq!(xs, (0..61).map(f64::from).collect::<Vec<_>>());
    let times: Vec<Timestamp> =
        items.iter().map(|item| Timestamp::parse(item["timestamp"].as_str().unwrap()).unwrap()).collect();
    assert!(times[0] >= wall && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert_eq!(times[60].since(times[0]), Duration::from_millis(300));
    let asked = asked.lock();
    assert!(asked.len() <= 2 + 300 / 50, "{} reports", asked.len());
    assert!(asked.iter().all(|it| it.connection == 0 && it.path == "/api/v1/locations"));
    assert!(asked.iter().all(|it| it.authorization.as_deref() == Some("Bearer jwt")));
}

#[tokio::test]
async fn a_server_that_is_busy_gets_the_same_report_again_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    let (address, asked) = http(None, move |number, asked| match number {
        1 => Some((503, vec![("retry-after", "0")], json!({}))),
        2 => Some((
            429,
            vec![],
            json!({ "code": "rate_limited", "detail": "Too many.", "retry_after_ms": 30 }),
        )),
        4 => None,
        _ => {
            kept.lock().extend(asked.body.as_array().unwrap().clone());
            accepts(asked)
        }
    })
    .await;
    let options = ReplayOptions {
        speed: 1_000.0,
        batch_max: 7,
        ..ReplayOptions::new(format!("http://{address}"), recording(folder.path(), 50))
    };
    let mut waits = Vec::new();
    let report = soon(replay(options, |event| {
        if let ReplayEvent::Retry { wait, .. } = event {
            waits.push(wait);
        }
    }))
    .await
    .unwrap();
    assert_eq!((report.accepted, report.retried), (50, 3), "{report:?}");
    assert!(waits[1] >= Duration::from_millis(30), "{waits:?}");
    let taken = taken.lock();
    let xs: Vec<f64> = taken.iter().map(|item| item["location"]["x"].as_f64().unwrap()).collect();
    assert_eq!(xs, (0..50).map(f64::from).collect::<Vec<_>>());
    let asked = asked.lock();
    assert_eq!(asked[1].body, asked[2].body);
    assert_eq!(asked[2].body, asked[3].body);
    assert_eq!(asked[4].body, asked[5].body);
    assert!(asked.iter().all(|it| it.body.as_array().unwrap().len() <= 7));
}

#[tokio::test]
async fn bad_lines_and_refused_items_are_told_with_their_lines_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let text = "t_s,tag_id,x_m,y_m,z_m\n0,a,1,1,1\nnot a line\n0,b,,,\n0,c,3,3,3\n";
    std::fs::write(&path, text).unwrap();
    let (address, _asked) = http(None, |_, _| {
        let refused = json!([{ "index": 1, "code": "not_found", "message": "There is no device \"c\"." }]);
        Some((200, vec![], json!({ "accepted": 1, "refused": refused })))
    })
    .await;
    let mut told = Vec::new();
    let report =
        soon(replay(ReplayOptions::new(format!("ws://{address}/ws/uwb"), path), |event| match event {
            ReplayEvent::BadLine { error: ReadError::Line { line, .. } } => told.push(format!("bad {line}")),
            ReplayEvent::Refused { line, code, .. } => told.push(format!("{code} {line}")),
            ReplayEvent::Progress(progress) => {
                told.push(format!("sent {} in pass {}", progress.sent, progress.pass));
            }
            other @ (ReplayEvent::BadLine { .. } | ReplayEvent::Retry { .. }) => panic!("{other:?}"),
        }))
        .await
        .unwrap();
    assert_eq!(told, ["bad 3", "not_found 5", "sent 2 in pass 1"]);
    let counted = (report.sent, report.accepted, report.refused, report.bad_lines, report.without_position);
    assert_eq!(counted, (2, 1, 1, 1, 1));
}

#[tokio::test]
async fn a_loop_begins_its_times_anew_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = http(None, |_, asked| accepts(asked)).await;
    let options = ReplayOptions {
        speed: 10.0,
        is_loop: true,
        ..ReplayOptions::new(format!("http://{address}"), recording(folder.path(), 6))
    };
    let stop = options.stop.clone();
    let stopping = async {
        while asked.lock().iter().map(|it| it.body.as_array().unwrap().len()).sum::<usize>() < 18 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    };
    let (report, ()) = soon(async { tokio::join!(replay(options, |_| {}), stopping) }).await;
    assert!(report.unwrap().passes >= 2);
    let mut newest = BTreeMap::<String, Timestamp>::new();
    for item in items(&asked) {
        let time = Timestamp::parse(item["timestamp"].as_str().unwrap()).unwrap();
        let before = newest.insert(item["device_id"].to_string(), time);
        assert!(before.is_none_or(|before| before < time), "each pass is newer than the one before");
    }
}

#[tokio::test]
async fn recorded_times_are_kept_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.ndjson");
    let line = |time: &str, x: f64| {
        json!({ "device_id": "a", "location": { "x": x, "y": 0, "z": 0 }, "timestamp": time }).to_string()
    };
    let times = ["2026-03-01T12:00:00.500000Z", "2026-03-01T12:00:00.250000Z", "2026-03-01T12:00:01.000000Z"];
    let lines: Vec<String> = times.iter().zip([1.0, 2.0, 3.0]).map(|(time, x)| line(time, x)).collect();
    std::fs::write(&path, format!("{}\nnot json\n", lines.join("\n"))).unwrap();
    let (address, asked) = http(None, |_, asked| accepts(asked)).await;
    let url = format!("http://{address}");
    let mut bad_line = 0;
    let options = ReplayOptions { keep_time: true, speed: 100.0, ..ReplayOptions::new(&url, &path) };
    let report = soon(replay(options, |event| {
        if let ReplayEvent::BadLine { error: ReadError::Line { line, .. } } = event {
            bad_line = *line;
        }
    }))
    .await
    .unwrap();
    assert_eq!((report.accepted, bad_line), (3, 4));
    let sent: Vec<Value> = items(&asked).into_iter().map(|item| item["timestamp"].clone()).collect();
    assert_eq!(sent, times);

    // Seconds from a zero of the recording's own are no dates.
    std::fs::write(&path, r#"{"t_s":5,"tag_id":"a","x_m":1,"y_m":2,"z_m":3}"#).unwrap();
    let wall = Timestamp::now();
    soon(replay(ReplayOptions { keep_time: true, ..ReplayOptions::new(url, path) }, |_| {})).await.unwrap();
    let time = items(&asked)[3]["timestamp"].as_str().unwrap().to_owned();
    assert!(Timestamp::parse(&time).unwrap() >= wall, "{time}");
}

#[tokio::test]
async fn a_server_that_will_not_have_it_ends_the_replay() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = http(None, |_, _| {
        Some((
            403,
            vec![],
            json!({ "code": "forbidden", "detail": "This needs the permission locations.report." }),
        ))
    })
    .await;
    let options = ReplayOptions::new(format!("http://{address}"), recording(folder.path(), 3));
    let error = soon(replay(options, |_| {})).await.unwrap_err();
    let ReplayError::Report(refusal) = error else { panic!("{error}") };
    assert!(refusal.to_string().contains("locations.report") && refusal.remedy().is_some(), "{refusal}");
    assert_eq!(asked.lock().len(), 1, "it is not tried again");

    let (address, asked) = http(None, |_, _| Some((503, vec![], json!({})))).await;
    let options = ReplayOptions {
        retry_for: Duration::from_millis(700),
        ..ReplayOptions::new(format!("http://{address}"), recording(folder.path(), 3))
    };
    let error = soon(replay(options, |_| {})).await.unwrap_err();
    assert!(matches!(error, ReplayError::Report(ConnectError::Http { status: 503, .. })), "{error}");
    assert!(!asked.lock().is_empty());
}

#[tokio::test]
async fn reports_go_over_tls_with_a_pinned_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let (address, asked) = http(Some(&certificate), |_, asked| accepts(asked)).await;
    let options = ReplayOptions {
        trust: Trust::Fingerprint(certificate.fingerprint),
        speed: 100.0,
        ..ReplayOptions::new(format!("wss://{address}"), recording(folder.path(), 3))
    };
    assert_eq!(soon(replay(options, |_| {})).await.unwrap().accepted, 3);
    assert_eq!(items(&asked).len(), 3);
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_before_anything_is_sent() {
    let good = || ReplayOptions::new("http://127.0.0.1:1", "log.csv");
    let table = [
        (ReplayOptions { speed: 0.0, ..good() }, "speed"),
        (ReplayOptions { speed: f64::NAN, ..good() }, "speed"),
        (ReplayOptions { batch_max: 1_001, ..good() }, "1 to 1000 items"),
        (ReplayOptions { is_loop: true, keep_time: true, ..good() }, "loop"),
        (ReplayOptions::new("http://127.0.0.1:1", "log.txt"), "neither .csv nor .ndjson"),
        (ReplayOptions::new("http://192.168.1.1:1", "log.csv"), "plain text"),
        (ReplayOptions::new("http://127.0.0.1:1", "/no/such/log.csv"), "cannot open"),
    ];
    for (options, words) in table {
        let error = soon(replay(options, |_| {})).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.csv");
    std::fs::write(&path, "t_s,tag_id,x_m,y_m,z_m\n").unwrap();
    let options = ReplayOptions { is_loop: true, ..ReplayOptions::new("http://127.0.0.1:1", path) };
    assert!(matches!(soon(replay(options, |_| {})).await, Err(ReplayError::Empty { .. })));
}
