//! `crossfade flag list` and `crossfade flag show`.

use crossfade_core::FlagKey;
use crossfade_rules::Flag;
use serde_json::{Value, json};

use super::{newest, unknown};
use crate::{
    app::App,
    commands::words::{date, share},
    failure::{Exit, Failure},
};

pub(super) async fn list(app: &App) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let Some((stored, rules)) = newest(&database).await? else {
        app.output.line("no flags yet; `crossfade expand NAME` makes the first");
        app.output.result(&json!({ "version": 0, "flags": [] }));
        return Ok(Exit::Done);
    };
    app.output.line(format_args!(
        "rule set {}, {} by {}",
        stored.version,
        date(stored.created_ms),
        stored.author
    ));
    for flag in rules.flags() {
        let state = if flag.is_enabled() { "" } else { ", disabled" };
        app.output.line(format_args!("  {}: {}{state}", flag.key(), value(flag)));
    }
    let flags: Vec<Value> = rules.flags().map(as_json).collect();
    app.output.result(&json!({ "version": stored.version, "flags": flags }));
    Ok(Exit::Done)
}

pub(super) async fn one(app: &App, key: &FlagKey) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let found = newest(&database).await?;
    let Some((stored, rules)) = &found else { return Err(unknown(key, None)) };
    let Some(flag) = rules.flag(key.as_str()) else { return Err(unknown(key, Some(rules))) };
    let document: Value = serde_json::from_str(&stored.document).unwrap_or_default();
    let definition = &document["flags"][key.as_str()];
    app.output.line(format_args!("{key}: {}, rule set {}", value(flag), stored.version));
    app.output.line(format_args!("{definition:#}"));
    let mut result = as_json(flag);
    result["version"] = json!(stored.version);
    result["definition"] = definition.clone();
    app.output.result(&result);
    Ok(Exit::Done)
}

/// What users get, in words.
fn value(flag: &Flag) -> String {
    match flag.fault() {
        Some(fault) => format!("cannot be evaluated: {fault}"),
        None if flag.is_boolean() => format!("true for {}", share(flag.true_percent())),
        None => format!("default {}", flag.default_variant().unwrap_or("none")),
    }
}

fn as_json(flag: &Flag) -> Value {
    json!({
        "key": flag.key(),
        "enabled": flag.is_enabled(),
        "percent": flag.true_percent(),
        "fault": flag.fault(),
    })
}
