//! `crossfade flag eval`.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use crossfade_rules::{
    Context, ErrorCode, Evaluation, FlagType, MAX_DOCUMENT_BYTES, Request, RuleSet,
};
use serde_json::{Map, Value};

use super::{
    batch, newest,
    place::{Document, Place},
};
use crate::{
    app::App,
    failure::{Exit, Failure},
    output::{Output, broken_pipe_is_fine},
};

const EXAMPLES: &str = "\
The answer is one line of JSON, with --json and without:
  {\"value\":…,\"variant\":…,\"reason\":…,\"errorCode\":…,\"flagMetadata\":…}
`value` is what the caller gets, so the default where nothing resolves; what is absent is null. A
flag that is unknown or cannot be evaluated is an answer too, with exit code 0.

With --batch, each line of stdin is a request {\"flag\":…,\"type\":…,\"default\":…,\"context\":…} and is
answered with one line, at once; blank lines are passed over. A line that is no request is answered
with reason ERROR and an `errorMessage`. The rule set is the one that was newest at the start.

Examples:
  crossfade flag eval read_user_settings_v2 --context '{\"targetingKey\":\"42\"}'
  crossfade flag eval color --rules flags.json --type string --default '\"red\"'
  crossfade flag eval --batch --rules flags.json < requests.jsonl";

/// Say what a user gets, and why.
///
/// Says what a user gets, and why: from a file in flagd's format, or else from the database's newest
/// rule set.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Key of the flag; one that begins with a dash goes behind `--`.
    #[arg(required_unless_present = "batch")]
    key: Option<String>,
    /// A rule set in flagd's format instead of the database's newest: a file, `-` or `@7`.
    #[arg(long, value_name = "FILE", value_parser = clap::value_parser!(Place))]
    rules: Option<Place>,
    /// The type that is asked for [default: whichever the flag has].
    #[arg(long = "type", value_name = "TYPE", value_parser = flag_type(), conflicts_with = "batch")]
    kind: Option<FlagType>,
    /// What the caller goes on with where nothing resolves, as JSON [default: null].
    #[arg(long, value_name = "JSON", allow_negative_numbers = true, conflicts_with = "batch")]
    default: Option<String>,
    /// The user as a JSON object, whose `targetingKey` is the user's id, a text [default: {}].
    #[arg(long, value_name = "JSON", conflicts_with = "batch")]
    context: Option<String>,
    /// What `$flagd.timestamp` reads, in seconds since 1970 [default: now].
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Answer requests from stdin, one a line.
    #[arg(long, conflicts_with = "key")]
    batch: bool,
}

fn flag_type() -> impl TypedValueParser<Value = FlagType> {
    PossibleValuesParser::new(["boolean", "string", "integer", "float", "object"])
        .try_map(|name| FlagType::named(&name).ok_or("no such type"))
}

pub(super) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let question = match &args.key {
        Some(key) => Some(Question::of(key, args)?),
        None if args.rules == Some(Place::Stdin) => {
            let message = "--batch reads requests from stdin, so --rules cannot be `-`";
            return Err(Failure::usage(message));
        }
        None => None,
    };
    let (rules, bad) = match &args.rules {
        Some(place) => {
            let document = Document::read(app, place, MAX_DOCUMENT_BYTES).await?;
            let hint = format!("`crossfade flag check {place}` lists every problem");
            let readable = document.readable().map_err(|failure| match failure.hint {
                None => failure.with_hint(hint),
                Some(_) => failure,
            });
            let (rules, bad) = readable?;
            if !bad.is_empty() {
                app.output.note(format_args!(
                    "applications refuse {place} as a whole: `crossfade flag check {place}` lists \
                     every problem"
                ));
            }
            (Some(rules), bad)
        }
        None => {
            let stored = newest(&app.database().await?).await?;
            (stored.map(|(_, rules)| rules), BTreeMap::new())
        }
    };
    let answers = Answers { rules, bad, at: args.at };
    let out = Output::answers();
    let written = match &question {
        Some(question) => write_one(&app.output, &answers, question, out),
        None => {
            let input = BufReader::with_capacity(1 << 16, io::stdin());
            tokio::task::block_in_place(|| batch::run(&answers, input, out))
        }
    };
    broken_pipe_is_fine(written)
        .map_err(|error| Failure::failed("the evaluation broke off", &error))?;
    Ok(Exit::Done)
}

