//! What was asked and not answered yet, and what waits for a connection.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::error::AskError;
use crate::envelope::Envelope;

/// What may wait for a connection.
pub(super) const WAITING_MAX: usize = 100;

/// What may be on its way: more than a server takes in a second.
const SENT_MAX: usize = 1_000;

/// Who waits for an answer.
pub(super) type Reply = oneshot::Sender<Result<Envelope, AskError>>;
/// Who waits for something to be done.
pub(super) type Done = oneshot::Sender<Result<(), AskError>>;

/// What an answer is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The application asked.
    App(Reply),
    /// To join a room.
    Join(String),
    /// To have a view.
    Subscribe(u64),
    /// To change a view.
    Update { key: u64, change: Map<String, Value>, done: Done },
    /// To leave a room, or to end a view.
    Done(Done),
    /// To end what nobody wants any more.
    Quiet,
    /// To replace the token of this connection.
    Refresh,
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) kind: String,
    pub(super) payload: Box<RawValue>,
    pub(super) reply: Reply,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last_id: u64,
    sent: HashMap<u64, Purpose>,
    waiting: VecDeque<Ask>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: u64,
    payload: &'a RawValue,
}

// === impl Purpose ===

impl Purpose {
    /// Whether whoever asked has gone.
    fn is_given_up(&self) -> bool {
        match self {
            Self::App(reply) => reply.is_closed(),
            Self::Update { done, .. } | Self::Done(done) => done.is_closed(),
            Self::Join(_) | Self::Subscribe(_) | Self::Quiet | Self::Refresh => false,
        }
    }

    /// Tells whoever waits that nothing comes. Whoever has gone needs no word.
    pub(super) fn fail(self, error: AskError) {
        match self {
            Self::App(reply) => drop(reply.send(Err(error))),
            Self::Update { done, .. } | Self::Done(done) => drop(done.send(Err(error))),
            Self::Join(_) | Self::Subscribe(_) | Self::Quiet | Self::Refresh => {}
        }
    }
}

// === impl Requests ===

impl Requests {
    /// The text of a request, whose answer will be for `purpose`. None where too much is on its way: the purpose has failed then.
    pub(super) fn number(&mut self, kind: &str, payload: &RawValue, purpose: Purpose) -> Option<String> {
        // What the client asks by itself is bounded by its rooms and views.
        let is_bounded = matches!(purpose, Purpose::App(_) | Purpose::Update { .. } | Purpose::Done(_));
        if is_bounded && self.sent.len() >= SENT_MAX {
            self.sent.retain(|_id, purpose| !purpose.is_given_up());
        }
        if is_bounded && self.sent.len() >= SENT_MAX {
            purpose.fail(AskError::QueueFull);
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        // Two strings, a number and JSON become text in any case.
        let text = serde_json::to_string(&Outgoing { kind, id, payload }).ok()?;
        self.sent.insert(id, purpose);
        Some(text)
    }

    /// What this is the answer to; none where it was given up.
    pub(super) fn answered(&mut self, id: &RawValue) -> Option<Purpose> {
        self.sent.remove(&id.get().parse().ok()?)
    }

    /// Keeps a request for the next connection.
    pub(super) fn wait(&mut self, ask: Ask) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.retain(|ask| !ask.reply.is_closed());
        }
        if self.waiting.len() >= WAITING_MAX {
            Purpose::App(ask.reply).fail(AskError::QueueFull);
        } else {
            self.waiting.push_back(ask);
        }
    }

    /// The oldest that waits and was not given up meanwhile. One at a time: where sending it shows that the connection is gone, the
    /// others go on waiting.
    pub(super) fn next_waiting(&mut self) -> Option<Ask> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|ask| !ask.reply.is_closed())
    }

    /// The connection is gone: what was on its way fails, and what waits goes on waiting.
    pub(super) fn lose(&mut self) {
        for (_id, purpose) in self.sent.drain() {
            purpose.fail(AskError::Disconnected);
        }
    }

    /// There will be no connection.
    pub(super) fn end(&mut self, error: &AskError) {
        for ask in self.waiting.drain(..) {
            Purpose::App(ask.reply).fail(error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Box<RawValue> {
        RawValue::from_string("{}".to_owned()).unwrap()
    }

    fn app() -> (Purpose, oneshot::Receiver<Result<Envelope, AskError>>) {
        let (reply, answer) = oneshot::channel();
        (Purpose::App(reply), answer)
    }

    fn ask() -> (Ask, oneshot::Receiver<Result<Envelope, AskError>>) {
        let (reply, answer) = oneshot::channel();
        (Ask { kind: "ping".to_owned(), payload: payload(), reply }, answer)
    }

    fn code(answer: &mut oneshot::Receiver<Result<Envelope, AskError>>) -> String {
        answer.try_recv().unwrap().unwrap_err().code().to_owned()
    }

    #[test]
    fn answers_find_their_requests_once() {
        let mut requests = Requests::default();
        let (one, _answer) = app();
        let text = requests.number("ping", &payload(), one).unwrap();
        assert_eq!(text, r#"{"type":"ping","id":1,"payload":{}}"#);
        requests.number("ping", &payload(), Purpose::Refresh).unwrap();
        let id = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert!(matches!(requests.answered(&id("2")), Some(Purpose::Refresh)));
        assert!(matches!(requests.answered(&id("1")), Some(Purpose::App(_))));
        for strange in ["1", "3", r#""1""#, "-1", "1.0"] {
            assert!(requests.answered(&id(strange)).is_none(), "{strange}");
        }
    }

    #[test]
    fn what_was_sent_fails_with_its_connection_and_what_waits_goes_on_waiting() {
        let mut requests = Requests::default();
        let (sent, mut lost) = app();
        requests.number("ping", &payload(), sent).unwrap();
        let (waits, mut answer) = ask();
        let (given_up, gone) = ask();
        drop(gone);
        requests.wait(waits);
        requests.wait(given_up);
        requests.lose();
        assert_eq!(code(&mut lost), "disconnected");
        assert!(answer.try_recv().is_err(), "it waits");
        let waits = requests.next_waiting().unwrap();
        assert!(requests.next_waiting().is_none(), "without what was given up");
        requests.wait(waits);
        requests.end(&AskError::Closed);
        assert_eq!(code(&mut answer), "closed");
    }

    #[test]
    fn a_hundred_wait_and_no_more_unless_some_were_given_up() {
        let mut requests = Requests::default();
        let mut answers: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let (waits, answer) = ask();
                requests.wait(waits);
                answer
            })
            .collect();
        let (too_many, mut refused) = ask();
        requests.wait(too_many);
        assert_eq!(code(&mut refused), "queue_full");
        answers.pop();
        let (fits, mut answer) = ask();
        requests.wait(fits);
        assert!(answer.try_recv().is_err(), "it waits");
        assert_eq!(std::iter::from_fn(|| requests.next_waiting()).count(), WAITING_MAX);
    }

    #[test]
    fn a_thousand_are_on_their_way_and_no_more_unless_some_were_given_up() {
        let mut requests = Requests::default();
        let mut answers = Vec::new();
        for _ in 0..SENT_MAX {
            let (purpose, answer) = app();
            requests.number("ping", &payload(), purpose).unwrap();
            answers.push(answer);
        }
        let (too_many, mut refused) = app();
        assert!(requests.number("ping", &payload(), too_many).is_none());
        assert_eq!(code(&mut refused), "queue_full");
        answers.pop();
        assert!(requests.number("ping", &payload(), app().0).is_some());
    }
}
