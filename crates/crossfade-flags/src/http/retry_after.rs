//! For how long a busy server asks to be left alone.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

/// No server keeps a rule set back for longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// What `Retry-After` says, in seconds or as a date. A date is measured against the server's own
/// clock where it tells the time.
pub(super) fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let now = date(headers, header::DATE).unwrap_or(now);
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(retry_after: &str, date: Option<&str>, seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        // A clock that is an hour behind the server's.
        let now = httpdate::parse_http_date("Fri, 31 Jul 2026 11:00:00 GMT").unwrap();
        assert_eq!(pause(&headers, now), seconds.map(Duration::from_secs), "{retry_after}");
    }

    #[test]
    fn seconds_and_dates_are_understood_and_capped() {
        let noon = Some("Fri, 31 Jul 2026 12:00:00 GMT");
        check("17", noon, Some(17));
        check("0", None, Some(0));
        check("86400", None, Some(300));
        check("Fri, 31 Jul 2026 12:00:20 GMT", noon, Some(20));
        check("Fri, 31 Jul 2026 11:59:00 GMT", noon, Some(0));
        check("Fri, 31 Jul 2026 11:00:20 GMT", None, Some(20));
        check("Sat, 01 Aug 2026 12:00:00 GMT", noon, Some(300));
        check("99999999999999999999999", noon, None);
        check("soon", noon, None);
        check("-1", noon, None);
    }
}
