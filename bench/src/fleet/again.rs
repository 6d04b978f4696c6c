//! Clients that lost their connection, and come back.

use super::{Fleet, Wish};
use crate::fault::{Fault, Outcome};
use crate::ws;

impl Fleet {
    /// Begins anew in the place of a client whose connection ended.
    pub(crate) fn begin_again(&mut self, index: usize, wish: &Wish<'_>) -> Outcome {
        let request = ws::upgrade(wish.path, wish.token, wish.compression);
        let member = self.dial(index, wish, &request)?.ok_or_else(|| Fault::new("no room for a socket"))?;
        if let Some(place) = self.members.get_mut(index) {
            *place = member;
        }
        Ok(())
    }

    /// Connections that ended since this was last asked, and when the server said to come back, milliseconds.
    pub(crate) fn take_losses(&mut self) -> Vec<(usize, Option<u64>)> {
        std::mem::take(&mut self.losses)
    }
}
