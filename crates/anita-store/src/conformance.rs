//! What every backend has to do: run by the tests of each, one test a check.
//!
//! A backend implements [`Fixture`] in its tests and writes one line, [`store_conformance!`](crate::store_conformance):
//! then each check is a test of its own, which names what is wrong. Coordinates have at most three decimals here, since
//! stores keep millimetres.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "checks panic as tests do: that is how they fail"
)]

mod commits;
mod events;
mod history;
pub(crate) mod make;
mod moments;
mod plans;
mod random;
mod registry;
mod retention;
mod trail;

use std::sync::Arc;
use std::time::Duration;

pub use commits::*;
pub use events::*;
pub use history::*;
pub use moments::*;
pub use plans::*;
pub use random::*;
pub use registry::*;
pub use retention::*;
pub use trail::*;

use crate::port::{BoxFuture, Store};

/// The store of one check.
pub trait Fixture: Send {
    /// Opens it: an empty one the first time, afterwards what the one before kept. That one is gone by then, with or
    /// without [`Store::close`].
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Whether what it keeps survives the end of the process.
    fn survives(&self) -> bool {
        true
    }

    /// How exact it is when it tidies.
    fn slack(&self) -> Slack {
        Slack::default()
    }
}

/// How much may be left over when a store deletes whole blocks. Nothing that is to be kept may ever be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slack {
    /// Fixes that are older by this than they may become are gone, or thinned out, when tidying is done.
    pub age: Duration,
    /// Fixes take at most so much more room than they may, bytes.
    pub bytes: u64,
}

/// How a store ends between two times it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// In good order.
    Closed,
    /// Without a word, as after a crash.
    Dropped,
}

/// Both ways to end.
const ENDS: [End; 2] = [End::Closed, End::Dropped];

/// Ends a store that survives, and opens it again; one that does not survive just goes on.
async fn again(fixture: &mut dyn Fixture, store: Arc<dyn Store>, end: End) -> Arc<dyn Store> {
    if !fixture.survives() {
        return store;
    }
    if end == End::Closed {
        make::done(store.close().await);
    }
    drop(store);
    fixture.open().await
}

/// All checks as tests: `store_conformance!(fixture)`, where `fixture` is a function without arguments that makes the
/// [`Fixture`] of one check, or `None` where what it needs is not there and it said so. The crate needs tokio's macros.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:path) => {
        $crate::store_conformance! { $fixture;
            the_registry_keeps_what_was_saved_last
            every_kind_of_device_comes_back_whole
            states_come_back_with_the_newest_of_the_history
            a_removed_device_is_forgotten_and_begins_anew
            fixes_come_back_whole
            fixes_are_in_order_and_late_ones_find_their_place
            the_same_fix_is_kept_once
            pages_end_where_the_history_ends
            pages_do_not_shift_when_late_fixes_come_between
            ranges_include_their_ends
            pages_within_an_extent_miss_nothing
            a_long_history_is_read_in_pages_both_ways
            devices_do_not_see_each_others_history
            the_newest_at_a_moment_is_found
            a_window_has_everything_of_its_time
            a_window_is_thinned_out_by_stretches_from_its_start
            a_window_that_is_too_full_ends_on_a_border
            events_are_read_in_pages
            an_event_is_kept_once
            rooms_come_back_with_the_tail_of_their_epoch
            numbering_goes_on_when_events_are_deleted
            the_audit_trail_is_read_in_pages
            the_audit_chain_comes_back_as_it_was_kept
            the_last_entry_of_the_chain_stays_whatever_its_age
            hashes_come_back_in_every_bit
            revocations_are_kept_until_they_are_taken_back
            no_clock_of_tidying_forgets_a_revocation
            the_same_commit_twice_is_harmless
            a_commit_is_kept_whole_or_not_at_all
            the_order_inside_a_commit_counts
            what_was_committed_survives
            an_empty_commit_and_a_large_one_are_kept
            extreme_values_come_back_as_they_were
            reads_and_commits_go_on_side_by_side
            fixes_go_by_age
            fixes_go_by_size_the_oldest_first
            fixes_are_thinned_out_in_steps
            thinning_again_changes_nothing
            late_fixes_into_what_was_thinned_out_are_thinned_out_too
            events_and_audit_go_by_age
            events_and_audit_go_by_size
            without_limits_nothing_goes
            usage_counts_what_is_kept
            plans_come_back_whole
            a_changed_plan_keeps_its_picture_until_that_is_replaced
            a_removed_plan_is_gone_with_its_picture
            a_large_picture_is_kept_counted_and_never_tidied
            random_work_agrees_with_memory
        }
    };
    ($fixture:path; $($check:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                if let Some(mut fixture) = $fixture() {
                    $crate::conformance::$check(&mut fixture).await;
                }
            }
        )+
    };
}
