//! DWM1001 text over a pseudo terminal, a socket, and from a file that grows.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use anita_sources::State;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_serial::{SerialPort as _, SerialStream};

use crate::bench::Bench;

fn table(url: &str, more: &str) -> String {
    format!("type = 'line'\nname = 'desk'\nurl = '{url}'\nformat = 'dwm1001'\n{more}\n")
}

fn samples() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/source/dwm1001/samples.in");
    fs::read_to_string(path).unwrap()
}

const SAMPLES_TOLD: [&str; 9] = [
    "T1@6.95,5.37,-1.97",
    "T1@2.55,2.01,1.71",
    "T1@1.49,4.02,0.78",
    "T1@1.59,1.65,1.27",
    "T1@7.1,5.24,-2.03",
    "T1@6.97,5.17,-1.77",
    "4D18@-1.31,0.17,0.39",
    "4CAD: no_solution",
    "4CAD@4.56,3.29,1.54",
];

/// The device's end of a pseudo terminal and the path of the other. The file keeps that one open, so that the device's end does
/// not break while no source has it; a serial port would be locked.
fn terminal() -> (SerialStream, File, String) {
    let (device, other) = SerialStream::pair().unwrap();
    let path = other.name().unwrap();
    (device, File::open(&path).unwrap(), path)
}

#[tokio::test]
async fn lines_of_a_serial_port_become_reports() {
    let (mut device, _other, path) = terminal();
    let bench = Bench::start(&table(&format!("serial://{path}?baud=115200"), "device_id = 'T1'"));
    bench.until_connected().await;
    for chunk in samples().as_bytes().chunks(50) {
        device.write_all(chunk).await.unwrap();
    }
    bench.until("all lines", |it| it.sink.reports().len() == SAMPLES_TOLD.len()).await;
    assert_eq!(bench.sink.told(), SAMPLES_TOLD);
    device.write_all(b"POS,7.10,5.2\nPOS,0,4CAD,4.56,3.29,1.54,90,x08\n").await.unwrap();
    bench.until("one more", |it| it.sink.reports().len() == SAMPLES_TOLD.len() + 1).await;
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.malformed.into_iter().collect::<Vec<_>>(), [("damaged_line", 1)]);
    assert_eq!(snapshot.no_position, 1);
    bench.stop().await;
}

/// A device that sleeps until it is knocked at, and then prints when it is told to. Whoever knocks may be impatient and begin
/// anew, where this is slow. Gives what it heard, and itself: the line
/// must not hang up before the other side has read.
async fn sleepy(mut device: SerialStream) -> (String, SerialStream) {
    let mut heard = String::new();
    let mut byte = [0];
    while device.read_exact(&mut byte).await.is_ok() {
        heard.push(char::from(byte[0]));
        if heard.ends_with('\r') && heard.len().is_multiple_of(2) && !heard.contains('l') {
            device.write_all(b"\r\n\r\n DWM1001 TWR Real Time Location System\r\n\r\ndwm> ").await.unwrap();
        }
        if heard.ends_with("lec\r") {
            device.write_all(b"lec\r\ndwm> POS,7.10,5.24,-2.03,53\r\n").await.unwrap();
            break;
        }
    }
    (heard, device)
}

#[tokio::test]
async fn a_sleeping_device_is_woken() {
    let (device, _other, path) = terminal();
    let device = tokio::spawn(sleepy(device));
    let bench = Bench::start(&table(&format!("serial://{path}"), "device_id = 'T1'\nwake = true"));
    bench.until("a position", |it| it.sink.told() == ["T1@7.1,5.24,-2.03"]).await;
    let heard = device.await.unwrap().0;
    assert!(heard.starts_with("\r\r") && heard.trim_start_matches('\r') == "lec\r", "{heard:?}");
    bench.stop().await;
}

#[tokio::test]
async fn a_device_that_does_not_wake_is_a_clear_fault() {
    let (mut device, _other, path) = terminal();
    let bench = Bench::start(&table(&format!("serial://{path}"), "wake = true"));
    bench.until_error("does not answer to two carriage returns; check the cable, the baud rate").await;
    let mut knocks = [0; 2];
    device.read_exact(&mut knocks).await.unwrap();
    assert_eq!(&knocks, b"\r\r");
    bench.stop().await;
}

