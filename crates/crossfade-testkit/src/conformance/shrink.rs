//! From a story that shows something to the shortest that does.

use super::play::{Shown, Theatre};
use super::story::{Mishap, Step};
use super::{ConformanceError, Pair};

/// How many stories are played to make one shorter.
const PLAYS: u32 = 150;

/// Leaves out what the story can do without. A shorter story may show something simpler; then
/// that is what was wrong with the longer one.
pub(super) async fn shrink<P: Pair>(
    theatre: &mut Theatre<'_, P>,
    mut story: Vec<Step>,
    mut shown: Shown,
) -> Result<(Vec<Step>, Shown), ConformanceError> {
    story.truncate(shown.steps);
    let last = theatre.played + PLAYS;
    let mut width = story.len().div_ceil(2);
    while width > 0 && !shown.verdict.diagnosis.ends_the_run() {
        let mut shorter = false;
        let mut at = 0;
        while at < story.len() && theatre.played < last {
            let mut without = story.clone();
            without.drain(at..(at + width).min(story.len()));
            match theatre.play(&without).await? {
                Some(found) => {
                    without.truncate(found.steps);
                    (story, shown, shorter) = (without, found, true);
                }
                None => at += width,
            }
        }
        if !shorter {
            width /= 2;
        }
        width = width.min(story.len());
    }
    for at in 0..story.len() {
        for simpler in simpler(story[at]) {
            if theatre.played >= last || shown.verdict.diagnosis.ends_the_run() {
                break;
            }
            let mut other = story.clone();
            other[at] = simpler;
            if let Some(found) = theatre.play(&other).await?
                && found.steps == story.len()
            {
                (story, shown) = (other, found);
            }
        }
    }
    Ok((story, shown))
}

/// Simpler forms of a step.
fn simpler(step: Step) -> Vec<Step> {
    let Step::Act { verb, key, mishap } = step else { return Vec::new() };
    let quiet = (mishap != Mishap::None).then_some(Step::Act { verb, key, mishap: Mishap::None });
    quiet.into_iter().collect()
}
