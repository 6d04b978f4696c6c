//! What each subject may still ask by REST: a bounded table, whose oldest entries go.

use std::collections::HashMap;
use std::time::Duration;

use anita_auth::Principal;
use anita_model::UserId;
use anita_session::{Budget, ClassBudgets, RequestClass, SessionSettings};
use http::Method;
use parking_lot::Mutex;

/// The most subjects whose requests are counted at once.
const SUBJECTS_MAX: usize = 10_000;

/// How many of those that asked last the longest ago go together: looking for them is dear.
const FORGOTTEN_AT_ONCE: usize = SUBJECTS_MAX / 16;

/// Why a request is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// Of which class; `None` of all together.
    pub(crate) class: Option<RequestClass>,
    /// How long until there is another one.
    pub(crate) wait: Duration,
}

/// What each subject may still ask.
#[derive(Debug, Default)]
pub(crate) struct RequestBudgets {
    subjects: Mutex<HashMap<UserId, Subject>>,
}

#[derive(Debug)]
struct Subject {
    all: Budget,
    classes: ClassBudgets,
    asked_at: Duration,
}

impl RequestBudgets {
    /// Counts a request.
    pub(crate) fn take(
        &self,
        principal: &Principal,
        class: RequestClass,
        settings: &SessionSettings,
        uptime: Duration,
    ) -> Result<(), TooMany> {
        let mut subjects = self.subjects.lock();
        if subjects.len() >= SUBJECTS_MAX && !subjects.contains_key(&principal.identity.user) {
            forget_oldest(&mut subjects);
        }
        let per_second = settings.requests_per_second(principal);
        let new = || Subject {
            all: Budget::new(per_second, uptime),
            classes: ClassBudgets::default(),
            asked_at: uptime,
        };
        let subject = subjects.entry(principal.identity.user.clone()).or_insert_with(new);
        subject.asked_at = uptime;
        // Another token of the same subject may have other rights.
        subject.all.set_rate(per_second);
        // Who revokes does it because something goes wrong: no flood of the same user's takes the place of that.
        if class != RequestClass::Revoke {
            subject.all.take(uptime).map_err(|wait| TooMany { class: None, wait })?;
        }
        let taken = subject.classes.take(class, &settings.class_rates, uptime);
        taken.map_err(|wait| TooMany { class: Some(class), wait })
    }
}

/// Whoever is forgotten begins with a full second: that is all that is lost.
fn forget_oldest(subjects: &mut HashMap<UserId, Subject>) {
    let mut asked: Vec<Duration> = subjects.values().map(|subject| subject.asked_at).collect();
    let (_before, oldest, _after) = asked.select_nth_unstable(FORGOTTEN_AT_ONCE - 1);
    let oldest = *oldest;
    let mut left = FORGOTTEN_AT_ONCE;
    subjects.retain(|_name, subject| {
        let goes = left > 0 && subject.asked_at <= oldest;
        left -= usize::from(goes);
        !goes
    });
}