#[tokio::test]
async fn a_port_that_is_not_there_is_a_clear_fault() {
    let bench = Bench::start(&table("serial:///dev/no-such-port", ""));
    bench.until_error("cannot connect to /dev/no-such-port at 115200 baud").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_socket_that_closes_is_connected_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::start(&table(&format!("tcp://127.0.0.1:{port}"), ""));
    for _ in 0..2 {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"POS,0,4CAD,4.56,3.29,1.54,90,x08\r\nPOS,7.10,5.24,-2.03,53\r\nPOS,0,4D18,1.00,")
            .await
            .unwrap();
    }
    bench.until("both", |it| it.sink.reports().len() == 2).await;
    bench.until_error("closed the connection").await;
    assert_eq!(bench.sink.told(), ["4CAD@4.56,3.29,1.54"; 2]);
    let refused = bench.snapshot().malformed;
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), [("no_device_id", 2)], "and half a line is no line");
    bench.stop().await;
}

#[tokio::test]
async fn a_silent_socket_is_a_fault_where_silence_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::start(&table(&format!("tcp://127.0.0.1:{port}"), "silence_secs_max = 1"));
    let _silent = listener.accept().await.unwrap();
    bench.until_error("has sent nothing for 1s").await;
    bench.stop().await;
}

#[tokio::test]
async fn reports_of_a_device_that_are_not_accepted_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::start(&table(&format!("tcp://127.0.0.1:{port}"), ""));
    let (mut socket, _) = listener.accept().await.unwrap();
    bench.sink.refuse();
    socket.write_all(b"POS,0,4CAD,4.56,3.29,1.54,90,x08\n").await.unwrap();
    bench.until("the drop", |it| it.snapshot().dropped == 1).await;
    bench.sink.accept();
    socket.write_all(b"POS,0,4CAD,5.56,3.29,1.54,90,x09\n").await.unwrap();
    bench.until("the next one", |it| it.sink.told() == ["4CAD@5.56,3.29,1.54"]).await;
    bench.stop().await;
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

fn position(x: u32) -> String {
    format!("POS,0,4CAD,{x}.00,3.29,1.54,90,x08\n")
}

async fn until_told(bench: &Bench, xs: &[u32]) {
    let expected: Vec<_> = xs.iter().map(|x| format!("4CAD@{x},3.29,1.54")).collect();
    bench.until(&format!("{expected:?}"), |it| it.sink.told() == expected).await;
}

#[tokio::test]
async fn a_file_is_followed_as_it_grows_is_truncated_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dwm.log");
    append(&path, &position(1));
    append(&path, &position(2));
    let bench = Bench::start(&table(&format!("file://{}", path.display()), "from_start = true"));
    until_told(&bench, &[1, 2]).await;
    let line = position(3);
    append(&path, &line[..12]);
    append(&path, &line[12..]);
    until_told(&bench, &[1, 2, 3]).await;
    append(&path, "POS,0,4CAD,9.0");
    fs::write(&path, position(4)).unwrap();
    until_told(&bench, &[1, 2, 3, 4]).await;
    append(&path, &position(5));
    fs::rename(&path, folder.path().join("dwm.log.1")).unwrap();
    append(&path, &position(6));
    until_told(&bench, &[1, 2, 3, 4, 5, 6]).await;
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.restarts, snapshot.malformed.len()), (0, 0));
    bench.stop().await;
}

#[tokio::test]
async fn without_from_start_only_what_is_added_counts_and_a_new_file_is_all_added() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dwm.log");
    append(&path, &position(1));
    let url = format!("file://{}", path.display());
    let bench = Bench::start(&table(&url, ""));
    bench.until_connected().await;
    append(&path, &position(2));
    until_told(&bench, &[2]).await;
    bench.stop().await;
    fs::remove_file(&path).unwrap();
    let bench = Bench::start(&table(&url, ""));
    bench.until("it waits for the file", |it| it.snapshot().state == State::Waiting).await;
    bench.until_error("cannot connect to").await;
    append(&path, &position(3));
    until_told(&bench, &[3]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_file_waits_for_an_intake_that_accepts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dwm.log");
    append(&path, &position(1));
    let bench = Bench::start(&table(&format!("file://{}", path.display()), "from_start = true"));
    until_told(&bench, &[1]).await;
    bench.sink.refuse();
    append(&path, &position(2));
    bench.until("refusals", |it| it.sink.refused() > 2).await;
    bench.sink.accept();
    until_told(&bench, &[1, 2]).await;
    assert_eq!(bench.snapshot().dropped, 0);
    bench.stop().await;
}