fn write_one(
    output: &Output,
    answers: &Answers,
    question: &Question,
    mut out: impl Write,
) -> io::Result<()> {
    writeln!(out, "{}", answers.of(question))?;
    out.flush()?;
    for note in answers.notes(question) {
        output.note(note);
    }
    Ok(())
}

/// One question on the command line; other than a [`Request`] it may leave the type open.
#[derive(Debug)]
struct Question {
    flag: String,
    kind: Option<FlagType>,
    default: Value,
    context: Map<String, Value>,
}

impl Question {
    fn of(key: &str, args: &Args) -> Result<Self, Failure> {
        let default = match &args.default {
            None => Value::Null,
            Some(text) => default_value(text, args.kind)?,
        };
        let context = args.context.as_deref().map_or(Ok(Map::new()), context_object)?;
        Ok(Self { flag: key.to_owned(), kind: args.kind, default, context })
    }
}

/// A default of the type that is asked for. `null` stands for none, whatever the type.
fn default_value(text: &str, kind: Option<FlagType>) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("--default is no JSON: {error}"))
            .with_hint("text goes in quotes of its own, like --default '\"red\"'")
    })?;
    match kind {
        Some(kind) if !value.is_null() && kind.convert(&value).is_none() => {
            Err(Failure::usage(format!("--default {value} does not fit --type {kind}")))
        }
        _ => Ok(value),
    }
}

fn context_object(text: &str) -> Result<Map<String, Value>, Failure> {
    let wrong = match serde_json::from_str(text) {
        Ok(Value::Object(context)) => return Ok(context),
        Ok(other) => format!("--context is no JSON object: {other}"),
        Err(error) => format!("--context is no JSON: {error}"),
    };
    let hint = "write it like --context '{\"targetingKey\":\"42\",\"country\":\"DE\"}'";
    Err(Failure::usage(wrong).with_hint(hint))
}

/// What answers: a rule set, or before the first one nobody.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) rules: Option<RuleSet>,
    /// Flags of the document that cannot be read, with the reason.
    pub(super) bad: BTreeMap<String, String>,
    /// The time for every answer; each is given at its own when `None`.
    pub(super) at: Option<u64>,
}

impl Answers {
    pub(super) fn to(&self, request: &Request) -> Value {
        match &self.rules {
            _ if self.bad.contains_key(&request.flag) => {
                Evaluation::failed(ErrorCode::ParseError).answer(&request.default)
            }
            Some(rules) => rules.answer(request, self.now()),
            None => Evaluation::failed(ErrorCode::NotReady).answer(&request.default),
        }
    }

    fn of(&self, question: &Question) -> Value {
        let Question { flag, kind, default, context } = question;
        match (kind, &self.rules) {
            _ if self.bad.contains_key(flag) => {
                Evaluation::failed(ErrorCode::ParseError).answer(default)
            }
            (Some(kind), _) => self.to(&Request {
                flag: flag.clone(),
                kind: *kind,
                default: default.clone(),
                context: context.clone(),
            }),
            (None, Some(rules)) => {
                let context = Context::from_json(context).at(self.now());
                rules.evaluate(flag, &context).answer(default)
            }
            (None, None) => Evaluation::failed(ErrorCode::NotReady).answer(default),
        }
    }

    fn now(&self) -> u64 {
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at.unwrap_or_else(|| since().as_secs())
    }

    /// What a person who wonders about the answer wants to know.
    fn notes(&self, question: &Question) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(id) = question.context.get("targetingKey").filter(|id| !id.is_string()) {
            notes.push(format!(
                "`targetingKey` is {id}, which is no text, so that no user is known by it; an id \
                 goes in quotes"
            ));
        }
        let key = &question.flag;
        if let Some(reason) = self.bad.get(key) {
            notes.push(format!("{key} cannot be read: {reason}"));
            return notes;
        }
        match self.rules.as_ref().map(|rules| (rules, rules.flag(key))) {
            None => notes.push("there is no rule set yet".to_owned()),
            Some((rules, None)) => {
                let known: Vec<&str> = rules.keys().collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                notes.push(format!("unknown flag `{key}`; known flags: {known}"));
            }
            Some((_, Some(flag))) => notes
                .extend(flag.fault().map(|fault| format!("{key} cannot be evaluated: {fault}"))),
        }
        notes
    }
}
