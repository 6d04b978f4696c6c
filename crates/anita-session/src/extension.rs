//! Message types of an application that embeds the server: `domain.*`.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anita_auth::{Permission, Principal};
use anita_hub::WebSocketManager;
use anita_model::Now;
use anita_wire::Refusal;
use anita_wire::request::decode_payload;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Who calls a handler, when, and what it can reach.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The connection's id.
    pub client_id: String,
    /// When.
    pub now: Now,
    /// The other connections and the rooms.
    pub manager: WebSocketManager,
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;

type Handler = Box<dyn Fn(Caller, &str) -> Answer + Send + Sync>;

struct Extension {
    permission: Option<Permission>,
    answer_type: &'static str,
    call: Handler,
}

/// Why a message type could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The name is not an application's.
    #[error("{name:?} has to begin with `domain.`: other names are the protocol's")]
    Name {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("{name:?} has a handler already")]
    Taken {
        /// The name.
        name: String,
    },
}

/// The application's own message types.
#[derive(Default, Clone)]
pub struct Extensions {
    by_name: HashMap<&'static str, Arc<Extension>>,
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Extensions {
    /// Adds a request type `name`, answered by a message of type `answer_type`. The payload is read as `P` before the
    /// handler is called; who lacks the permission is refused before that.
    ///
    /// # Errors
    /// [`ExtensionError`] when a name is not the application's to give, or taken.
    pub fn add<P, A, F, R>(
        &mut self,
        name: &'static str,
        permission: Option<Permission>,
        answer_type: &'static str,
        handler: F,
    ) -> Result<(), ExtensionError>
    where
        P: DeserializeOwned,
        A: Serialize,
        F: Fn(Caller, P) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        if let Some(wrong) = [name, answer_type].into_iter().find(|it| !it.starts_with("domain.")) {
            return Err(ExtensionError::Name { name: wrong.to_owned() });
        }
        if self.by_name.contains_key(name) {
            return Err(ExtensionError::Taken { name: name.to_owned() });
        }
        let call = move |caller: Caller, payload: &str| -> Answer {
            match decode_payload::<P>(payload) {
                Err(refusal) => Box::pin(std::future::ready(Err(refusal))),
                Ok(payload) => {
                    let answer = handler(caller, payload);
                    Box::pin(async move {
                        serde_json::to_value(answer.await?).map_err(|error| {
                            tracing::error!(name, %error, "the answer of an application's handler is no JSON");
                            anita_wire::ErrorCode::Internal.into()
                        })
                    })
                }
            }
        };
        self.by_name.insert(name, Arc::new(Extension { permission, answer_type, call: Box::new(call) }));
        Ok(())
    }

    /// Whether there is such a type.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What a type needs; `None` where being authenticated is enough.
    pub(crate) fn permission(&self, name: &str) -> Option<Permission> {
        self.by_name.get(name)?.permission
    }

    /// Calls the handler of a type: its answer's type, and the answer.
    pub(crate) fn call(&self, name: &str, caller: Caller, payload: &str) -> Option<(&'static str, Answer)> {
        let extension = self.by_name.get(name)?;
        Some((extension.answer_type, (extension.call)(caller, payload)))
    }
}
