//! A shadow of what every client must have seen: clients with random views stall, pan, break off and come back while
//! tags move, and each judges every message by what it has asked for at that moment. When all is still, each knows
//! exactly what its views show.
//!
//! What happens in which order is up to the machine, so a seed is a kind of run and not the same run again.
//! `ANITA_SEED` runs one seed, `ANITA_SEEDS` that many.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, Dial};
use crate::house::{House, PATIENCE};
use crate::picture::{Pictures, Place, metres};

const SEEDS_DEFAULT: u64 = 4;
const CLIENTS: u64 = 8;
const RUN: Duration = Duration::from_secs(3);

/// Tags of each of the two reporters.
const TAGS: usize = 40;

/// The side of the hall in which they move.
const SIDE_CM: i64 = 10_000;

/// What tokens and views name: every device, those of one reporter, or ten of one.
const PATTERNS: [&str; 5] = ["*", "a*", "b*", "a1?", "b2?"];

fn is_named(pattern: &str, device: &str) -> bool {
    let is_alike = |(pattern, letter): (char, char)| pattern == '?' || pattern == letter;
    match pattern.strip_suffix('*') {
        Some(start) => device.starts_with(start),
        None => pattern.len() == device.len() && pattern.chars().zip(device.chars()).all(is_alike),
    }
}

/// What a client asks of a view.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    pattern: &'static str,
    /// West, south, east and north; everywhere if there is none.
    area_cm: Option<[i64; 4]>,
    rate_hz: Option<f64>,
    min_move_m: f64,
    mode: &'static str,
    unit: &'static str,
    fields: &'static str,
}

impl Asked {
    fn random(rng: &mut StdRng) -> Self {
        let area_cm = rng.random_bool(0.7).then(|| random_area(rng));
        Self {
            pattern: PATTERNS.choose(rng).unwrap(),
            area_cm,
            rate_hz: *[None, None, Some(50.0), Some(10.0), Some(3.0)].choose(rng).unwrap(),
            min_move_m: *[0.0, 0.0, 0.0, 2.0].choose(rng).unwrap(),
            mode: ["batch", "single", "columns"].choose(rng).unwrap(),
            unit: ["mm", "cm"].choose(rng).unwrap(),
            fields: ["position", "all"].choose(rng).unwrap(),
        }
    }

    /// The same with something else about it.
    fn changed(&self, rng: &mut StdRng) -> Self {
        let other = Self::random(rng);
        let it = self.clone();
        match rng.random_range(0..6) {
            0 => Self { pattern: other.pattern, ..it },
            1 => Self { rate_hz: *[None, Some(0.0), Some(20.0)].choose(rng).unwrap(), ..it },
            2 => Self { mode: other.mode, unit: other.unit, ..it },
            3 => Self { min_move_m: other.min_move_m, fields: other.fields, ..it },
            _ => Self { area_cm: Some(panned(self.area_cm, rng)), ..it },
        }
    }

    fn payload(&self) -> Value {
        let [min_x, min_y, max_x, max_y] =
            self.area_cm.unwrap_or([-1, -1, SIDE_CM + 1, SIDE_CM + 1]).map(metres);
        let area = json!({ "box": { "min_x": min_x, "min_y": min_y, "max_x": max_x, "max_y": max_y } });
        let view = match self.area_cm {
            Some(_) => json!({ "devices": [self.pattern], "area": area }),
            None => json!({ "devices": [self.pattern] }),
        };
        json!({ "view": view, "max_rate_hz": self.rate_hz, "min_move_m": self.min_move_m,
            "mode": self.mode, "unit": self.unit, "fields": self.fields })
    }

    fn shows(&self, device: &str, place: Option<Place>) -> bool {
        let is_inside = |[min_x, min_y, max_x, max_y]: [i64; 4]| {
            place.is_some_and(|it| (min_x..=max_x).contains(&it.x_cm) && (min_y..=max_y).contains(&it.y_cm))
        };
        is_named(self.pattern, device) && self.area_cm.is_none_or(is_inside)
    }
}

fn random_area(rng: &mut StdRng) -> [i64; 4] {
    let [x, y] = [0; 2].map(|_zero| rng.random_range(0..SIDE_CM * 3 / 4));
    let [width, height] = [0; 2].map(|_zero| rng.random_range(1_000..SIDE_CM));
    [x, y, x + width, y + height]
}

