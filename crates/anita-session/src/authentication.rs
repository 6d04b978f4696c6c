//! Who is at the other end: the first token, the hello, and what changes with another one.

use std::sync::Arc;

use anita_auth::{LEEWAY, Permission, Principal, TokenError};
use anita_hub::Endpoint;
use anita_model::{Now, RoomName};
use anita_wire::limits::{DEVICES_PER_PAGE_MAX, HISTORY_PER_PAGE_MAX, LOCATIONS_PER_REPORT_MAX};
use anita_wire::message::{AuthRequired, Connection, Limits, RoomLeft};
use anita_wire::request::Authenticate;
use anita_wire::{CloseCode, ErrorCode, Incoming, Refusal, Request, RequestId, SUBPROTOCOL, Time};

use crate::budget::Budget;
use crate::handlers::{Refused, answer};
use crate::session::{Phase, Session};

/// The ways to bring a token, as `system.auth_required` names them.
const AUTH_METHODS: [&str; 6] = [
    "authorization_header",
    "query_token",
    "subprotocol_token",
    "authenticate_message",
    "session_cookie",
    "ticket",
];

impl Session {
    pub(crate) fn ask_for_token(&mut self) {
        let deadline_secs = self.context.settings.auth_deadline.as_secs_f64();
        self.say(&AuthRequired {
            auth_methods: AUTH_METHODS.map(str::to_owned).to_vec(),
            message: format!(
                "Send {{\"type\":\"authenticate\",\"payload\":{{\"token\":\"…\"}}}} within {deadline_secs} s."
            ),
        });
    }

    /// Until somebody is known, only a small `authenticate` is listened to.
    pub(crate) fn on_text_before_auth(&mut self, text: &str, now: Now) {
        let settings = &self.context.settings;
        if text.len() > settings.unauthenticated_message_bytes_max {
            self.refuse_and_close(&ErrorCode::TooLarge.into(), None, CloseCode::TooBig);
            return;
        }
        let incoming = match Incoming::decode_within(text, settings.json_nesting_max) {
            Ok(incoming) => incoming,
            Err(refusal) => return self.refuse_and_close(&refusal, None, CloseCode::Misuse),
        };
        let id = incoming.id.as_ref();
        match Request::decode(&incoming.name, incoming.payload) {
            Some(Ok(Request::Authenticate(Authenticate { token }))) => self.authenticate(&token, id, now),
            Some(Err(refusal)) if incoming.name == "authenticate" => {
                self.refuse_and_close(&refusal, id, CloseCode::Misuse);
            }
            _ => {
                let message = "The first message has to be `authenticate`, or the token has to come with the connection.";
                let refusal = Refusal::saying(ErrorCode::Unauthenticated, message);
                self.refuse_and_close(&refusal, id, CloseCode::Misuse);
            }
        }
    }

    pub(crate) fn authenticate(&mut self, token: &str, id: Option<&RequestId>, now: Now) {
        if let Some(judged) = self.judge(token, id, now) {
            self.authenticated(judged, id, now);
        }
    }

    pub(crate) fn authenticated(
        &mut self,
        judged: Result<Principal, TokenError>,
        id: Option<&RequestId>,
        now: Now,
    ) {
        match judged {
            Ok(principal) => self.welcome(principal, id, now),
            Err(error) => {
                self.audit_token(error);
                self.refuse_and_close(&token_refusal(error), id, close_code(error));
            }
        }
    }

    pub(crate) fn refuse_ticket(&mut self) {
        let message = "The ticket was used already, has run out, or is not for this page; get another one.";
        self.audit("authenticate", "a ticket that is not accepted", "refused");
        let refusal = Refusal::saying(ErrorCode::InvalidToken, message);
        self.refuse_and_close(&refusal, None, CloseCode::BadToken);
    }

    /// That a token that was revoked came, and which.
    pub(crate) fn audit_revoked(&self, principal: &Principal) {
        let object = principal.identity.noted(&TokenError::Revoked.to_string());
        self.audit("authenticate", &object, "refused");
    }

    pub(crate) fn audit_token(&self, error: TokenError) {
        self.audit("authenticate", &error.to_string(), "refused");
    }

    /// Somebody is known: checks the endpoint, says the hello, joins what the endpoint joins.
    pub(crate) fn welcome(&mut self, principal: Principal, id: Option<&RequestId>, now: Now) {
        let uwb = RoomName::uwb();
        let may_join = principal.may_join(&uwb);
        let is_uwb = self.peer().endpoint == Endpoint::Uwb;
        if is_uwb && !may_join && !principal.may(Permission::EndpointsOpen) {
            let message = "This token does not allow the room \"uwb\", which /ws/uwb needs.";
            self.become_principal(principal, id, now);
            self.audit_forbidden("open /ws/uwb", "uwb");
            self.refuse_and_close(&Refusal::saying(ErrorCode::Forbidden, message), id, CloseCode::Forbidden);
            return;
        }
        self.become_principal(principal, id, now);
        if self.closing().is_some() {
            return;
        }
        if let Ok(hello) = self.hello() {
            self.out.push(answer(&hello, id));
        }
        if is_uwb
            && may_join
            && let Err(Refused(refusal)) = self.join(&uwb, None, now)
        {
            self.refuse(&refusal, None);
        }
    }

