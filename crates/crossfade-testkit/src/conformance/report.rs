//! What a run found, as a text.

use std::fmt;

use super::{Diagnosis, Step};

/// One thing that is wrong with a pair.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its name.
    pub diagnosis: Diagnosis,
    /// What was seen in the last step of the story.
    pub seen: String,
    /// The shortest story that was found to show it, from stage `off` on.
    pub story: Vec<Step>,
}

/// What a run found.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// What is wrong, each once. Empty where nothing was found.
    pub findings: Vec<Finding>,
    /// The seed of the random stories.
    pub seed: u64,
    /// The engine that the stories were played on.
    pub engine: &'static str,
    /// How many stories were played, the shorter ones included.
    pub stories: u32,
    /// How many steps they had.
    pub steps: u64,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// # Panics
    ///
    /// With the whole report, when something was found.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { findings, seed, engine, stories, steps } = self;
        if findings.is_empty() {
            return write!(
                f,
                "the pair conforms on {engine}: {stories} stories of {steps} steps, seed {seed}"
            );
        }
        writeln!(
            f,
            "the pair does not conform on {engine} ({stories} stories of {steps} steps, seed \
             {seed}):"
        )?;
        for (number, finding) in findings.iter().enumerate() {
            write!(f, "\n{}. {finding}", number + 1)?;
        }
        write!(f, "\nTo tell the same stories again: `.seed({seed})`.")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.diagnosis)?;
        for step in &self.story {
            writeln!(f, "   - {step}")?;
        }
        writeln!(f, "   Seen then: {}.", self.seen.trim_end_matches('.'))?;
        writeln!(f, "   {}", self.diagnosis.explanation())
    }
}

#[cfg(test)]
mod tests {
    use crossfade::Stage;

    use super::*;
    use crate::conformance::{Mishap, Verb};

    fn report(findings: Vec<Finding>) -> Report {
        Report { findings, seed: 7, engine: "sqlite", stories: 2, steps: 5 }
    }

    #[test]
    fn a_report_tells_name_story_sight_and_seed() {
        let put = Step::Act { verb: Verb::Put(1), key: 0, mishap: Mishap::DroppedAfter(4) };
        let finding = Finding {
            diagnosis: Diagnosis::NotAnUpsert,
            seen: "New failed: taken.".to_owned(),
            story: vec![Step::Go(Stage::DualWrite), put],
        };
        let text = report(vec![finding]).to_string();
        for words in [
            "does not conform on sqlite",
            "1. New's put is no upsert",
            "- go to `dual_write`\n   - put value(1) on key 0; its future is dropped after 4 polls",
            "Seen then: New failed: taken.\n",
            "on conflict",
            ".seed(7)",
        ] {
            assert!(text.contains(words), "`{words}` is missing in:\n{text}");
        }
        assert!(report(Vec::new()).to_string().contains("conforms on sqlite"));
    }

    #[test]
    fn every_diagnosis_has_a_text_of_its_own() {
        let texts: std::collections::BTreeSet<String> =
            Diagnosis::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), Diagnosis::ALL.len());
        for diagnosis in Diagnosis::ALL {
            let text = diagnosis.to_string();
            assert!(!text.ends_with('.'), "{text}");
            assert!(diagnosis.explanation().ends_with('.'), "{diagnosis:?}");
        }
    }
}
