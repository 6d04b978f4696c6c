//! Answers under way: a conversation goes on while the store does its part.

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::Duration;

use anita_wire::{ErrorCode, RequestId};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::handlers::{Answering, Refused};

/// How many answers of a conversation may be under way.
const PENDING_MAX: usize = 64;

/// An answer that is ready, and the request's id.
pub(crate) type Answered = (Result<Bytes, Refused>, Option<RequestId>);

/// The answers of one conversation that are under way, in the order of their requests.
#[derive(Default)]
pub(crate) struct Pending {
    answers: Vec<UnderWay>,
}

struct UnderWay {
    answering: BoxFuture<'static, Result<Bytes, Refused>>,
    id: Option<RequestId>,
    /// When it is given up, by the uptime.
    due_at: Duration,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("answers", &self.answers.len()).finish()
    }
}

impl Pending {
    pub(crate) fn push(&mut self, answering: Answering, id: Option<RequestId>, due_at: Duration) {
        let caught = AssertUnwindSafe(answering).catch_unwind().map(|answered| {
            answered.unwrap_or_else(|_panic| {
                tracing::error!("a handler panicked; its request is refused");
                Err(ErrorCode::Internal.into())
            })
        });
        self.answers.push(UnderWay { answering: caught.boxed(), id, due_at });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.answers.len() >= PENDING_MAX
    }

    /// When the first is given up, by the uptime.
    pub(crate) fn due_at(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.due_at).min()
    }

    /// Those that are ready.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Vec<Answered> {
        let mut done = Vec::new();
        self.answers.retain_mut(|answer| match answer.answering.poll_unpin(context) {
            Poll::Ready(answered) => {
                done.push((answered, answer.id.take()));
                false
            }
            Poll::Pending => true,
        });
        done
    }

    /// Gives up those that take too long, and gives the ids of their requests.
    pub(crate) fn take_overdue(&mut self, uptime: Duration) -> Vec<Option<RequestId>> {
        let overdue = self.answers.extract_if(.., |answer| uptime >= answer.due_at);
        overdue.map(|answer| answer.id).collect()
    }
}
