use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use anita_auth::{Patterns, Permissions, Principal};
use anita_hub::{Durability, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{DeviceKind, Fix, Identity, Now, Position, SiteName, SourceName, UserId};
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, Cursor, DeviceRecord, EventPage, EventQuery, FixKey, HistoryPage,
    HistoryQuery, MemoryStore, NewestQuery, PlanStore, Record, Remembered, Retention, Store, StoreError,
    Tidied, Usage, Window, WindowQuery, WriterSettings,
};
use axum::body::Body;
use futures_util::StreamExt;
use http_body_util::BodyExt;

use super::body::{Export, Limits};
use super::format::Encoder;
use super::gate::Full;
use super::*;

// --- the formats

/// Compares with a golden file; `UPDATE=1` writes it.
fn golden(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{name}; UPDATE=1 writes it anew");
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn fix(device: &str, taken_at: &str, [x_m, y_m, z_m]: [f64; 3]) -> Fix {
    Fix {
        device: DeviceId::parse(device).unwrap(),
        site: SiteName::main(),
        position: Position::new(x_m, y_m, z_m).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at: time(taken_at),
        received_at: time("2026-03-01T12:00:01Z"),
        source: SourceName::parse("hall").unwrap(),
        sequence: None,
    }
}

/// What is easy to get wrong: commas, quotes and blanks in ids, other scripts, negative zeros, what is not there.
fn examples() -> Vec<Arc<Fix>> {
    let mut whole = fix("cart \"7\", red", "2026-03-01T12:00:00.250000Z", [1.2345, -0.0004, 2.0]);
    whole.accuracy_m = Some(0.25);
    whole.floor = Some(-1.5);
    whole.battery_percent = Some(87.55);
    whole.site = SiteName::parse("north").unwrap();
    whole.sequence = Some(4_294_967_296);
    [
        fix("tag-1", "2026-03-01T12:00:00Z", [1.0, 2.0, 3.0]),
        whole,
        fix("Тег ", "1969-12-31T23:59:59.125000Z", [-12_345.678, 1e7, 0.1]),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

fn encoded(format: Format) -> String {
    let mut encoder = Encoder::new(format);
    let mut out = encoder.head().as_bytes().to_vec();
    let examples = examples();
    encoder.fixes(&examples[..1], &mut out).unwrap();
    encoder.fixes(&examples[1..], &mut out).unwrap();
    out.extend_from_slice(encoder.tail().as_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn the_formats_are_as_their_golden_files() {
    golden("export.csv", &encoded(Format::Csv));
    golden("export.ndjson", &encoded(Format::Ndjson));
    golden("export.geojson", &encoded(Format::GeoJson));
}

#[test]
fn lines_are_items_that_can_be_reported_again() {
    for line in encoded(Format::Ndjson).lines() {
        decode_payload::<anita_wire::request::LocationItem>(line).unwrap();
    }
}

#[test]
fn geojson_is_whole_also_when_it_is_empty() {
    let encoder = Encoder::new(Format::GeoJson);
    let text = format!("{}{}", encoder.head(), encoder.tail());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["features"], json!([]));
}

// --- headers and names

#[test]
fn names_of_files_are_plain() {
    let range = Range { start: Some(time("2026-03-01T12:00:00.25Z")), end: None };
    assert_eq!(file_name("A01/\"7\"\r\n", range, Format::Csv), "anita-A01__7___-from-20260301T120000Z.csv");
    assert_eq!(file_name("history", Range::default(), Format::GeoJson), "anita-history.geojson");
    assert!(file_name(&"x".repeat(200), Range::default(), Format::Ndjson).len() < 100);
}

#[test]
fn lists_are_split_at_commas_outside_patterns() {
    let asked = Asked::new(Some("devices=a,b&devices=%7Bc%2Cd%7D-*,,[e,f]&limit=x"));
    assert_eq!(asked.list("devices").unwrap(), ["a", "b", "{c,d}-*", "[e,f]"]);
    assert_eq!(asked.list("rooms"), None);
    assert!(asked.count("limit").unwrap_err().0.message.contains("\"x\" is not a whole number"));
    assert!(asked.text("devices").unwrap_err().0.message.contains("twice"));
}

#[test]
fn a_plus_that_is_not_escaped_is_explained() {
    let asked = Asked::new(Some("at=2026-03-01T12:00:00+01:00"));
    assert!(asked.time("at").unwrap_err().0.message.contains("write + as %2B"));
}

fn user(subject: &str) -> UserId {
    UserId { issuer: "anita".into(), subject: subject.into() }
}

#[test]
fn places_are_bounded_in_all_and_for_each_subject() {
    let gate = Gate::new(3, 2);
    let first = gate.enter(&user("alice")).unwrap();
    let _second = gate.enter(&user("alice")).unwrap();
    assert_eq!(gate.enter(&user("alice")).unwrap_err(), Full::OfSubject(2));
    let _third = gate.enter(&user("bob")).unwrap();
    assert_eq!(gate.enter(&user("carol")).unwrap_err(), Full::All(3));
    drop(first);
    assert!(gate.enter(&user("alice")).is_ok());
}

// --- the body

/// A store with one device whose history never ends, and that counts what it is asked for.
#[derive(Debug)]
struct Endless {
    inner: MemoryStore,
    pages: AtomicUsize,
    /// After so many pages it fails, or ends.
    pages_max: usize,
    then: Then,
}

impl Store for Endless {
    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        self.inner.load(events_max)
    }
    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.commit(records)
    }
    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        let number = self.pages.fetch_add(1, Ordering::SeqCst);
        if number >= self.pages_max {
            let failed = Err(StoreError::Unavailable(Arc::new(std::io::Error::other("away"))));
            let answer = if self.then == Then::Fails { failed } else { Ok(HistoryPage::default()) };
            return Box::pin(async move { answer });
        }
        let fixes = (0..query.limit).map(|index| {
            let mut fix = fix("tag-1", "2026-03-01T12:00:00Z", [1.0, 2.0, 3.0]);
            fix.sequence = Some((number * query.limit + index) as u64);
            Arc::new(fix)
        });
        let fixes: Vec<Arc<Fix>> = fixes.collect();
        let next = fixes.last().map(|fix| Cursor(FixKey::of(fix)));
        Box::pin(async move { Ok(HistoryPage { fixes, next }) })
    }
    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        self.inner.newest(query)
    }
    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        self.inner.window(query)
    }
    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.inner.events(query)
    }
    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.inner.audit(query)
    }
    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        self.inner.tidy(retention, now)
    }
    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.inner.usage()
    }
    fn plans(&self) -> &dyn PlanStore {
        self.inner.plans()
    }
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}

