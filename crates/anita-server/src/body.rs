//! Bodies of requests that are JSON, looked at before any of it becomes a value.

use anita_wire::ErrorCode;
use anita_wire::request::decode_payload;
use serde::Deserialize;

use crate::problem::Problem;
use crate::server::Server;

impl Server {
    /// Refuses what is not one JSON value, has a key twice in an object, or is nested deeper than it may be.
    pub(crate) fn check_json(&self, text: &str) -> Result<(), Problem> {
        anita_wire::check_json(text, self.context.settings.json_nesting_max).map_err(Problem)
    }

    /// Reads a body as what it has to be; a refusal says the place.
    pub(crate) fn read_json<'de, T: Deserialize<'de>>(&self, body: &'de [u8]) -> Result<T, Problem> {
        let text = std::str::from_utf8(body)
            .map_err(|_not_text| Problem::saying(ErrorCode::InvalidJson, "The body is not UTF-8."))?;
        self.check_json(text)?;
        decode_payload(text).map_err(Problem)
    }
}