/// A map that is moved a little, or begun anew.
fn panned(area_cm: Option<[i64; 4]>, rng: &mut StdRng) -> [i64; 4] {
    let Some([min_x, min_y, max_x, max_y]) = area_cm else { return random_area(rng) };
    let [dx, dy] = [0; 2].map(|_zero| rng.random_range(-1_000..1_000));
    [min_x + dx, min_y + dy, max_x + dx, max_y + dy]
}

type Tags = BTreeMap<String, Place>;

/// Moves its tags until the time is over: a step, a jump, or out of the registry. Says where they are in the end.
async fn reporter(house: Arc<House>, letter: char, seed: u64, over: Instant) -> Tags {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut client = house.client("operator").await;
    let mut counts = vec![0; TAGS];
    let mut tags = Tags::new();
    let mut is_last = false;
    while !is_last {
        is_last = Instant::now() >= over;
        let mut items = Vec::new();
        for (number, count) in counts.iter_mut().enumerate() {
            let device = format!("{letter}{number:02}");
            let before = tags.get(&device).copied();
            if before.is_none() && rng.random_bool(0.7) || before.is_some() && rng.random_bool(0.2) {
                continue;
            }
            let mut coordinate = |before: Option<i64>| match before {
                Some(before) if rng.random_bool(0.98) => {
                    (before + rng.random_range(-100..=100)).clamp(0, SIDE_CM)
                }
                _ => rng.random_range(0..=SIDE_CM),
            };
            *count += 1;
            let place = Place {
                x_cm: coordinate(before.map(|it| it.x_cm)),
                y_cm: coordinate(before.map(|it| it.y_cm)),
                count: *count,
            };
            items.push(place.item(&device));
            tags.insert(device, place);
        }
        if !items.is_empty() {
            client.report(items).await;
        }
        if rng.random_bool(0.05) && !is_last {
            let device = format!("{letter}{:02}", rng.random_range(0..TAGS));
            if tags.remove(&device).is_some() {
                client.request("remove_device", &json!({ "device_id": device })).await;
            }
        }
        if rng.random_bool(0.02) {
            client.stall(Duration::from_millis(rng.random_range(10..100))).await;
        }
    }
    client.close().await;
    tags
}

/// What a request that was not answered yet will change.
#[derive(Debug)]
enum Pending {
    /// A view begins.
    Begins(Asked),
    /// A view becomes another one.
    Becomes(String, Asked),
    Ends(String),
    /// The token is another one.
    Rights(&'static str),
    Nothing,
}

/// One client and what it knows.
struct Viewer {
    house: Arc<House>,
    rng: StdRng,
    client: Client,
    rights: &'static str,
    /// The views as they are by the answers that came.
    views: BTreeMap<String, Asked>,
    pictures: Pictures,
    pending: VecDeque<(u64, Pending)>,
    /// The last messages, to be shown when something is wrong.
    heard: VecDeque<String>,
    paces: u64,
    told: u64,
}

impl Viewer {
    async fn new(house: Arc<House>, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rights = PATTERNS.choose(&mut rng).unwrap();
        let client = Self::dial(&house, rights).await;
        let mut it = Self {
            house,
            rng,
            client,
            rights,
            views: BTreeMap::new(),
            pictures: Pictures::default(),
            pending: VecDeque::new(),
            heard: VecDeque::new(),
            paces: 0,
            told: 0,
        };
        it.begin().await;
        it
    }

    async fn dial(house: &House, rights: &str) -> Client {
        Client::connect(house.address(), &Dial::new(House::token("viewer", Some(&[rights]))).narrow()).await
    }

    /// Asks for two views.
    async fn begin(&mut self) {
        for _view in 0..2 {
            let asked = Asked::random(&mut self.rng);
            self.ask("subscribe", asked.payload(), Pending::Begins(asked)).await;
        }
    }

    async fn ask(&mut self, kind: &str, payload: Value, pending: Pending) {
        let id = self.client.send(kind, &payload).await;
        self.note(format!("> {id} {kind} {payload}"));
        self.pending.push_back((id, pending));
    }

    fn note(&mut self, line: String) {
        self.heard.push_back(line);
        if self.heard.len() > 40 {
            self.heard.pop_front();
        }
    }

    // --- acting

