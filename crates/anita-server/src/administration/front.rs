//! `/api/v1/page`: what a page needs to know before anything else.

use std::sync::Arc;

use anita_auth::Permission;
use anita_hub::DeviceFilter;
use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use http::header;
use schemars::JsonSchema;
use serde::Serialize;

use crate::caller::{Caller, cookie};
use crate::client_certificate::Presented;
use crate::problem::Problem;
use crate::server::Server;

/// What a first page needs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FrontPage {
    /// The server's version.
    version: &'static str,
    /// The site's name; may be empty.
    site: String,
    /// The ways to sign in.
    sign_in: Vec<SignIn>,
    /// What only those hear who are signed in; absent for everybody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<SignedIn>,
}

/// A way to sign in. There may be others later.
#[derive(Debug, Serialize, JsonSchema)]
struct SignIn {
    /// `token`: a token goes to `POST /api/v1/session`. `oidc`: the browser goes to `address`, and comes back signed in.
    method: &'static str,
    /// What its button says.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Where the browser goes, below where the server is; `?return=` is the path of the page to come back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// The ways to sign in.
fn ways(server: &Server) -> Vec<SignIn> {
    let ways = server.desk.sign_in.iter().flat_map(|desk| &desk.ways).map(|way| SignIn {
        method: "oidc",
        label: Some(way.settings().label.clone()),
        address: Some(format!("/api/v1/sign-in/{}", way.settings().id)),
    });
    ways.chain([SignIn { method: "token", label: None, address: None }]).collect()
}

/// What those hear who are signed in.
#[derive(Debug, Serialize, JsonSchema)]
struct SignedIn {
    /// Who.
    user_id: String,
    /// Whether there is any device that they may see; absent where they may not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_devices: Option<bool>,
    /// Whether tokens can be made here: the server has a key of its own, and they may.
    can_mint_tokens: bool,
}

/// `GET /api/v1/page`: for everybody. Who comes with nothing, or with what is not accepted any more, is nobody.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<FrontPage>, Problem> {
    let (mut parts, _body) = request.into_parts();
    let brings_something = parts.headers.contains_key(header::AUTHORIZATION)
        || cookie(&parts.headers).is_some()
        || parts.extensions.get::<Presented>().is_some();
    let caller = if brings_something {
        match Caller::from_request_parts(&mut parts, &server).await {
            Ok(caller) => Some(caller),
            // Who it is will be known in a moment.
            Err(problem) if problem.0.retry_after_ms.is_some() => return Err(problem),
            Err(_nobody) => None,
        }
    } else {
        None
    };
    let signed_in = caller.map(|Caller { principal, .. }| {
        let has_devices = || {
            let all = DeviceFilter::default();
            !server.context.hub.devices(&principal, &all, None, 1).devices.is_empty()
        };
        SignedIn {
            user_id: principal.subject().to_owned(),
            has_devices: principal.may(Permission::DevicesRead).then(has_devices),
            can_mint_tokens: server.desk.mint.is_some() && principal.may(Permission::TokensMint),
        }
    });
    Ok(Json(FrontPage {
        version: env!("CARGO_PKG_VERSION"),
        site: server.site.name.clone(),
        sign_in: ways(&server),
        signed_in,
    }))
}
