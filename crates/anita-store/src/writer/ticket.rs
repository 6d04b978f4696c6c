//! What a caller waits with.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::port::StoreError;

/// Done when what was handed in is kept, or is known not to be.
#[derive(Debug)]
pub struct Ticket(Inner);

#[derive(Debug)]
enum Inner {
    Done(Option<Result<(), StoreError>>),
    Waiting(oneshot::Receiver<Result<(), StoreError>>),
}

impl Ticket {
    pub(super) fn done(result: Result<(), StoreError>) -> Self {
        Self(Inner::Done(Some(result)))
    }

    pub(super) fn waiting(answer: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Inner::Waiting(answer))
    }
}

impl Future for Ticket {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Done(result) => Poll::Ready(result.take().unwrap_or(Err(StoreError::Busy))),
            // A writer that ended takes nothing any more.
            Inner::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|answer| answer.unwrap_or(Err(StoreError::Busy)))
            }
        }
    }
}
