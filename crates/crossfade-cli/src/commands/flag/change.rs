//! `crossfade flag set`, `on` and `off`.

use crossfade_control::{FlagChange, FlagEdit, Stores, change_flag};
use crossfade_core::{FlagKey, Stage};
use crossfade_store::ControlStore;
use serde_json::json;

use crate::{
    app::App,
    commands::{options::Reason, words::share},
    failure::{Exit, Failure},
};

pub(super) async fn run(
    app: &App,
    key: &FlagKey,
    edit: FlagEdit,
    reason: &Reason,
) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let change = FlagChange { flag: key, edit, actor: &app.actor, reason: &reason.reason };
    let changed = change_flag(Stores::of(&database), change).await?;
    match (changed.changed, changed.before) {
        (false, _) => app.output.line(format_args!(
            "{key} is at {} already, rule set {}",
            share(changed.after),
            changed.version
        )),
        (true, before) => app.output.line(format_args!(
            "{key}: {} → {}, rule set {}",
            before.map_or("none".to_owned(), |before| share(Some(before))),
            share(changed.after),
            changed.version
        )),
    }
    let mut ignored = Vec::new();
    if changed.after != Some(0.0) {
        for state in database.migrations().await? {
            let reads = state.definition.read_flag == *key;
            if reads && state.stage != Stage::Live {
                app.output.note(format_args!(
                    "{} is in `{}`, where the flag has no say; it counts in `live`",
                    state.definition.name, state.stage
                ));
                ignored.push(state.definition.name.to_string());
            }
        }
    }
    app.output.result(&json!({
        "flag": key.as_str(),
        "version": changed.version,
        "changed": changed.changed,
        "before": changed.before,
        "after": changed.after,
        "ignored_by": ignored,
    }));
    Ok(Exit::Done)
}
