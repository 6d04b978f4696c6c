//! Sessions of pages go on with fresh tokens, as long as somebody uses them and the issuer gives some.

use std::sync::Arc;
use std::time::Duration;

use anita_issuers::SignInFault;
use tokio::task::JoinSet;

use crate::caller::audit;
use crate::page_session::DueRenewal;
use crate::server::Server;

/// How often it is looked which sessions run out.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many sessions are renewed at a time.
const RENEWALS_MAX: usize = 16;

impl Server {
    /// Renews sessions of pages until it is dropped.
    pub(crate) async fn renew_pages(self: &Arc<Self>) {
        if self.desk.sign_in.is_none() {
            return;
        }
        let mut under_way = JoinSet::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            while under_way.try_join_next().is_some() {}
            let room = RENEWALS_MAX.saturating_sub(under_way.len());
            for due in self.pages.due(room, self.clock.now()) {
                let server = Arc::clone(self);
                under_way.spawn(async move { server.renew(due).await });
            }
        }
    }

    async fn renew(&self, due: DueRenewal) {
        let way = self.desk.sign_in.as_ref().and_then(|desk| desk.way(&due.way));
        let Some(way) = way else { return };
        let renewed = way.renew(&due.refresh_token, &due.principal, || self.clock.now().wall).await;
        let now = self.clock.now();
        let outcome = match renewed {
            Ok(fresh) if self.context.hub.is_revoked(&fresh.principal) => {
                self.pages.renew_never(&due.id);
                "refused"
            }
            Ok(fresh) => {
                self.pages.renewed(&due.id, fresh, now);
                "done"
            }
            Err(SignInFault::Unavailable(_) | SignInFault::Busy) => {
                self.pages.renew_later(&due.id, now);
                "failed"
            }
            Err(fault) => {
                // The usual end: the person signed out there, or the issuer's own session is over.
                if !matches!(fault, SignInFault::Refused(_)) {
                    super::landing::log(&due.way, &fault);
                }
                self.pages.renew_never(&due.id);
                let object = format!("{}: not renewed", due.way);
                audit(self, None, Some(&due.principal), ["sign in", &object, "refused"]);
                "refused"
            }
        };
        self.context.hub.metrics().identity.count_renewal(&way.settings().issuer, outcome);
    }
}
