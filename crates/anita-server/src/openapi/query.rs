//! A query has only parameters that its operation knows. One that is mistyped would else be left out in silence, and the
//! answer be one to another question: everything, where `start_tme` was meant to narrow it.

use anita_wire::{ErrorCode, Refusal};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Parameter, Route, route_of};
use crate::problem::Problem;
use crate::rest::url_pairs;

/// The operations that are checked: probes and scrapers may put into their queries what they like.
const CHECKED: &str = "/api/v1/";

/// Refuses a parameter that the operation does not know, or that is there twice and can be there once.
pub(crate) async fn with_known_parameters(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let path = path.filter(|path| path.starts_with(CHECKED));
    let route = path.and_then(|path| route_of(request.method(), path));
    let query = request.uri().query().filter(|query| !query.is_empty());
    match route.zip(query).map_or(Ok(()), |(route, query)| check(route, query)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

pub(super) fn check(route: &Route, query: &str) -> Result<(), Problem> {
    if route.query.iter().any(Parameter::is_whatever) {
        return Ok(());
    }
    let pairs = url_pairs(query);
    for (index, (name, _value)) in pairs.iter().enumerate() {
        let known = route.query.iter().find(|parameter| parameter.name == name);
        let Some(known) = known else { return Err(unknown(route, name)) };
        let is_again = pairs.iter().take(index).any(|(before, _value)| before == name);
        if is_again && !known.is_list() {
            return Err(refused(name, "is there twice"));
        }
    }
    Ok(())
}

fn unknown(route: &Route, name: &str) -> Problem {
    let known = route.query.iter().filter(|parameter| parameter.is_documented());
    let known: Vec<&str> = known.map(|parameter| parameter.name).collect();
    if known.is_empty() {
        return refused(name, "is not known here: this has no parameters");
    }
    refused(name, &format!("is not known here; there are: {}", known.join(", ")))
}

fn refused(name: &str, message: &str) -> Problem {
    // What stands in an address can be of any length.
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let refusal = Refusal::saying(ErrorCode::InvalidPayload, format!("{name}: {message}."));
    Problem(refusal.with_details(json!({ "path": name })))
}

/// How much of a name is said again.
const NAME_CHARS_MAX: usize = 64;