/// What a store does after its last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Ends,
    Fails,
}

fn lines_of(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').skip(1).count()
}

struct Stage {
    store: Arc<Endless>,
    hub: Arc<Hub>,
    gate: Arc<Gate>,
    cut: Cut,
    draining: CancellationToken,
}

impl Stage {
    async fn new(pages_max: usize, then: Then) -> Self {
        let inner = MemoryStore::new(10, 10, 10);
        let tag = DeviceRecord {
            id: DeviceId::parse("tag-1").unwrap(),
            name: None,
            kind: DeviceKind::Tag,
            site: SiteName::main(),
            mounted_at: None,
            floor: None,
        };
        inner.commit(Arc::new(vec![Record::Save(tag)])).await.unwrap();
        let store = Arc::new(Endless { inner, pages: AtomicUsize::new(0), pages_max, then });
        let keeping =
            Keeping::new(Arc::<Endless>::clone(&store), WriterSettings::default(), None, Durability::Commit);
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        let hub =
            Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), now).await.unwrap();
        let (gate, draining) = (Gate::new(8, 8), CancellationToken::new());
        Self { store, hub, gate, cut: Cut::default(), draining }
    }

    async fn begin(&self, coding: Coding, stall: Duration) -> Result<Body, Refused> {
        let principal = Principal {
            identity: Arc::new(Identity {
                user: UserId { issuer: "anita".into(), subject: "alice".into() },
                token_id: None,
                issued_at: None,
            }),
            roles: Vec::new(),
            permissions: Permissions::all(),
            devices: Patterns::all(),
            rooms: Patterns::all(),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        let walk = Walk::new(Arc::clone(&self.hub), principal, Selection::all(), Range::default());
        let limits = Limits { stall, break_after: Duration::ZERO };
        let (cut, draining) = (self.cut.clone(), self.draining.clone());
        let export = Export { walk, format: Format::Ndjson, coding, limits, cut, draining };
        export.begin(self.gate.enter(&user("alice")).unwrap()).await
    }

    fn pages(&self) -> usize {
        self.store.pages.load(Ordering::SeqCst)
    }

    /// Waits until no export is under way.
    async fn is_idle(&self) {
        let began = std::time::Instant::now();
        while !self.gate.is_free() {
            assert!(began.elapsed() < Duration::from_secs(20), "the export goes on");
            tokio::task::yield_now().await;
        }
    }
}

