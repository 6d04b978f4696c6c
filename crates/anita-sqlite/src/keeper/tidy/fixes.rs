//! Fixes that are too old, too many, or old enough to be thinned out.

use std::time::{Duration, Instant};

use anita_model::Timestamp;
use anita_store::{Retention, Tidied};

use super::{Border, Cut, Slice, oldest, tiers};
use crate::blocks::{Block, Division, Fixes};
use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::point::Point;

/// How many blocks are thinned out together.
const BLOCKS_MAX: usize = 32;

impl Keeper {
    /// Deletes fixes that are too old. Says whether there are none left.
    pub(super) fn age(
        &mut self,
        retention: &Retention,
        now: Timestamp,
        until: Instant,
        tidied: &mut Tidied,
    ) -> Result<bool, Fault> {
        let Some(age_max) = retention.fixes.age_max else { return Ok(true) };
        let border = self.tidying.border(0, now, age_max);
        let mut slice = Slice::begin(&self.db, until)?;
        let mut removed = 0;
        let mut is_done = true;
        'tiers: for tier in tiers(&slice.db)? {
            while let Some(block) = oldest(&slice.db, tier, border)? {
                if block.last_us < border.at_us {
                    slice.ledger.delete(&slice.db, &block)?;
                    removed += block.fixes;
                } else {
                    let points = block.open(&slice.db)?;
                    let start = points.partition_point(|point| point.taken_us < border.at_us);
                    removed += rewrite(&mut slice, &block, points.get(start..).unwrap_or_default())?;
                }
                if slice.is_over() {
                    is_done = false;
                    break 'tiers;
                }
            }
        }
        slice.commit()?;
        tidied.fixes_removed += u64::try_from(removed).unwrap_or_default();
        if is_done {
            self.tidying.done(border);
        }
        Ok(is_done)
    }

    /// Deletes the oldest fixes while they take too much room. Says whether they take no more than they may.
    pub(super) fn shrink(
        &mut self,
        retention: &Retention,
        until: Instant,
        tidied: &mut Tidied,
    ) -> Result<bool, Fault> {
        let Some(most) = retention.fixes.bytes_max else { return Ok(true) };
        let mut excess = i64::try_from(self.fixes_bytes()?.saturating_sub(most)).unwrap_or(i64::MAX);
        let all = Border { step: 0, at_us: i64::MAX, cut: Cut::Exact };
        let mut slice = Slice::begin(&self.db, until)?;
        let mut removed = 0;
        let mut is_done = true;
        while excess > 0 {
            let mut first: Option<Block> = None;
            for tier in tiers(&slice.db)? {
                let block = oldest(&slice.db, tier, all)?;
                first = first.into_iter().chain(block).min_by_key(|block| block.first_us);
            }
            let Some(block) = first else { break };
            if block.bytes() > excess && block.fixes > 1 {
                // A part of it is enough: at least one fix less, so that it comes to an end.
                let bytes_each = (block.body_bytes / block.fixes).max(1);
                let points = block.open(&slice.db)?;
                let count = usize::try_from(excess / bytes_each + 1).unwrap_or(points.len());
                removed += rewrite(&mut slice, &block, points.get(count..).unwrap_or_default())?;
                excess = 0;
            } else {
                slice.ledger.delete(&slice.db, &block)?;
                removed += block.fixes;
                excess -= block.bytes();
            }
            if slice.is_over() {
                is_done = excess <= 0;
                break;
            }
        }
        slice.commit()?;
        tidied.fixes_removed += u64::try_from(removed).unwrap_or_default();
        Ok(is_done)
    }

    /// Thins out what is old enough. Says whether all of it is thinned out.
    pub(super) fn thin(
        &mut self,
        retention: &Retention,
        now: Timestamp,
        until: Instant,
        tidied: &mut Tidied,
    ) -> Result<bool, Fault> {
        for (step, thinning) in (1_usize..).zip(&retention.thinning) {
            let border = self.tidying.border(step, now, thinning.after);
            let mut slice = Slice::begin(&self.db, until)?;
            let mut thinned = 0;
            let mut is_done = true;
            let to = Step { tier: step.cast_signed() as i64, every: thinning.every, border };
            'tiers: for tier in tiers(&slice.db)?.into_iter().filter(|tier| *tier < to.tier) {
                while let Some(block) = oldest(&slice.db, tier, border)? {
                    thinned += thin(&mut slice, &block, to)?;
                    if slice.is_over() {
                        is_done = false;
                        break 'tiers;
                    }
                }
            }
            slice.commit()?;
            tidied.fixes_thinned += u64::try_from(thinned).unwrap_or_default();
            if !is_done {
                return Ok(false);
            }
            self.tidying.done(border);
        }
        Ok(true)
    }
}