    async fn run(&mut self, over: Instant) {
        while Instant::now() < over {
            match self.rng.random_range(0..20) {
                0..4 => {
                    let pause = self.rng.random_range(20..400);
                    self.client.stall(Duration::from_millis(pause)).await;
                }
                4..10 => self.change().await,
                10 => self.replace().await,
                11 => {
                    let rights = PATTERNS.choose(&mut self.rng).unwrap();
                    let token = House::token("viewer", Some(&[rights]));
                    self.ask("authenticate", json!({ "token": token }), Pending::Rights(rights)).await;
                }
                12 if self.rng.random_bool(0.3) => self.come_back().await,
                13 => self.ask("get_connection_stats", json!({}), Pending::Nothing).await,
                _ => {}
            }
            let pause = self.rng.random_range(1..200);
            self.read(Instant::now() + Duration::from_millis(pause)).await;
        }
    }

    /// What a view will be when all requests are answered.
    fn planned(&self) -> BTreeMap<String, Asked> {
        let mut views = self.views.clone();
        for (_id, pending) in &self.pending {
            match pending {
                Pending::Becomes(name, asked) => drop(views.insert(name.clone(), asked.clone())),
                Pending::Ends(name) => drop(views.remove(name)),
                Pending::Begins(_) | Pending::Rights(_) | Pending::Nothing => {}
            }
        }
        views
    }

    /// Moves a map, hides a tab, asks for another form.
    async fn change(&mut self) {
        let planned: Vec<(String, Asked)> = self.planned().into_iter().collect();
        let Some((name, asked)) = planned.choose(&mut self.rng).cloned() else { return };
        let changed = asked.changed(&mut self.rng);
        self.become_other(name, changed).await;
    }

    async fn become_other(&mut self, name: String, asked: Asked) {
        let mut payload = asked.payload();
        payload["subscription"] = json!(name);
        self.ask("update_subscription", payload, Pending::Becomes(name, asked)).await;
    }

    /// Ends a view and begins another one.
    async fn replace(&mut self) {
        let names: Vec<String> = self.planned().into_keys().collect();
        let Some(name) = names.choose(&mut self.rng).cloned() else { return };
        self.ask("unsubscribe", json!({ "subscription": name }), Pending::Ends(name)).await;
        let asked = Asked::random(&mut self.rng);
        self.ask("subscribe", asked.payload(), Pending::Begins(asked)).await;
    }

    /// Breaks off, and comes back.
    async fn come_back(&mut self) {
        if self.rng.random_bool(0.5) {
            self.client.stream.set_zero_linger().unwrap();
        }
        self.client = Self::dial(&self.house, self.rights).await;
        self.note("--- came back".to_owned());
        (self.views, self.pictures) = (BTreeMap::new(), Pictures::default());
        self.pending.clear();
        self.begin().await;
    }

    // --- hearing

