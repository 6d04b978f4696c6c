//! A client of a script, and what it was told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use anita_client::{
    AskError, Envelope, Event, Events, Gap, GapOf, Live, LiveOptions, Options, State, Token, View,
    ViewContents,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fits;
use crate::server::{Claims, PATIENCE, Server};

/// A token in form, made by nobody.
const BROKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmVkIGJ5IG5vYm9keQ";

type Answer = Result<Envelope, AskError>;

pub(crate) struct Actor {
    pub(crate) live: Arc<Live>,
    events: Events,
    messages: HashMap<String, VecDeque<Value>>,
    gaps: VecDeque<Gap>,
    token_count: Arc<AtomicU64>,
    requests: VecDeque<JoinHandle<Answer>>,
    views: HashMap<String, View>,
}

impl Actor {
    pub(crate) fn connect(server: &Server, name: &str, path: &str, role: &str, words: &[&str]) -> Self {
        let mut claims = Claims::new(name, role);
        let mut kind = "function";
        for (word, value) in words.iter().map(|word| word.split_once('=').expect("WORD=VALUE")) {
            let list = || value.split(',').map(ToOwned::to_owned).collect();
            match word {
                "ttl" => claims.ttl = Duration::from_secs(value.strip_suffix('s').unwrap().parse().unwrap()),
                "devices" => claims.devices = list(),
                "rooms" => claims.rooms = list(),
                "token" => kind = value,
                _ => panic!("no such word: {word}"),
            }
        }
        let mut connection = Options::new(server.url(path));
        let token_count = Arc::new(AtomicU64::new(0));
        let mut options = match kind {
            "static" | "broken" => {
                let text = if kind == "broken" { BROKEN.to_owned() } else { claims.mint() };
                connection.token = Some(Token::new(text));
                LiveOptions::new(connection)
            }
            _ => {
                let count = Arc::clone(&token_count);
                LiveOptions::new(connection).with_tokens(move |_reason| {
                    count.fetch_add(1, Ordering::Relaxed);
                    let token = claims.mint();
                    async move { Ok(Token::new(token)) }
                })
            }
        };
        options.request_deadline = PATIENCE;
        let (live, events) = Live::start_listening(options);
        Self {
            live: Arc::new(live),
            events,
            messages: HashMap::new(),
            gaps: VecDeque::new(),
            token_count,
            requests: VecDeque::new(),
            views: HashMap::new(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("{:?} {:?}", self.live.state(), self.live.failure())
    }

    pub(crate) async fn is(&self, state: &str) -> Result<(), String> {
        let state = match state {
            "online" => State::Online,
            "waiting" => State::Waiting,
            "failed" => State::Failed,
            "closed" => State::Closed,
            _ => return Err("no such state".to_owned()),
        };
        let found = timeout(PATIENCE, self.live.until(state)).await;
        found.map_err(|_elapsed| "it is not".to_owned())?.map_err(|error| error.to_string())
    }

    pub(crate) async fn was_online(&self, times: u64) -> Result<(), String> {
        until(|| self.live.connection_count() >= times).await?;
        let found = self.live.connection_count();
        if found == times { Ok(()) } else { Err(format!("it was online {found} times")) }
    }

    pub(crate) async fn gave(&self, tokens: u64) -> Result<(), String> {
        until(|| self.token_count.load(Ordering::Relaxed) >= tokens).await
    }

    /// What is asked is on its way, or waits, before the next line.
    pub(crate) async fn asks(&mut self, kind: &str, payload: Value) {
        let (live, kind) = (Arc::clone(&self.live), kind.to_owned());
        let mut asking = Box::pin(async move { live.request(&kind, &payload).await });
        let first = std::future::poll_fn(|context| match asking.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => Poll::Ready(None),
        });
        let first = first.await;
        self.requests.push_back(tokio::spawn(async move {
            match first {
                Some(answer) => answer,
                None => asking.await,
            }
        }));
    }

    async fn oldest(&mut self) -> Result<Answer, String> {
        let request = self.requests.pop_front().ok_or("nothing was asked")?;
        request.await.map_err(|error| error.to_string())
    }

    pub(crate) async fn gets(&mut self, pattern: &Value) -> Result<(), String> {
        let answer = self.oldest().await?.map_err(|error| format!("{error:?}"))?;
        let payload: Value = answer.payload_as().unwrap();
        if fits(pattern, &payload) { Ok(()) } else { Err(format!("the answer is {payload}")) }
    }

    pub(crate) async fn is_refused(&mut self, code: &str, pattern: &Value) -> Result<(), String> {
        match self.oldest().await? {
            Err(AskError::Refused(error))
                if error.code == code && fits(pattern, &error.details.clone().unwrap_or_default()) =>
            {
                Ok(())
            }
            other => Err(format!("the answer is {other:?}")),
        }
    }

    pub(crate) async fn is_not_answered(&mut self, code: &str) -> Result<(), String> {
        match self.oldest().await? {
            Err(error) if error.code() == code && !matches!(error, AskError::Refused(_)) => Ok(()),
            other => Err(format!("the answer is {other:?}")),
        }
    }

    fn keep(&mut self, event: Event) {
        match event {
            Event::Message(message) => {
                let payload = message.payload_as().unwrap();
                self.messages.entry(message.kind.clone()).or_default().push_back(payload);
            }
            Event::Gap(gap) => self.gaps.push_back(gap),
            Event::State(_) | Event::Online(_) | Event::Lost { .. } | Event::Trouble(_) => {}
        }
    }

    /// The next of what is taken out, as soon as there is one.
    async fn next<T>(&mut self, take: impl Fn(&mut Self) -> Option<T>) -> Result<T, String> {
        let started = Instant::now();
        loop {
            if let Some(found) = take(self) {
                return Ok(found);
            }
            let event = timeout(PATIENCE.saturating_sub(started.elapsed()), self.events.next()).await;
            let event = event.map_err(|_elapsed| "it was not told".to_owned())?.ok_or("it is at its end")?;
            self.keep(event);
        }
    }

    pub(crate) async fn hears(&mut self, kind: &str, pattern: &Value) -> Result<(), String> {
        let heard = self.next(|actor| actor.messages.get_mut(kind)?.pop_front()).await?;
        if fits(pattern, &heard) { Ok(()) } else { Err(format!("it heard {heard}")) }
    }

    pub(crate) async fn hears_no(&mut self, kind: &str) -> Result<(), String> {
        self.live.request("ping", &json!({})).await.map_err(|error| error.to_string())?;
        while let Some(event) = self.events.take() {
            self.keep(event);
        }
        assert_eq!(self.events.missed_count(), 0, "it would not know");
        match self.messages.get_mut(kind).and_then(VecDeque::pop_front) {
            Some(heard) => Err(format!("it heard {heard}")),
            None => Ok(()),
        }
    }

    pub(crate) async fn misses(&mut self, pattern: &Value) -> Result<(), String> {
        let gap = self.next(|actor| actor.gaps.pop_front()).await?;
        let told = match &gap.of {
            GapOf::Room(room) => json!({ "room": room }),
            GapOf::View(key) => json!({ "view": key }),
        };
        if fits(pattern, &told) { Ok(()) } else { Err(format!("it missed {gap:?}")) }
    }

    pub(crate) async fn opens(&mut self, name: &str, wanted: &Value) -> Result<(), String> {
        let view = self.live.subscribe(wanted).await.map_err(|error| error.to_string())?;
        self.views.insert(name.to_owned(), view);
        Ok(())
    }

    async fn shows(&mut self, name: &str, is_right: impl Fn(&ViewContents) -> bool) -> Result<(), String> {
        let view = self.views.get_mut(name).ok_or("no such view")?;
        let waits = async {
            while !is_right(&view.contents()) {
                if !view.changed().await {
                    return false;
                }
            }
            true
        };
        match timeout(PATIENCE, waits).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the view is over".to_owned()),
            Err(_elapsed) => Err(format!("it sees {:?}", view.contents().devices)),
        }
    }

