//! The same with more devices than go into one message, or into one part of what a client catches up with.

use anita_auth::Patterns;
use anita_model::DeviceId;
use anita_views::{Change, Form, Pace, Portions, Slot, Start, ViewSettings};
use anita_wire::view::{Fields, LengthUnit};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

use crate::asked::{Plan, Which};
use crate::simulation::Simulation;

const DEVICES: usize = 5_500;

fn id(number: usize) -> String {
    format!("d{number:04}")
}

impl Simulation {
    fn report(&mut self, number: usize) {
        let changes = self.world.report(&id(number), &mut self.rng, self.now);
        for change in changes {
            self.views.apply(change, self.now.uptime);
        }
    }

    fn remove(&mut self, number: usize) {
        if self.world.known.remove(&id(number)).is_some() {
            let gone = Change::Removed(DeviceId::parse(&id(number)).unwrap());
            self.views.apply(gone, self.now.uptime);
        }
    }

    /// Some come, some go, some move.
    fn turn_over(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.rng.random_range(0..DEVICES);
            if self.rng.random_bool(0.3) { self.remove(number) } else { self.report(number) }
        }
        self.let_pass(Duration::from_millis(50));
    }
}

#[test]
fn thousands_of_devices_are_told_in_parts_and_none_is_lost() {
    let rng = SmallRng::seed_from_u64(5);
    let settings = ViewSettings { tail_fixes_max: 100, ..ViewSettings::default() };
    let mut it = Simulation::with(rng, settings, Portions::default());
    for number in 0..DEVICES {
        it.report(number);
    }
    let forms = [Form::Batch, Form::Columns(LengthUnit::Cm), Form::Batch];
    let paces = [Pace::Unlimited, Pace::at_most_hz(2.0), Pace::Beat(Duration::from_millis(500))];
    let slots = [Slot::Subscription(1), Slot::Subscription(1), Slot::Tracking];
    let mut seats = Vec::new();
    for ((form, pace), slot) in forms.into_iter().zip(paces).zip(slots) {
        let seat = it.connect(Patterns::all());
        let (which, start) = (Which::All, Start::Snapshot);
        let plan = Plan { which, form, pace, fields: Fields::Position, min_move_m: 0.0, start };
        it.watch(seat, slot, plan);
        seats.push(seat);
    }
    // Between the parts of what they are told, things happen.
    for _ in 0..10 {
        for &seat in &seats {
            it.poll(seat);
        }
        it.turn_over(200);
    }
    it.settle();
    for seat in &seats {
        it.clients.get_mut(seat).unwrap().is_stalled = true;
    }
    for number in 0..DEVICES {
        it.report(number);
    }
    it.let_pass(Duration::from_secs(2));
    for seat in &seats {
        let client = it.clients.get_mut(seat).unwrap();
        (client.is_stalled, client.is_called) = (false, true);
    }
    for _ in 0..4 {
        for &seat in &seats {
            it.poll(seat);
        }
        it.turn_over(200);
    }
    it.settle();
    for seat in seats {
        it.disconnect(seat);
    }
    assert_eq!(it.views.class_count(), 0);
    assert!(it.count["view.snapshot"] >= 12, "snapshots have pages: {:?}", it.count);
}
