//! Which stories are played: some that are known to show something, then random ones.

use crossfade::{Side, Stage};

use super::story::{KEYS, Mishap, Step, Verb};

/// Short stories, each of which some fault is known to show in.
pub(super) fn known() -> Vec<Vec<Step>> {
    use Stage::{Complete, DeleteOnly, DualWrite, Live, RampDown};
    use Step::{Backfill, Flag, Go, Repair};
    let put = |n| Step::act(Verb::Put(n), 0);
    let patch = |n| Step::act(Verb::Patch(n), 0);
    let refused = || Step::act(Verb::PutRefused, 0);
    let delete = || Step::act(Verb::Delete, 0);
    let read = || Step::act(Verb::Read, 0);
    let upset = |mishap| Step::upset(Verb::Put(2), 0, mishap);
    let mut stories = vec![
        vec![Go(DualWrite), put(1), put(2)],
        vec![put(1), Go(DualWrite), put(2)],
        vec![put(1), Go(DualWrite), Backfill, put(2)],
        vec![put(1), Go(DualWrite), patch(2)],
        vec![put(1), Go(DualWrite), Backfill, patch(2), patch(3)],
        vec![Go(DualWrite), put(1), delete()],
        vec![put(1), Go(DualWrite), Backfill, delete(), put(2)],
        vec![put(1), Go(Live), put(2), delete()],
        vec![Go(DualWrite), put(1), refused()],
        vec![Go(Live), put(1), refused(), put(2)],
        vec![refused(), Go(DualWrite), Backfill, put(1), Repair, Go(Live), put(2)],
        vec![Go(DualWrite), put(1), upset(Mishap::FailsAfter(Side::New))],
        vec![Go(DualWrite), put(1), Go(DeleteOnly), put(2), Go(DualWrite), put(3)],
        vec![Go(DualWrite), put(1), Go(DeleteOnly), delete(), Go(DualWrite), put(2)],
        vec![Go(Live), put(1), Flag(true), read(), put(2), read(), delete(), read()],
        vec![put(1), Go(RampDown), patch(2), read(), Go(Complete), put(3), patch(4), delete()],
    ];
    let several = (0..KEYS).map(|key| Step::act(Verb::Put(key as u32 + 1), key));
    let again = [Step::act(Verb::Delete, 1), Step::act(Verb::Put(5), 1)];
    stories.push([Go(DualWrite)].into_iter().chain(several).chain(again).collect());
    for mishap in [Mishap::FailsAfter(Side::New), Mishap::PanicsAfter(Side::New)] {
        stories.push(vec![Go(Live), upset(mishap), put(3)]);
        stories.push(vec![Go(Live), put(1), upset(mishap), delete()]);
    }
    stories.push(vec![Go(Live), put(1), upset(Mishap::FailsAfter(Side::Legacy)), put(3)]);
    stories
}

/// A story of the given number in the run of the given seed.
pub(super) fn random(seed: u64, number: u32, steps: u32) -> Vec<Step> {
    let mut dice = Dice(seed ^ u64::from(number).wrapping_mul(0xd134_2543_de82_ef95));
    let length = 3 + dice.below(steps.max(1));
    (0..length).map(|_| dice.step()).collect()
}

/// SplitMix64: a seed tells the same stories on every machine and with every version.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn step(&mut self) -> Step {
        match self.below(100) {
            0..16 => Step::Go(self.stage()),
            16..21 => Step::Backfill,
            21..24 => Step::Repair,
            24..28 => Step::Flag(self.below(2) == 0),
            _ => {
                let verb = self.verb();
                let mishap = if verb == Verb::Read { Mishap::None } else { self.mishap() };
                Step::Act { verb, key: self.below(KEYS as u32) as usize, mishap }
            }
        }
    }

    fn stage(&mut self) -> Stage {
        const OFTEN: [Stage; 8] = [
            Stage::DeleteOnly,
            Stage::DualWrite,
            Stage::DualWrite,
            Stage::DualWrite,
            Stage::Live,
            Stage::Live,
            Stage::RampDown,
            Stage::Complete,
        ];
        OFTEN[self.below(OFTEN.len() as u32) as usize]
    }

    fn verb(&mut self) -> Verb {
        match self.below(10) {
            0..4 => Verb::Put(self.below(100)),
            4 => Verb::PutRefused,
            5..7 => Verb::Patch(self.below(100)),
            7..9 => Verb::Delete,
            _ => Verb::Read,
        }
    }

    fn mishap(&mut self) -> Mishap {
        let side = if self.below(3) == 0 { Side::Legacy } else { Side::New };
        match self.below(10) {
            0 => Mishap::FailsBefore(side),
            1 => Mishap::FailsAfter(side),
            2 => Mishap::PanicsAfter(side),
            3 => Mishap::DroppedAfter(1 + self.below(12)),
            _ => Mishap::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_stories_and_another_one_others() {
        assert_eq!(random(7, 3, 12), random(7, 3, 12));
        assert_ne!(random(7, 3, 12), random(8, 3, 12));
        assert_ne!(random(7, 3, 12), random(7, 4, 12));
    }

    #[test]
    fn every_kind_of_step_and_mishap_comes_up() {
        let steps: Vec<Step> = (0..200).flat_map(|number| random(1, number, 12)).collect();
        let some = |of: fn(&Step) -> bool| assert!(steps.iter().any(of));
        some(|step| *step == Step::Repair);
        some(|step| *step == Step::Go(Stage::Complete));
        some(|step| matches!(step, Step::Act { verb: Verb::PutRefused, .. }));
        some(|step| matches!(step, Step::Act { mishap: Mishap::DroppedAfter(12), .. }));
        some(|step| matches!(step, Step::Act { mishap: Mishap::PanicsAfter(Side::Legacy), .. }));
        some(|step| matches!(step, Step::Act { mishap: Mishap::FailsBefore(Side::New), .. }));
    }
}