    pub(crate) async fn sees(&mut self, name: &str, ids: &Value) -> Result<(), String> {
        let mut wanted: Vec<String> =
            serde_json::from_value(ids.clone()).map_err(|error| error.to_string())?;
        wanted.sort();
        self.shows(name, |contents| contents.is_live && contents.devices.keys().eq(wanted.iter())).await
    }

    pub(crate) async fn sees_at(&mut self, name: &str, id: &str, place: &Value) -> Result<(), String> {
        let place = Some(serde_json::from_value(place.clone()).map_err(|error| error.to_string())?);
        self.shows(name, |contents| contents.devices.get(id).is_some_and(|device| device.location == place))
            .await
    }

    pub(crate) async fn ends(&mut self, name: &str) -> Result<(), String> {
        let view = self.views.remove(name).ok_or("no such view")?;
        view.close().await.map_err(|error| error.to_string())
    }

    pub(crate) async fn fails_with(&self, code: &str) -> Result<(), String> {
        self.is("failed").await?;
        let found = self.live.failure().map(|failure| failure.code);
        if found.as_deref() == Some(code) { Ok(()) } else { Err(format!("it failed with {found:?}")) }
    }
}

async fn until(predicate: impl Fn() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !predicate() {
        if started.elapsed() > PATIENCE {
            return Err("not in time".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