    async fn read(&mut self, until: Instant) {
        while let Some(message) = self.client.next_before(until).await {
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        self.note(format!("< {message}"));
        if let Some(id) = message["id"].as_u64() {
            self.answered(id, message);
        }
        self.paces += u64::from(message["type"] == "system.pace");
        for told in self.pictures.hear(message) {
            let asked = &self.views[&told.subscription];
            assert!(asked.rate_hz != Some(0.0), "it is paused: {message}");
            assert!(asked.shows(&told.device, told.place), "{told:?} is not of {asked:?}: {message}");
            assert!(is_named(self.rights, &told.device), "{told:?} is outside of {}: {message}", self.rights);
            self.told += 1;
        }
    }

    fn answered(&mut self, id: u64, message: &Value) {
        assert_ne!(message["type"], "error", "{message}");
        let (asked, pending) = self.pending.pop_front().expect("somebody asked for it");
        assert_eq!(asked, id, "answers come in their order: {message}");
        match pending {
            Pending::Begins(asked) => {
                let name = message["payload"]["subscription"].as_str().unwrap();
                self.views.insert(name.to_owned(), asked);
            }
            Pending::Becomes(name, asked) => drop(self.views.insert(name, asked)),
            Pending::Ends(name) => drop(self.views.remove(&name)),
            Pending::Rights(rights) => self.rights = rights,
            Pending::Nothing => {}
        }
    }

    // --- the end

    /// Nothing moves any more: reads until it knows what its views show, and nothing more comes.
    async fn settle(&mut self, tags: &Tags) {
        for (name, asked) in self.planned() {
            self.become_other(name, Asked { rate_hz: Some(20.0), ..asked }).await;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.pending.is_empty() && self.fault(tags).is_none() {
                // What was on its way has come when the answers have.
                for kind in ["get_connection_stats", "ping"] {
                    self.ask(kind, json!({}), Pending::Nothing).await;
                }
                while !self.pending.is_empty() {
                    let message = self.client.next().await;
                    self.hear(&message);
                }
                if self.fault(tags).is_none() {
                    return;
                }
            }
            let Some(message) = self.client.next_before(deadline.min(Instant::now() + PATIENCE / 4)).await
            else {
                panic!(
                    "nothing more comes, and {:?}; still waiting for {:?}",
                    self.fault(tags),
                    self.pending
                );
            };
            self.hear(&message);
        }
    }

    /// What is wrong with what it knows.
    fn fault(&self, tags: &Tags) -> Option<String> {
        for (name, asked) in &self.views {
            let picture = &self.pictures.views[name];
            let is_shown = |device: &str, place: Place| {
                asked.shows(device, Some(place)) && is_named(self.rights, device)
            };
            let shown: Tags =
                tags.iter().filter(|(id, at)| is_shown(id, **at)).map(|(id, at)| (id.clone(), *at)).collect();
            if !shown.keys().eq(picture.devices.keys()) {
                let known: Vec<&String> = picture.devices.keys().collect();
                return Some(format!("{name} shows {:?} and is known as {known:?}", shown.keys()));
            }
            for (device, place) in &shown {
                let known = picture.devices[device];
                let is_near = |known: Place| known == *place || known.distance_m(*place) < asked.min_move_m;
                if !known.is_some_and(is_near) {
                    return Some(format!("{device} of {name} is at {place:?} and is known at {known:?}"));
                }
            }
        }
        None
    }
}

/// What one client does from its beginning to the end; says how often it was told that it is slow, and of how much
/// it was told.
async fn view(
    house: Arc<House>,
    seed: u64,
    over: Instant,
    mut still: watch::Receiver<Option<Tags>>,
) -> (u64, u64) {
    let mut viewer = Viewer::new(house, seed).await;
    let living = async {
        viewer.run(over).await;
        let tags = still.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        viewer.settle(&tags).await;
    };
    let outcome = AssertUnwindSafe(living).catch_unwind().await;
    if let Err(fault) = outcome {
        let heard: Vec<&str> = viewer.heard.iter().map(|it| it.get(..2_000).unwrap_or(it)).collect();
        say(&format!("client {seed} with {} and {:#?}\n{}", viewer.rights, viewer.views, heard.join("\n")));
        std::panic::resume_unwind(fault);
    }
    (viewer.paces, viewer.told)
}

#[expect(clippy::print_stderr, reason = "whoever reads why a run failed")]
fn say(text: &str) {
    eprintln!("{text}");
}

async fn run(seed: u64) -> (u64, u64) {
    let house = Arc::new(House::open("send_buffer_bytes = 4096", "").await);
    let over = Instant::now() + RUN;
    let (all_still, still) = watch::channel(None);
    let mut viewers = JoinSet::new();
    for number in 0..CLIENTS {
        viewers.spawn(view(Arc::clone(&house), seed * 100 + number, over, still.clone()));
    }
    let reporters = ['a', 'b'].map(|letter| {
        tokio::spawn(reporter(Arc::clone(&house), letter, seed * 100 + u64::from(letter), over))
    });
    let mut tags = Tags::new();
    for reporter in reporters {
        tags.extend(reporter.await.unwrap());
    }
    all_still.send(Some(tags)).unwrap();
    let mut sums = (0, 0);
    while let Some(ended) = viewers.join_next().await {
        let (paces, told) = ended.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()));
        sums = (sums.0 + paces, sums.1 + told);
    }
    house.until_metric("anita_connections", 0).await;
    house.until_metric("anita_view_classes", 0).await;
    house.until_metric("anita_queued_bytes", 0).await;
    Arc::into_inner(house).expect("nobody else has it").stop().await;
    sums
}

fn number_of(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a seed to run again")]
    let value = std::env::var(variable).ok()?;
    value.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_knows_in_the_end_what_its_views_show_and_never_more_than_it_may() {
    let seeds = match number_of("ANITA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("ANITA_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    let (mut paces, mut told) = (0, 0);
    for seed in seeds {
        let ended = AssertUnwindSafe(run(seed)).catch_unwind().await;
        let sums = ended.unwrap_or_else(|fault| {
            say(&format!("to see it again: ANITA_SEED={seed} cargo test -p anita --test delivery shadow"));
            std::panic::resume_unwind(fault)
        });
        (paces, told) = (paces + sums.0, told + sums.1);
    }
    assert!(paces > 0 && told > 0, "some were too slow, and heard of it: {paces}, {told}");
}
