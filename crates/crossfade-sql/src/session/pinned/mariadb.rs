//! What a pinned transaction sets on MariaDB, and gives back with its end.

use crossfade_core::Pinned;

use super::Session;
use crate::mariadb::{Ending, SAVE};
use crate::value::args;

/// The settings, but for the time zone, which is `expand`'s.
///
/// `sql_mode`: values that do not fit are refused, key 0 stays 0, and zero dates pass from one side
/// to the other. `PIPES_AS_CONCAT` is sqlx's own setting, so `||` means in the mapping what it
/// means in the application's statements, and in standard SQL.
///
/// The character sets are those that sqlx decodes by. `sql_big_selects` lifts `max_join_size`.
const SETTINGS: [(&str, &str); 17] = [
    (
        "sql_mode",
        "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,\
         NO_ENGINE_SUBSTITUTION,PIPES_AS_CONCAT'",
    ),
    ("old_mode", "'UTF8_IS_UTF8MB3'"),
    ("character_set_client", "'utf8mb4'"),
    ("character_set_results", "'utf8mb4'"),
    ("collation_connection", "'utf8mb4_unicode_ci'"),
    ("foreign_key_checks", "1"),
    ("unique_checks", "1"),
    ("check_constraint_checks", "1"),
    ("sql_auto_is_null", "0"),
    ("sql_big_selects", "1"),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "18446744073709551615"),
    ("group_concat_max_len", "1048576"),
    ("div_precision_increment", "4"),
    ("max_sort_length", "8192"),
    ("default_week_format", "@@global.default_week_format"),
    ("lc_time_names", "@@global.lc_time_names"),
];

/// The setting that `expand` resolves.
const ZONE: &str = "time_zone";

/// Assignments that give the session back what [`pin`] changed, each after a comma.
pub(crate) fn unpin() -> String {
    let give_back = |name: &str| format!(", {name} = @crossfade_{name}, @crossfade_{name} = null");
    SETTINGS.iter().map(|(name, _)| give_back(name)).chain([give_back(ZONE)]).collect()
}

pub(super) async fn pin(session: &mut Session, pinned: &Pinned) -> Result<(), sqlx::Error> {
    let settings: Vec<_> =
        SETTINGS.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    set(session, settings, pinned).await
}

pub(super) async fn pin_script(session: &mut Session, pinned: &Pinned) -> Result<(), sqlx::Error> {
    set(session, vec!["sql_mode = @@global.sql_mode".to_owned()], pinned).await
}

async fn set(
    session: &mut Session,
    settings: Vec<String>,
    pinned: &Pinned,
) -> Result<(), sqlx::Error> {
    let saved = SETTINGS.iter().map(|(name, _)| *name).chain([ZONE]);
    let saved = saved.map(|name| format!("@crossfade_{name} = @@{name}"));
    // A stored zone is text of the catalog's: it is bound, as no literal is safe in every mode.
    let (zone, args) = match &pinned.time_zone {
        Some(zone) => (Some(format!("{ZONE} = $1")), args![zone.as_str()]),
        None => (None, args![]),
    };
    let bounds = match session.ending {
        Ending::ByCall => Some(SAVE.to_owned()),
        Ending::InFull | Ending::Pinned => None,
    };
    // What a session was given back by is saved once.
    let saved = saved.filter(|_| session.ending != Ending::Pinned);
    let assignments: Vec<String> =
        bounds.into_iter().chain(saved).chain(settings).chain(zone).collect();
    // Before the statement: one that is dropped midway closes the connection.
    session.ending = Ending::Pinned;
    session.execute(&format!("set {}", assignments.join(", ")), args).await.map(drop)
}
