//! A trace in words: who took which step, and what the tables held after it.

use std::fmt::Write;

use crate::explore::Violation;
use crate::protocol::Action;
use crate::state::{ABSENT, State, Value};

/// The steps to a violation, one to a line.
pub(crate) fn told(violation: &Violation) -> String {
    let mut text = String::new();
    let mut last: Option<&State> = None;
    for (number, (action, state)) in violation.trace.iter().enumerate() {
        let step = match (action, last) {
            (Some(action), Some(last)) => step(*action, last, state),
            _ => "the beginning".to_owned(),
        };
        let _ = writeln!(text, "{number:>4}. {step:<64} {}", tables(state));
        last = Some(state);
    }
    text
}

fn step(action: Action, last: &State, next: &State) -> String {
    let index = usize::from;
    match action {
        Action::Writer(n) => {
            let (from, to) = (&last.writers[index(n)], &next.writers[index(n)]);
            format!(
                "writer {n} ({:?} {} in epoch {}): {:?} -> {:?}",
                from.operation, from.value, from.epoch, from.phase, to.phase
            )
        }
        Action::Reader(n) => {
            let reader = &last.readers[index(n)];
            let side = if reader.from_new { "New" } else { "Legacy" };
            format!("reader {n} (epoch {}): reads {side} and answers", reader.epoch)
        }
        Action::Worker(n) => {
            let (from, to) = (&last.workers[index(n)], &next.workers[index(n)]);
            format!("worker {n} (epoch {}): {:?} -> {:?}", from.epoch, from.phase, to.phase)
        }
        Action::Verifier => {
            let (from, to) = (&last.verifier, &next.verifier);
            format!("verifier: {:?} -> {:?} (key {})", from.phase, to.phase, to.key)
        }
        Action::Operator(n) => {
            let (from, to) = (&last.operators[index(n)], &next.operators[index(n)]);
            format!("operator {n} (to {}): {:?} -> {:?}", from.to, from.phase, to.phase)
        }
        other => format!("{other:?}"),
    }
}

fn tables(state: &State) -> String {
    let rows = |rows: &[Value]| {
        let cells = rows.iter().map(|row| match *row {
            ABSENT => "-".to_owned(),
            row => row.to_string(),
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    let epochs = &state.epochs;
    let open = (1..=epochs.newest).filter(|epoch| epochs.is_open(*epoch));
    let open: Vec<String> =
        open.map(|epoch| format!("{epoch}:{}", epochs.stage_of(epoch))).collect();
    let marks: String =
        (0..2u8).filter(|key| state.marks.has(*key)).map(|key| format!(" mark {key}")).collect();
    let run = match state.run.id {
        0 => String::new(),
        id => {
            format!(" run {id} {:?} at {}/{}", state.run.status, state.run.cursor, state.run.upper)
        }
    };
    format!(
        "L[{}] N[{}] truth[{}]{marks} | {}{run}",
        rows(&state.legacy),
        rows(&state.new),
        rows(&state.truth),
        open.join(" ")
    )
}
