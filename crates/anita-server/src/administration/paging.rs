//! Pages: how many on one, and where the next one begins.

use anita_wire::{ErrorCode, Refusal};
use serde::Deserialize;
use serde_json::json;

use crate::problem::Problem;

/// What a query says of the page that it wants.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    limit: Option<usize>,
    /// The `next` of the page before.
    pub(crate) after: Option<String>,
}

impl Page {
    /// How many there may be on it: of at most so many, or so many when nobody says.
    pub(crate) fn limit(&self, (limit_max, default): (usize, usize)) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(default);
        if (1..=limit_max).contains(&limit) {
            return Ok(limit);
        }
        let refusal = Refusal::saying(ErrorCode::OutOfRange, format!("limit: has to be 1 to {limit_max}."));
        Err(Problem(refusal.with_details(json!({ "path": "limit", "limit": limit_max }))))
    }
}