/// What a request does to the server, by its method and path; the same classes as on the socket.
pub(crate) fn class_of(method: &Method, path: &str) -> RequestClass {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let below = path.strip_prefix("/api/v1/").unwrap_or_default();
    match below.split('/').next().unwrap_or_default() {
        "locations" => RequestClass::Report,
        "revocations" => RequestClass::Revoke,
        "session" | "tickets" | "tokens" if !is_read => RequestClass::Auth,
        "history" | "density" | "snapshot" | "visits" | "events" | "audit" => RequestClass::Past,
        _ if is_read => RequestClass::Read,
        _ => RequestClass::Change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_at_another_issuer_has_a_budget_of_its_own() {
        use anita_auth::{Patterns, Permissions};
        let principal = |issuer: &str| Principal {
            identity: std::sync::Arc::new(anita_model::Identity {
                user: UserId { issuer: issuer.into(), subject: "admin".into() },
                token_id: None,
                issued_at: None,
            }),
            roles: Vec::new(),
            permissions: Permissions::NONE,
            devices: Patterns::all(),
            rooms: Patterns::all(),
            expires_at: anita_model::Timestamp::UNIX_EPOCH,
        };
        let (budgets, settings) = (RequestBudgets::default(), SessionSettings::default());
        let take =
            |issuer| budgets.take(&principal(issuer), RequestClass::Read, &settings, Duration::ZERO).is_ok();
        while take("partner") {}
        assert!(take("anita") && !take("partner"));
    }

    #[test]
    fn sign_ins_and_any_other_flood_of_a_user_leave_room_for_revoking() {
        let principal = Principal {
            identity: std::sync::Arc::new(anita_model::Identity {
                user: user(1),
                token_id: None,
                issued_at: None,
            }),
            roles: Vec::new(),
            permissions: anita_auth::Permissions::NONE,
            devices: anita_auth::Patterns::all(),
            rooms: anita_auth::Patterns::all(),
            expires_at: anita_model::Timestamp::UNIX_EPOCH,
        };
        let (budgets, settings) = (RequestBudgets::default(), SessionSettings::default());
        let take = |class| budgets.take(&principal, class, &settings, Duration::ZERO).is_ok();
        for _request in 0..10_000 {
            take(RequestClass::Auth);
            take(RequestClass::Read);
        }
        assert_eq!(
            (0..100).filter(|_| take(RequestClass::Revoke)).count(),
            20,
            "and it has a rate of its own"
        );
    }

    fn user(number: usize) -> UserId {
        UserId { issuer: "anita".into(), subject: number.to_string().into() }
    }

    fn subject(asked_at: Duration) -> Subject {
        Subject { all: Budget::new(1, asked_at), classes: ClassBudgets::default(), asked_at }
    }

    #[test]
    fn a_full_table_forgets_those_that_asked_last_the_longest_ago() {
        let mut subjects: HashMap<UserId, Subject> = (0..SUBJECTS_MAX)
            .map(|number| (user(number), subject(Duration::from_millis(number as u64))))
            .collect();
        forget_oldest(&mut subjects);
        assert_eq!(subjects.len(), SUBJECTS_MAX - FORGOTTEN_AT_ONCE);
        assert!(!subjects.contains_key(&user(0)) && !subjects.contains_key(&user(624)));
        assert!(subjects.contains_key(&user(625)) && subjects.contains_key(&user(9999)));
        // All of one moment.
        let mut subjects: HashMap<UserId, Subject> =
            (0..SUBJECTS_MAX).map(|number| (user(number), subject(Duration::ZERO))).collect();
        forget_oldest(&mut subjects);
        assert_eq!(subjects.len(), SUBJECTS_MAX - FORGOTTEN_AT_ONCE);
    }

    #[test]
    fn a_path_has_the_class_of_what_it_does() {
        let table = [
            (Method::POST, "/api/v1/locations", RequestClass::Report),
            (Method::POST, "/api/v1/session", RequestClass::Auth),
            (Method::POST, "/api/v1/tokens", RequestClass::Auth),
            (Method::POST, "/api/v1/revocations", RequestClass::Revoke),
            (Method::GET, "/api/v1/revocations", RequestClass::Revoke),
            (Method::DELETE, "/api/v1/revocations/r", RequestClass::Revoke),
            (Method::GET, "/api/v1/tokens", RequestClass::Read),
            (Method::GET, "/api/v1/density", RequestClass::Past),
            (Method::GET, "/api/v1/session", RequestClass::Read),
            (Method::GET, "/api/v1/history/tag-1/track", RequestClass::Past),
            (Method::GET, "/api/v1/devices", RequestClass::Read),
            (Method::DELETE, "/api/v1/connections/7", RequestClass::Change),
            (Method::GET, "/metrics", RequestClass::Read),
        ];
        for (method, path, class) in table {
            assert_eq!(class_of(&method, path), class, "{method} {path}");
        }
    }
}
