//! How many refusals get an entry of their own in the audit trail: the rest is counted, and one entry says how many there
//! were. Pure: `now` is the time since the start.
//!
//! Limited is what costs a caller nothing: what was refused, and what was only begun, such as signing in. Who changes
//! something leaves an entry each time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anita_model::Timestamp;
use anita_store::AuditRecord;

/// How many refusals get an entry of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuditLimits {
    /// Of one caller, a second. A caller is a subject, or where nobody is known an address, of IPv6 its /64.
    pub refusals_per_second: f64,
    /// Of one caller at once, after a pause.
    pub refusals_burst: f64,
    /// Of all callers together that nobody knows, a second.
    pub refusals_per_second_in_all: f64,
    /// Of these at once.
    pub refusals_burst_in_all: f64,
    /// How often the others are summed up.
    pub summary_every: Duration,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            refusals_per_second: 20.0,
            refusals_burst: 100.0,
            refusals_per_second_in_all: 100.0,
            refusals_burst_in_all: 1_000.0,
            summary_every: Duration::from_secs(60),
        }
    }
}

/// The most callers that have an account of their own; the others share one.
const CALLERS_MAX: usize = 4_096;

/// How many callers a summary names; the others are one entry.
const NAMED_MAX: usize = 32;

/// How often accounts are looked through for those that are not needed any more, while there are too many.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets an entry.
    Entered,
    /// It is counted.
    Counted,
}

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Caller {
    Subject(String),
    Address(IpAddr),
    /// Nobody knows from where.
    Nowhere,
    /// One of those who have no account.
    Other,
}

impl Caller {
    fn of(record: &AuditRecord) -> Self {
        if !record.subject.is_empty() {
            return Self::Subject(record.subject.clone());
        }
        match record.address.as_deref().map(str::parse) {
            Some(Ok(address)) => Self::Address(network(address)),
            Some(Err(_)) | None => Self::Nowhere,
        }
    }

