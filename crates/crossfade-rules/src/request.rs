//! Evaluation by request: who asks by name and in JSON, as a command line or a test suite does.

use serde_json::{Map, Value, json};

use crate::{Context, Evaluation, FlagType, RuleSet};

/// One question: a flag, the type it is asked for, the default in the code, and the context.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The key of the flag.
    pub flag: String,
    /// The type that is asked for.
    pub kind: FlagType,
    /// What the caller goes on with where nothing resolves.
    pub default: Value,
    /// The context; its `targetingKey` is the user's id.
    pub context: Map<String, Value>,
}

/// Why a line is no [`Request`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The line is longer than its reader allows.
    #[error("a request has at most {limit} bytes")]
    TooLong {
        /// The largest size that is read.
        limit: usize,
    },
    /// The line is not UTF-8.
    #[error("a request is UTF-8, which this line is not from byte {0} on")]
    NotText(usize),
    /// The line is not a JSON object.
    #[error("a request is a JSON object with \"flag\", \"type\", \"default\" and \"context\"")]
    NotAnObject,
    /// There is no `flag` with the text of a key.
    #[error("a request names its \"flag\"")]
    NoFlag,
    /// There is no `type`, or none of this name.
    #[error("\"type\" is {0}, not one of boolean, string, integer, float, object")]
    UnknownType(Value),
    /// The `context` is not an object.
    #[error("\"context\" is not an object")]
    ContextNotAnObject,
}

impl RequestError {
    /// OpenFeature's name for the mistake.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ContextNotAnObject => "INVALID_CONTEXT",
            Self::TooLong { .. }
            | Self::NotText(_)
            | Self::NotAnObject
            | Self::NoFlag
            | Self::UnknownType(_) => "PARSE_ERROR",
        }
    }

    /// The answer to a line that is no request: that of [`RuleSet::answer`] with the reason `ERROR`,
    /// and the mistake as `errorMessage`.
    #[must_use]
    pub fn answer(&self) -> Value {
        json!({
            "value": null,
            "variant": null,
            "reason": "ERROR",
            "errorCode": self.code(),
            "flagMetadata": null,
            "errorMessage": self.to_string(),
        })
    }
}

impl Request {
    /// Reads a line `{"flag","type","default","context"}`. A `default` that is left out is `null`, a
    /// `context` that is left out is empty.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn from_line(line: &str) -> Result<Self, RequestError> {
        let Ok(Value::Object(mut members)) = serde_json::from_str(line) else {
            return Err(RequestError::NotAnObject);
        };
        let Some(Value::String(flag)) = members.swap_remove("flag") else {
            return Err(RequestError::NoFlag);
        };
        let kind = members.swap_remove("type").unwrap_or_default();
        let kind =
            kind.as_str().and_then(FlagType::named).ok_or(RequestError::UnknownType(kind))?;
        let context = match members.swap_remove("context") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(context)) => context,
            Some(_) => return Err(RequestError::ContextNotAnObject),
        };
        let default = members.swap_remove("default").unwrap_or_default();
        Ok(Self { flag, kind, default, context })
    }
}

impl RuleSet {
    /// Answers a request with
    /// `{"value":…,"variant":…,"reason":…,"errorCode":…,"flagMetadata":…}`. `value` is what the caller
    /// gets, so the default where nothing resolves; what is absent is `null`. `unix_seconds` is what
    /// `$flagd.timestamp` reads.
    #[must_use]
    pub fn answer(&self, request: &Request, unix_seconds: u64) -> Value {
        let context = Context::from_json(&request.context).at(unix_seconds);
        self.evaluate(&request.flag, &context).require(request.kind).answer(&request.default)
    }

    /// Answers one line of a batch with one line, without a line break: as [`RuleSet::answer`] does,
    /// and with the reason `ERROR` where the line is no request.
    #[must_use]
    pub fn answer_line(&self, line: &str, unix_seconds: u64) -> String {
        match Request::from_line(line) {
            Ok(request) => self.answer(&request, unix_seconds).to_string(),
            Err(error) => error.answer().to_string(),
        }
    }
}

impl Evaluation {
    /// The answer in the form of [`RuleSet::answer`], for a caller with this default.
    #[must_use]
    pub fn answer(self, default: &Value) -> Value {
        json!({
            "value": self.value.unwrap_or_else(|| default.clone()),
            "variant": self.variant,
            "reason": self.reason.to_string(),
            "errorCode": self.error.map(|error| error.to_string()),
            "flagMetadata": (!self.metadata.is_empty()).then_some(self.metadata),
        })
    }
}