    fn hello(&self) -> Result<Connection, Refused> {
        let principal = self.principal()?;
        let settings = &self.context.settings;
        Ok(Connection {
            client_id: self.client_id().to_owned(),
            status: "authenticated".to_owned(),
            user_id: principal.subject().to_owned(),
            roles: principal.roles.clone(),
            permissions: permission_names(principal),
            expires_at: Time(principal.expires_at),
            heartbeat_interval_secs: settings.heartbeat_interval.as_secs_f64(),
            protocol: SUBPROTOCOL.to_owned(),
            limits: Limits {
                message_bytes: settings.message_bytes_max,
                requests_per_second: settings.requests_per_second(principal),
                rooms: self.context.hub.rooms().limits().rooms_per_connection_max,
                locations_per_report: LOCATIONS_PER_REPORT_MAX,
                devices_per_page: DEVICES_PER_PAGE_MAX,
                history_per_page: HISTORY_PER_PAGE_MAX,
            },
        })
    }

    /// From now on this principal is at the other end. What it may not do any more ends; everything does if its token
    /// was revoked.
    pub(crate) fn become_principal(&mut self, principal: Principal, id: Option<&RequestId>, now: Now) {
        self.peer().set_identity(&principal.identity, &principal.roles);
        // After saying who it is: a revocation at this moment finds the connection, or is found here.
        if self.context.hub.is_revoked(&principal) {
            self.audit_revoked(&principal);
            self.refuse_and_close(&token_refusal(TokenError::Revoked), id, CloseCode::LoggedOut);
            return;
        }
        let is_first = matches!(self.phase, Phase::Waiting { .. });
        let per_second = self.context.settings.requests_per_second(&principal);
        if is_first {
            self.budget = Budget::new(per_second, now.uptime);
            self.heartbeat_at = now.uptime.saturating_add(self.context.settings.heartbeat_interval);
        }
        self.budget.set_rate(per_second);
        self.expires_at = now.uptime.saturating_add(principal.expires_at.plus(LEEWAY).since(now.wall));
        self.see(&principal, now);
        self.refuse_answers(&principal);
        let lost: Vec<RoomName> =
            self.rooms.keys().filter(|room| !principal.may_join(room)).cloned().collect();
        let identity = Arc::clone(&principal.identity);
        let roles = principal.roles.join(" ");
        let rights =
            |it: &Principal| (it.permissions, it.roles.clone(), it.devices.clone(), it.rooms.clone());
        let (has_other_rights, has_other_token) = self.principal().map_or((false, false), |before| {
            (rights(before) != rights(&principal), before.identity.token_id != principal.identity.token_id)
        });
        self.phase = Phase::Live(Box::new(principal));
        if is_first {
            self.audit("sign in", &identity.noted(self.client_id()), "begun");
        } else if has_other_rights {
            self.audit("change rights", &identity.noted(&roles), "begun");
        } else if has_other_token {
            // The trail names the token by which the connection can be revoked.
            self.audit("renew token", &identity.noted(self.client_id()), "begun");
        }
        for room in lost {
            self.leave(&room, now);
            self.say(&RoomLeft { room: room.to_string() });
        }
    }

    /// Who is at the other end.
    pub(crate) fn principal(&self) -> Result<&Principal, Refused> {
        match &self.phase {
            Phase::Live(principal) => Ok(principal),
            Phase::Waiting { .. } => Err(ErrorCode::Unauthenticated.into()),
        }
    }
}

/// What a client is told of a token that is not accepted: which check failed, and nothing of the key.
pub fn token_refusal(error: TokenError) -> Refusal {
    let code = match error {
        TokenError::Expired => ErrorCode::TokenExpired,
        TokenError::KeysUnavailable { .. } => ErrorCode::Unavailable,
        TokenError::TooLong
        | TokenError::Malformed
        | TokenError::Critical
        | TokenError::Algorithm
        | TokenError::UnknownKey
        | TokenError::NoKeyNamed
        | TokenError::Signature
        | TokenError::Type
        | TokenError::Issuer
        | TokenError::Audience
        | TokenError::Nonce
        | TokenError::AuthorizedParty
        | TokenError::Subject
        | TokenError::TokenId
        | TokenError::NotYet
        | TokenError::Revoked
        | TokenError::Patterns => ErrorCode::InvalidToken,
    };
    let text = error.to_string();
    let mut sentence = text.chars();
    let sentence: String = sentence.next().into_iter().flat_map(char::to_uppercase).chain(sentence).collect();
    let refusal = Refusal::saying(code, format!("{sentence}."));
    if let TokenError::KeysUnavailable { retry_after } = error {
        return refusal
            .with_retry_after_ms(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1));
    }
    refusal
}

/// How a connection ends whose first token is not accepted.
fn close_code(error: TokenError) -> CloseCode {
    if error == TokenError::Revoked {
        return CloseCode::LoggedOut;
    }
    if let TokenError::KeysUnavailable { .. } = error {
        return CloseCode::TryLater;
    }
    token_refusal(error).code.closes().unwrap_or(CloseCode::BadToken)
}

/// The names of a principal's permissions.
pub(crate) fn permission_names(principal: &Principal) -> Vec<String> {
    principal.permissions.iter().map(|permission| permission.as_str().to_owned()).collect()
}