const PATIENT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn an_export_is_whole_and_the_same_compressed() {
    let plain = Stage::new(3, Then::Ends).await.begin(Coding::Plain, PATIENT).await.unwrap();
    let plain = plain.collect().await.unwrap().to_bytes();
    assert_eq!(lines_of(&plain), 6_000);
    let gzip = Stage::new(3, Then::Ends).await.begin(Coding::Gzip, PATIENT).await.unwrap();
    let gzip = gzip.collect().await.unwrap().to_bytes();
    assert!(gzip.len() * 5 < plain.len(), "{} of {}", gzip.len(), plain.len());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut text).unwrap();
    assert!(text == plain, "what is compressed is something else");
}

#[tokio::test]
async fn an_export_reads_no_farther_than_its_client_and_stops_when_that_goes() {
    let stage = Stage::new(usize::MAX, Then::Ends).await;
    let mut pieces = stage.begin(Coding::Plain, PATIENT).await.unwrap().into_data_stream();
    for _piece in 0..100 {
        assert!(!pieces.next().await.unwrap().unwrap().is_empty());
    }
    // A hundred pieces are 1.6 MB: some 7 pages of 250 KB; a page more is read, and one is under way.
    assert!(stage.pages() < 15, "{} pages were read", stage.pages());
    drop(pieces);
    stage.is_idle().await;
    let pages = stage.pages();
    assert!(pages < 15, "{pages} pages were read");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_breaks_the_transfer_off_after_a_whole_line() {
    for coding in [Coding::Plain, Coding::Gzip] {
        let stage = Stage::new(2, Then::Fails).await;
        let mut pieces = stage.begin(coding, PATIENT).await.unwrap().into_data_stream();
        let (mut came, mut is_broken) = (Vec::new(), false);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => came.extend_from_slice(&piece),
                Err(_broken) => is_broken = true,
            }
        }
        assert!(is_broken, "it looks as if it were whole");
        let mut text = Vec::new();
        if coding == Coding::Gzip {
            flate2::read::GzDecoder::new(&came[..]).read_to_end(&mut text).unwrap_err();
        } else {
            text = came;
        }
        assert_eq!(lines_of(&text), 4_000);
        assert_eq!(text.last(), Some(&b'\n'));
        stage.is_idle().await;
    }
}

#[tokio::test]
async fn a_store_that_is_away_at_the_beginning_is_a_refusal() {
    let stage = Stage::new(0, Then::Fails).await;
    let refused = stage.begin(Coding::Plain, PATIENT).await.unwrap_err();
    assert_eq!(refused.0.code, ErrorCode::Unavailable);
    assert!(refused.0.retry_after_ms.is_some());
    stage.is_idle().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_its_place_is_free() {
    let stage = Stage::new(usize::MAX, Then::Ends).await;
    let mut pieces = stage.begin(Coding::Plain, Duration::from_millis(50)).await.unwrap().into_data_stream();
    stage.cut.0.cancelled().await;
    stage.is_idle().await;
    let mut last = None;
    while let Some(piece) = pieces.next().await {
        last = Some(piece.is_ok());
    }
    assert_eq!(last, Some(false), "what is left of it is no whole file");
}

#[tokio::test]
async fn an_export_is_broken_off_when_the_server_stops() {
    let stage = Stage::new(usize::MAX, Then::Ends).await;
    let mut pieces = stage.begin(Coding::Plain, PATIENT).await.unwrap().into_data_stream();
    assert!(pieces.next().await.unwrap().is_ok());
    stage.draining.cancel();
    while pieces.next().await.is_some_and(|piece| piece.is_ok()) {}
    assert!(pieces.next().await.is_none());
    stage.is_idle().await;
}
