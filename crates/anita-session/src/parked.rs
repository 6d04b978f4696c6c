//! A conversation whose token waits for a key that its issuer is being asked for.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use anita_auth::{Judgement, KeysAwaited, Principal, TokenError};
use anita_model::Now;
use anita_wire::{CloseCode, ErrorCode, RequestId};

use crate::handlers::Refused;
use crate::session::{Phase, Session};

/// How many messages wait with the token. Whoever owns the socket stops reading meanwhile, so it is hardly ever one.
const TEXTS_MAX: usize = 16;

/// A token that waits.
pub(crate) struct Parked {
    token: String,
    id: Option<RequestId>,
    keys: KeysAwaited,
    /// How the waiting ended.
    ended: Option<Result<(), TokenError>>,
    /// What was said meanwhile.
    texts: VecDeque<String>,
}

impl std::fmt::Debug for Parked {
    /// Never prints the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Session {
    /// Judges a token at once, if that is possible. Else `None`: the conversation waits, and goes on with
    /// [`Session::unpark`].
    pub(crate) fn judge(
        &mut self,
        token: &str,
        id: Option<&RequestId>,
        now: Now,
    ) -> Option<Result<Principal, TokenError>> {
        match self.context.verifier.judge(token, now.wall) {
            Judgement::Given(given) => Some(given),
            Judgement::Awaited(keys) => {
                let (token, id) = (token.to_owned(), id.cloned());
                let parked = Parked { token, id, keys, ended: None, texts: VecDeque::new() };
                self.parked = Some(Box::new(parked));
                None
            }
        }
    }

    /// Keeps a message that came while the token waits. Says whether it did.
    pub(crate) fn hold(&mut self, text: &str) -> bool {
        let Some(parked) = &mut self.parked else { return false };
        if parked.texts.len() < TEXTS_MAX {
            parked.texts.push_back(text.to_owned());
        } else {
            self.refuse_and_close(&ErrorCode::RateLimited.into(), None, CloseCode::RateLimited);
        }
        true
    }

    /// Whether the keys are there, or will not be.
    pub(crate) fn poll_parked(&mut self, context: &mut Context<'_>) -> bool {
        let Some(parked) = &mut self.parked else { return false };
        if parked.ended.is_none()
            && let Poll::Ready(ended) = parked.keys.as_mut().poll(context)
        {
            parked.ended = Some(ended);
        }
        parked.ended.is_some()
    }

    /// Judges the token that waited. What was said meanwhile is listened to at the next [`Session::on_wake`], which is due at
    /// once: whoever owns the socket has a say before, now that it is known who is at the other end.
    pub(crate) fn unpark(&mut self, now: Now) {
        let Some(parked) = self.parked.take_if(|parked| parked.ended.is_some()) else { return };
        let Parked { token, id, ended, texts, .. } = *parked;
        let waited = ended.unwrap_or(Ok(()));
        let judged = waited.and_then(|()| self.context.verifier.verify(&token, now.wall));
        // Nobody listened, so it was not silent.
        self.heard_at = now.uptime;
        match self.phase {
            Phase::Waiting { .. } => self.authenticated(judged, id.as_ref(), now),
            Phase::Live(_) => match self.refreshed(judged, id.as_ref(), now) {
                Ok(frame) => self.out.push(frame),
                Err(Refused(refusal)) => self.refuse(&refusal, id.as_ref()),
            },
        }
        if self.closing().is_none() {
            self.held = texts;
        }
    }

    /// Listens to what was said while a token waited. If another token has to wait for that, the rest waits with it.
    pub(crate) fn catch_up(&mut self, now: Now) {
        for text in std::mem::take(&mut self.held) {
            self.take_text(&text, now);
        }
    }
}