/// A step of thinning.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The tier after it.
    tier: i64,
    every: Duration,
    border: Border,
}

impl Step {
    fn stretch(self, at_us: i64) -> i64 {
        at_us.div_euclid(i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX).max(1))
    }
}

/// Leaves only some fixes of a block. Says how many went.
fn rewrite(slice: &mut Slice<'_>, block: &Block, points: &[Point]) -> Result<i64, Fault> {
    let fixes = Fixes { device: block.device, tier: block.tier, points };
    slice.ledger.replace(&slice.db, &[*block], fixes, Division::Full)?;
    Ok(block.fixes - points.len().cast_signed() as i64)
}

/// Thins out a block and those after it that are as old and not thinned out yet. Says how many fixes went.
fn thin(slice: &mut Slice<'_>, first: &Block, step: Step) -> Result<i64, Fault> {
    let device = first.device;
    let mut blocks = vec![*first];
    let before = Block::floor(&slice.db, device, first.first_us - 1)?;
    // A small one before it, which was thinned out before, becomes larger.
    if let Some(before) = before.filter(|before| before.tier == step.tier && before.has_room()) {
        blocks.insert(0, before);
    }
    let mut next = Block::next(&slice.db, device, first.first_us)?;
    while let Some(block) = next
        && block.tier < step.tier
        && block.last_us < step.border.at_us
        && blocks.len() < BLOCKS_MAX
    {
        blocks.push(block);
        next = Block::next(&slice.db, device, block.first_us)?;
    }
    let mut points = Vec::new();
    for block in &blocks {
        points.extend(block.open(&slice.db)?);
    }
    let stored = points.len();
    let young = points.split_off(points.partition_point(|point| point.taken_us < step.border.at_us));
    // Of what was before and what comes after, only the border matters: a stretch may run across it.
    let next_us = match young.first() {
        Some(_younger) => None,
        None => next.map(|next| next.first_us).filter(|next_us| *next_us < step.border.at_us),
    };
    let mut newer = next_us.map(|next_us| step.stretch(next_us));
    points.reverse();
    points.retain(|point| {
        let stretch = step.stretch(point.taken_us);
        let is_newest = newer != Some(stretch);
        newer = Some(stretch);
        is_newest
    });
    points.reverse();
    let mut thinned = (stored - young.len() - points.len()).cast_signed() as i64;
    let oldest_tier = first.tier;
    let (left, rest) = blocks.split_first().map_or((None, [].as_slice()), |(one, rest)| (Some(*one), rest));
    for block in rest {
        slice.ledger.delete(&slice.db, block)?;
    }
    if let Some(block) = left {
        let old = Fixes { device, tier: step.tier, points: &points };
        slice.ledger.replace(&slice.db, &[block], old, Division::Full)?;
    }
    let young = Fixes { device, tier: oldest_tier, points: &young };
    slice.ledger.replace(&slice.db, &[], young, Division::Full)?;
    let has_taken_before = before.is_some_and(|before| blocks.first() == Some(&before));
    if let (Some(before), false, Some(first)) = (before, has_taken_before, points.first()) {
        thinned += drop_last(slice, &before, step, first.taken_us)?;
    }
    Ok(thinned)
}

/// Drops the last fix of the block before, if it is in the same stretch as the first after it.
fn drop_last(slice: &mut Slice<'_>, before: &Block, step: Step, next_us: i64) -> Result<i64, Fault> {
    if step.stretch(before.last_us) != step.stretch(next_us) {
        return Ok(0);
    }
    let points = before.open(&slice.db)?;
    let end = points.partition_point(|point| step.stretch(point.taken_us) < step.stretch(next_us));
    rewrite(slice, before, points.get(..end).unwrap_or_default())
}
