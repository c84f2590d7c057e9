//! `crossfade flag eval --batch`: a request a line in, an answer a line out.

use std::io::{self, BufRead, BufReader, Read, Write};

use crossfade_rules::{Request, RequestError};

use super::eval::Answers;

/// The longest request, in bytes. One that is longer is answered, but not kept in memory.
const LONGEST: usize = 1 << 20;

/// Answers each request as soon as its line is there.
///
/// Answers are held back only while the next request is there already: whoever writes a line and
/// waits for its answer gets it, and a file of requests is not answered line by line.
pub(super) fn run(
    answers: &Answers,
    mut input: BufReader<impl Read>,
    mut out: impl Write,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
        let Some(request) = next(&mut input, &mut line)? else { return out.flush() };
        let answer = match request.and_then(Request::from_line) {
            Ok(request) => answers.to(&request),
            Err(error) => error.answer(),
        };
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
    }
}

/// The next line that is not blank; `None` behind the last.
fn next<'l>(
    input: &mut impl BufRead,
    line: &'l mut Vec<u8>,
) -> io::Result<Option<Result<&'l str, RequestError>>> {
    loop {
        line.clear();
        if input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', line)? == 0 {
            return Ok(None);
        }
        if line.len() > LONGEST && line.last() != Some(&b'\n') {
            input.skip_until(b'\n')?;
            return Ok(Some(Err(RequestError::TooLong { limit: LONGEST })));
        }
        if !line.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(Some(std::str::from_utf8(line).map_err(|error| RequestError::NotText(error.valid_up_to()))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crossfade_rules::RuleSet;

    use super::*;

    const RULES: &str = r#"{"flags": {"a": {"variants": {"on": true}, "defaultVariant": "on"}}}"#;

    fn answered(rules: Option<&str>, input: &[u8]) -> Vec<String> {
        let rules = rules.map(|rules| RuleSet::parse(rules).unwrap());
        let mut out = Vec::new();
        run(
            &Answers { rules, bad: BTreeMap::new(), at: Some(0) },
            BufReader::with_capacity(7, input),
            &mut out,
        )
        .unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_in_is_a_line_out() {
        let request = r#"{"flag":"a","type":"boolean","default":false}"#;
        let on = r#"{"value":true,"variant":"on","reason":"STATIC","errorCode":null,"flagMetadata":null}"#;
        let input = format!("{request}\n\n  \r\n{request}\r\n[]\n{request}");
        let lines = answered(Some(RULES), input.as_bytes());
        assert_eq!((lines[0].as_str(), lines[1].as_str(), lines[3].as_str()), (on, on, on));
        assert!(lines[2].contains("PARSE_ERROR"), "{lines:?}");
        assert_eq!(lines.len(), 4);
        assert_eq!(answered(None, b""), [""; 0]);
        let not_ready = answered(None, request.as_bytes());
        assert!(not_ready[0].contains("PROVIDER_NOT_READY"), "{not_ready:?}");
    }

    #[test]
    fn bytes_that_are_no_text_and_lines_without_end_are_answered() {
        let mut input = b"{\"flag\":\"\xff\"}\n".to_vec();
        input.extend(vec![b' '; LONGEST + 1]);
        input.extend(b"\n{}\n");
        input.extend(vec![b'x'; 3 * LONGEST]);
        let lines = answered(Some(RULES), &input);
        assert!(lines[0].contains("not from byte 9 on"), "{}", lines[0]);
        assert!(lines[1].contains("at most 1048576 bytes"), "{}", lines[1]);
        assert!(lines[2].contains("names its"), "{}", lines[2]);
        assert!(lines[3].contains("at most"), "{}", lines[3]);
        assert_eq!(lines.len(), 4);
    }
}