    fn words(&self) -> (String, Option<String>) {
        match self {
            Self::Subject(_) => (String::new(), None),
            Self::Address(IpAddr::V6(network)) => {
                (format!(" from {network}/64"), Some(format!("{network}/64")))
            }
            Self::Address(IpAddr::V4(address)) => (format!(" from {address}"), Some(address.to_string())),
            Self::Nowhere => (" from unknown addresses".to_owned(), None),
            Self::Other => (" from others".to_owned(), None),
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one: who has one address of it has all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn full(burst: f64, now: Duration) -> Self {
        Self { tokens: burst, at: now }
    }

    fn fill(&mut self, per_second: f64, burst: f64, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(burst);
        self.at = self.at.max(now);
    }
}

/// What a caller has left, and what was counted.
#[derive(Debug)]
struct Account {
    bucket: Bucket,
    counted: u64,
    /// What was tried last, and how it ended.
    last: (String, String),
}

/// The accounts.
#[derive(Debug)]
pub(super) struct Restraint {
    limits: AuditLimits,
    accounts: HashMap<Caller, Account>,
    in_all: Bucket,
    /// When what was counted is summed up; `None` while nothing was.
    due: Option<Duration>,
    forget_at: Duration,
}

impl Restraint {
    pub(super) fn new(limits: AuditLimits) -> Self {
        let in_all = Bucket::full(limits.refusals_burst_in_all, Duration::ZERO);
        Self { limits, accounts: HashMap::new(), in_all, due: None, forget_at: Duration::ZERO }
    }

    /// What becomes of a record.
    pub(super) fn judge(&mut self, record: &AuditRecord, now: Duration) -> Verdict {
        if !matches!(record.outcome.as_str(), "refused" | "forbidden" | "begun") {
            return Verdict::Entered;
        }
        let limits = self.limits;
        let caller = Caller::of(record);
        let is_known = matches!(caller, Caller::Subject(_));
        let caller = self.place(caller, now);
        let account = self.accounts.entry(caller).or_insert_with(|| Account {
            bucket: Bucket::full(limits.refusals_burst, now),
            counted: 0,
            last: (String::new(), String::new()),
        });
        account.bucket.fill(limits.refusals_per_second, limits.refusals_burst, now);
        self.in_all.fill(limits.refusals_per_second_in_all, limits.refusals_burst_in_all, now);
        // Whoever is known is one of a number that the issuers bound, and not held up by those who are not.
        let has_room = is_known || self.in_all.tokens >= 1.0;
        if account.bucket.tokens >= 1.0 && has_room {
            account.bucket.tokens -= 1.0;
            self.in_all.tokens -= if is_known { 0.0 } else { 1.0 };
            return Verdict::Entered;
        }
        account.counted += 1;
        account.last = (record.action.clone(), record.outcome.clone());
        self.due.get_or_insert(now.saturating_add(limits.summary_every));
        Verdict::Counted
    }

    /// The caller if there is room for an account of its own.
    fn place(&mut self, caller: Caller, now: Duration) -> Caller {
        if self.accounts.len() < CALLERS_MAX || self.accounts.contains_key(&caller) {
            return caller;
        }
        if now >= self.forget_at {
            self.forget(now);
            self.forget_at = now.saturating_add(FORGET_EVERY);
        }
        if self.accounts.len() < CALLERS_MAX { caller } else { Caller::Other }
    }

    /// Forgets the accounts that are as if they were new.
    fn forget(&mut self, now: Duration) {
        let AuditLimits { refusals_per_second, refusals_burst, .. } = self.limits;
        self.accounts.retain(|_caller, account| {
            account.bucket.fill(refusals_per_second, refusals_burst, now);
            account.counted > 0 || account.bucket.tokens < refusals_burst
        });
    }

    /// What was counted, when it is time to say so: entries without their time.
    pub(super) fn summaries(&mut self, now: Duration, at: Timestamp) -> Vec<AuditRecord> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.sum_up(now, at)
    }

    /// What was counted.
    pub(super) fn sum_up(&mut self, now: Duration, at: Timestamp) -> Vec<AuditRecord> {
        self.due = None;
        let mut counted: Vec<(Caller, u64, (String, String))> = Vec::new();
        for (caller, account) in &mut self.accounts {
            if account.counted > 0 {
                counted.push((caller.clone(), account.counted, std::mem::take(&mut account.last)));
                account.counted = 0;
            }
        }
        self.forget(now);
        counted.sort_by(|(a_caller, a_count, _), (b_caller, b_count, _)| {
            b_count.cmp(a_count).then_with(|| a_caller.cmp(b_caller))
        });
        let rest = counted.split_off(counted.len().min(NAMED_MAX));
        let mut records: Vec<AuditRecord> = counted
            .into_iter()
            .map(|(caller, count, (action, outcome))| {
                let (from, address) = caller.words();
                let subject = if let Caller::Subject(subject) = caller { subject } else { String::new() };
                let object = format!("… and {count} more{from}");
                AuditRecord { at, subject, issuer: None, action, object, outcome, address }
            })
            .collect();
        let count: u64 = rest.iter().map(|(_caller, count, _last)| count).sum();
        let callers = rest.len();
        if let Some((_caller, _count, (action, outcome))) = rest.into_iter().next() {
            let object = format!("… and {count} more from {callers} other callers");
            let subject = String::new();
            records.push(AuditRecord { at, subject, issuer: None, action, object, outcome, address: None });
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(subject: &str, address: &str, outcome: &str) -> AuditRecord {
        AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            subject: subject.to_owned(),
            issuer: None,
            action: "authenticate".to_owned(),
            object: "bad token".to_owned(),
            outcome: outcome.to_owned(),
            address: (!address.is_empty()).then(|| address.to_owned()),
        }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many of so many get an entry.
    fn entered(restraint: &mut Restraint, record: &AuditRecord, count: usize, now: Duration) -> usize {
        (0..count).filter(|_n| restraint.judge(record, now) == Verdict::Entered).count()
    }

    #[test]
    fn ten_thousand_bad_tokens_a_second_leave_twenty_entries_a_second() {
        let mut restraint = Restraint::new(AuditLimits::default());
        let bad = tried("", "203.0.113.7", "refused");
        let mut count = 0;
        let mut summaries = Vec::new();
        for millis in 0..120_000 {
            count += entered(&mut restraint, &bad, 10, at(millis));
            summaries.extend(restraint.summaries(at(millis), Timestamp::UNIX_EPOCH));
        }
        assert!((2_498..=2_500).contains(&count), "{count}");
        summaries.extend(restraint.sum_up(at(120_000), Timestamp::UNIX_EPOCH));
        assert_eq!(summaries.len(), 2);
        let said = |record: &AuditRecord| -> usize {
            let words =
                record.object.strip_prefix("… and ").and_then(|it| it.strip_suffix(" more from 203.0.113.7"));
            words.unwrap().parse().unwrap()
        };
        assert_eq!(
            count + summaries.iter().map(said).sum::<usize>(),
            1_200_000,
            "each is entered or counted"
        );
        let first = &summaries[0];
        assert_eq!((first.action.as_str(), first.outcome.as_str()), ("authenticate", "refused"));
        assert_eq!((first.subject.as_str(), first.address.as_deref()), ("", Some("203.0.113.7")));
        assert!(restraint.sum_up(at(120_000), Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn callers_do_not_take_each_others_place() {
        let mut restraint = Restraint::new(AuditLimits::default());
        for (one, same) in [
            ("203.0.113.7", "::ffff:203.0.113.7"),
            ("2001:db8::1", "2001:db8::ffff:1:2:3"),
            ("", "no address"),
        ] {
            assert_eq!(entered(&mut restraint, &tried("", one, "refused"), 500, at(0)), 100, "{one}");
            assert_eq!(entered(&mut restraint, &tried("", same, "refused"), 5, at(0)), 0, "{same}");
        }
        assert_eq!(entered(&mut restraint, &tried("", "2001:db8:0:1::1", "refused"), 5, at(0)), 5);
        let alice = tried("alice", "203.0.113.7", "forbidden");
        assert_eq!(entered(&mut restraint, &alice, 500, at(0)), 100, "who is known has a budget of its own");
        assert_eq!(restraint.sum_up(at(0), Timestamp::UNIX_EPOCH).len(), 4);
    }

    #[test]
    fn what_was_done_is_never_counted_only() {
        let mut restraint = Restraint::new(AuditLimits::default());
        assert_eq!(entered(&mut restraint, &tried("alice", "::1", "done"), 5_000, at(0)), 5_000);
        assert!(restraint.accounts.is_empty());
        // Signing in changes nothing, and can be done very often.
        assert_eq!(entered(&mut restraint, &tried("alice", "::1", "begun"), 5_000, at(0)), 100);
    }

    #[test]
    fn who_is_known_is_not_held_up_by_those_who_are_not() {
        let mut restraint = Restraint::new(AuditLimits::default());
        for n in 0..100_u32 {
            entered(&mut restraint, &tried("", &IpAddr::V4(n.into()).to_string(), "refused"), 100, at(0));
        }
        assert_eq!(entered(&mut restraint, &tried("", "::1", "refused"), 5, at(0)), 0);
        assert_eq!(entered(&mut restraint, &tried("alice", "::1", "forbidden"), 5, at(0)), 5);
    }

    #[test]
    fn very_many_callers_are_bounded_in_all_in_memory_and_in_summaries() {
        let mut restraint = Restraint::new(AuditLimits::default());
        let mut count = 0;
        for n in 0..100_000_u32 {
            let address = IpAddr::V4(n.into()).to_string();
            count += entered(&mut restraint, &tried("", &address, "refused"), 3, at(0));
        }
        assert_eq!(count, 1_000);
        assert!(restraint.accounts.len() <= CALLERS_MAX + 1, "{}", restraint.accounts.len());
        let summaries = restraint.summaries(at(60_000), Timestamp::UNIX_EPOCH);
        assert_eq!(summaries.len(), NAMED_MAX + 1);
        assert!(summaries[0].object.ends_with(" more from others"), "{}", summaries[0].object);
        let last = &summaries[NAMED_MAX].object;
        assert!(last.contains(" other callers"), "{last}");
        // Those of the first second are forgotten when their places are needed.
        let late = tried("", "198.51.100.1", "refused");
        assert_eq!(entered(&mut restraint, &late, 500, at(70_000)), 100);
        assert_eq!(restraint.accounts.len(), 1, "and nothing is left of them after a summary");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let mut restraint = Restraint::new(AuditLimits::default());
        let bad = tried("", "203.0.113.7", "refused");
        assert_eq!(entered(&mut restraint, &bad, 500, at(10_000)), 100);
        assert_eq!(entered(&mut restraint, &bad, 500, at(5_000)), 0);
        assert_eq!(entered(&mut restraint, &bad, 500, at(10_000)), 0);
        assert_eq!(entered(&mut restraint, &bad, 500, at(10_500)), 10);
    }
}
