//! Numbers and times in words.

use std::time::{Duration, UNIX_EPOCH};

use crossfade_core::{Refusal, Warning};
use serde_json::{Value, json};

use crate::output::Output;

/// `1 key`, `2 keys`.
pub(super) fn count(number: u64, what: &str) -> String {
    let number_text = indicatif::HumanCount(number);
    if number == 1 { format!("1 {what}") } else { format!("{number_text} {what}s") }
}

/// A share of users: `25 %`, or `by rule` where it depends on the user's attributes.
pub(super) fn share(percent: Option<f64>) -> String {
    percent.map_or("by rule".to_owned(), |percent| format!("{percent} %"))
}

/// Milliseconds since 1970 as a date, in UTC.
pub(super) fn date(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// A duration without needless digits.
pub(super) fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    if duration < Duration::from_secs(10) && duration.subsec_millis() > 0 {
        return format!("{duration:.1?}");
    }
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// Reasons against a stage for programs.
pub(super) fn reasons(refusals: &[Refusal]) -> Vec<Value> {
    refusals
        .iter()
        .map(|refusal| json!({ "reason": refusal.reason, "hint": refusal.hint }))
        .collect()
}

/// What a gate cannot know, for programs.
pub(super) fn warnings_json(warnings: &[Warning]) -> Vec<Value> {
    let one = |warning: &Warning| json!({ "message": warning.message, "hint": warning.hint });
    warnings.iter().map(one).collect()
}

/// The same for people.
pub(super) fn warn(output: Output, warnings: &[Warning]) {
    for warning in warnings {
        output.note(format_args!("warning: {}; {}", warning.message, warning.hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(count(1, "key"), "1 key");
        assert_eq!(count(50_000, "row"), "50,000 rows");
        assert_eq!(share(Some(2.5)), "2.5 %");
        assert_eq!(share(None), "by rule");
        assert_eq!(date(86_400_000), "1970-01-02T00:00:00Z");
        assert_eq!(short(Duration::from_micros(1700)), "1ms");
        assert_eq!(short(Duration::from_millis(1234)), "1.2s");
        assert_eq!(short(Duration::from_secs(5)), "5s");
        assert_eq!(short(Duration::from_secs(3725)), "1h 2m 5s");
    }
}
