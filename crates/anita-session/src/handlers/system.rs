//! `authenticate` on a live socket.

use anita_auth::{Principal, TokenError};
use anita_model::Now;
use anita_wire::message::TokenRefreshed;
use anita_wire::request::Authenticate;
use anita_wire::{ErrorCode, Refusal, RequestId, Time};
use bytes::Bytes;

use crate::authentication::{permission_names, token_refusal};
use crate::handlers::{Refused, answer};
use crate::session::Session;

impl Session {
    /// Takes a fresh token of the same subject. What it no longer allows ends at once. A bad one changes nothing: the
    /// socket goes on until the old token runs out. No answer yet when the issuer's keys have to be asked for.
    pub(crate) fn refresh(
        &mut self,
        payload: &Authenticate,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Option<Bytes>, Refused> {
        match self.judge(&payload.token, id, now) {
            Some(judged) => self.refreshed(judged, id, now).map(Some),
            None => Ok(None),
        }
    }

    /// The same, when it is known whose token it is.
    pub(crate) fn refreshed(
        &mut self,
        judged: Result<Principal, TokenError>,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let fresh = match judged {
            Ok(fresh) => fresh,
            Err(error) => {
                self.audit_token(error);
                return Err(token_refusal(error).into());
            }
        };
        if fresh.identity.user != self.principal()?.identity.user {
            let message = "The token is of another subject; open another connection for it.";
            return Err(Refusal::saying(ErrorCode::Conflict, message).into());
        }
        if self.context.hub.is_revoked(&fresh) {
            self.audit_revoked(&fresh);
            return Err(token_refusal(TokenError::Revoked).into());
        }
        let refreshed = refreshed(&fresh);
        self.become_principal(fresh, id, now);
        Ok(answer(&refreshed, id))
    }

    /// The session of the page was renewed, and what it may do may be another: the same as a fresh token, but nobody
    /// asked. A client that has sent a token of somebody else meanwhile stays whom it is.
    pub(crate) fn on_renewed(&mut self, fresh: Principal, now: Now) {
        let is_same = self.principal().is_ok_and(|it| it.identity.user == fresh.identity.user);
        if !is_same {
            return;
        }
        self.say(&refreshed(&fresh));
        self.become_principal(fresh, None, now);
    }
}

fn refreshed(fresh: &Principal) -> TokenRefreshed {
    TokenRefreshed {
        expires_at: Time(fresh.expires_at),
        roles: fresh.roles.clone(),
        permissions: permission_names(fresh),
    }
}
