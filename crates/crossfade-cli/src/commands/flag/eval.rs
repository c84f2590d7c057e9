//! `crossfade flag eval`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crossfade_core::FlagKey;
use crossfade_rules::{Context, ErrorCode, RuleSet};
use serde_json::{Map, Value, json};

use super::{newest, parse, unknown};
use crate::{
    app::App,
    failure::{Exit, Failure},
};

pub(super) async fn run(
    app: &App,
    key: &FlagKey,
    context: &str,
    file: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut attributes: Map<String, Value> = serde_json::from_str(context).map_err(|error| {
        Failure::usage(format!("--context is no JSON object: {error}"))
            .with_hint("write it like --context '{\"targetingKey\":\"42\",\"country\":\"DE\"}'")
    })?;
    // Ids are numbers in many an application, which hands them over as text.
    if let Some(id) = attributes.get_mut("targetingKey").filter(|id| id.is_number()) {
        *id = Value::String(id.to_string());
    }
    let rules = match file {
        Some(file) => from_file(file)?,
        None => match newest(&app.database().await?).await? {
            Some((_, rules)) => rules,
            None => return Err(unknown(key, None)),
        },
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let answer = rules.evaluate(key.as_str(), &Context::from_json(&attributes).at(now));
    match answer.error {
        Some(ErrorCode::FlagNotFound) => return Err(unknown(key, Some(&rules))),
        Some(error) => {
            let failure = Failure::new(Exit::Failed, format!("{key} cannot be evaluated: {error}"));
            let fault = rules.flag(key.as_str()).and_then(|flag| flag.fault());
            return Err(match fault {
                Some(fault) => failure.with_hint(fault.to_owned()),
                None => failure,
            });
        }
        None => {}
    }
    let value = answer.value.unwrap_or_default();
    app.output.line(format_args!(
        "{value} ({}{})",
        answer.reason,
        answer.variant.as_ref().map_or(String::new(), |variant| format!(", variant {variant}"))
    ));
    app.output.result(&json!({
        "flag": key.as_str(),
        "value": value,
        "variant": answer.variant,
        "reason": answer.reason.to_string(),
    }));
    Ok(Exit::Done)
}

fn from_file(path: &Path) -> Result<RuleSet, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read", path.display()), &error))?;
    parse(&text, &path.display().to_string())
}
