//! Where a client that stays connected stands, and what comes next. No socket, no clock, no chance: the waits get theirs as a
//! number.

use std::time::Duration;

use anita_wire::Advice;

use super::tokens::TokenReason;
use crate::backoff::Backoff;

/// Where a [`super::Live`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A token is asked for, a socket opens.
    Connecting,
    /// The server said hello.
    Online,
    /// The next attempt has its time.
    Waiting,
    /// Coming back is no use before something has changed; [`super::Live::connect`] begins anew.
    Failed,
    /// The application said so. Final.
    Closed,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The application wants to try anew.
    Connect,
    /// The server said hello.
    Welcomed,
    /// A connection has lived for a while.
    Stable,
    /// The wait is over.
    WaitOver,
    /// The connection ended, or did not come about.
    Lost { advice: Advice, retry_after: Option<Duration> },
    /// The application is done.
    Close,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// What is done already.
    GoOn,
    /// Ask for a token, and connect.
    Dial(TokenReason),
    /// Wait, and connect then.
    Wait(Duration),
    /// Wait for the application.
    Rest,
    /// End everything.
    End,
}

/// The state, and what it remembers.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    backoff: Backoff,
    /// Tokens in a row that had run out, without a hello in between.
    expired_count: u32,
    /// Whether a fresh token can be had: not from one that is a text.
    is_renewable: bool,
}

// === impl Machine ===

impl Machine {
    /// On its way to the first connection, with tokens that can be renewed.
    pub(super) fn renewing() -> Self {
        Self { state: State::Connecting, backoff: Backoff::default(), expired_count: 0, is_renewable: true }
    }

    /// The same with one token that can't.
    pub(super) fn not_renewing() -> Self {
        Self { is_renewable: false, ..Self::renewing() }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// One step; `random` is from 0 to 1.
    pub(super) fn step(&mut self, input: Input, random: f64) -> Effect {
        match (self.state, input) {
            (State::Closed, _) | (_, Input::Close) => {
                self.state = State::Closed;
                Effect::End
            }
            (State::Failed, Input::Connect) => {
                self.backoff.reset();
                self.expired_count = 0;
                self.dial()
            }
            (State::Waiting, Input::Connect | Input::WaitOver) => self.dial(),
            (State::Connecting, Input::Welcomed) => {
                self.state = State::Online;
                self.expired_count = 0;
                Effect::GoOn
            }
            (State::Online, Input::Stable) => {
                self.backoff.reset();
                Effect::GoOn
            }
            (State::Connecting | State::Online, Input::Lost { advice, retry_after }) => {
                self.lose(advice, retry_after, random)
            }
            // A word that comes too late, or twice.
            (State::Failed, _) => Effect::Rest,
            (State::Connecting | State::Online | State::Waiting, _) => Effect::GoOn,
        }
    }

    fn dial(&mut self) -> Effect {
        self.state = State::Connecting;
        Effect::Dial(if self.expired_count > 0 { TokenReason::Rejected } else { TokenReason::Connect })
    }

    fn lose(&mut self, advice: Advice, retry_after: Option<Duration>, random: f64) -> Effect {
        let is_final = match advice {
            Advice::ComeBack => false,
            Advice::ComeBackWithFreshToken => {
                self.expired_count = self.expired_count.saturating_add(1);
                self.expired_count > 1 || !self.is_renewable
            }
            Advice::StayAway => true,
        };
        if is_final {
            self.state = State::Failed;
            return Effect::Rest;
        }
        self.state = State::Waiting;
        Effect::Wait(self.backoff.wait(retry_after, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Input = Input::Lost { advice: Advice::ComeBack, retry_after: None };
    const EXPIRED: Input = Input::Lost { advice: Advice::ComeBackWithFreshToken, retry_after: None };
    const AWAY: Input = Input::Lost { advice: Advice::StayAway, retry_after: None };

    fn wait(ms: u64) -> Effect {
        Effect::Wait(Duration::from_millis(ms))
    }

    /// Plays inputs, each with the state and the effect that have to come of it.
    fn play(mut machine: Machine, table: &[(Input, State, Effect)]) {
        for (line, &(input, state, effect)) in table.iter().enumerate() {
            assert_eq!(machine.step(input, 1.0), effect, "line {line}: {input:?}");
            assert_eq!(machine.state(), state, "line {line}: {input:?}");
        }
    }

    #[test]
    fn it_comes_back_with_longer_and_longer_waits_until_a_connection_was_stable() {
        let (dial, go_on) = (Effect::Dial(TokenReason::Connect), Effect::GoOn);
        play(
            Machine::not_renewing(),
            &[
                (LOST, State::Waiting, wait(500)),
                (LOST, State::Waiting, go_on),
                (Input::WaitOver, State::Connecting, dial),
                (Input::WaitOver, State::Connecting, go_on),
                (LOST, State::Waiting, wait(1_000)),
                (Input::Connect, State::Connecting, dial),
                (Input::Welcomed, State::Online, go_on),
                (LOST, State::Waiting, wait(2_000)),
                (Input::WaitOver, State::Connecting, dial),
                (Input::Welcomed, State::Online, go_on),
                (Input::Stable, State::Online, go_on),
                (LOST, State::Waiting, wait(500)),
            ],
        );
    }

    #[test]
    fn what_the_server_asks_for_comes_before_the_jitter() {
        let retry_after = Some(Duration::from_secs(3));
        let lost = Input::Lost { advice: Advice::ComeBack, retry_after };
        play(
            Machine::renewing(),
            &[
                (Input::Welcomed, State::Online, Effect::GoOn),
                (lost, State::Waiting, wait(3_500)),
                (Input::WaitOver, State::Connecting, Effect::Dial(TokenReason::Connect)),
                (lost, State::Waiting, wait(4_000)),
            ],
        );
    }

    #[test]
    fn a_token_that_ran_out_is_replaced_once_and_a_text_never() {
        let fresh = Effect::Dial(TokenReason::Rejected);
        play(
            Machine::renewing(),
            &[
                (Input::Welcomed, State::Online, Effect::GoOn),
                (EXPIRED, State::Waiting, wait(500)),
                (Input::WaitOver, State::Connecting, fresh),
                (LOST, State::Waiting, wait(1_000)),
                (Input::WaitOver, State::Connecting, fresh),
                (Input::Welcomed, State::Online, Effect::GoOn),
                (EXPIRED, State::Waiting, wait(2_000)),
                (Input::WaitOver, State::Connecting, fresh),
                (EXPIRED, State::Failed, Effect::Rest),
                (Input::Connect, State::Connecting, Effect::Dial(TokenReason::Connect)),
                (EXPIRED, State::Waiting, wait(500)),
            ],
        );
        play(Machine::not_renewing(), &[(EXPIRED, State::Failed, Effect::Rest)]);
    }

    #[test]
    fn what_is_final_stays_so_until_the_application_says_otherwise_and_the_end_is_the_end() {
        play(
            Machine::renewing(),
            &[
                (AWAY, State::Failed, Effect::Rest),
                (Input::WaitOver, State::Failed, Effect::Rest),
                (LOST, State::Failed, Effect::Rest),
                (Input::Connect, State::Connecting, Effect::Dial(TokenReason::Connect)),
                (Input::Close, State::Closed, Effect::End),
                (Input::Connect, State::Closed, Effect::End),
                (Input::Welcomed, State::Closed, Effect::End),
            ],
        );
    }
}
