//! Migrations and their current states.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use crossfade_core::{Definition, Epoch, MigrationName, MigrationState, Part, Stage};
use crossfade_store::{AuditEntry, Registration, StoreError, StoreErrorKind};

use super::append_audit;
use crate::Database;
use crate::definition_json::{from_json, to_json};
use crate::error::Doing;
use crate::fence::{announce, create_fence};
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::value::{Row, args};

const READING: &str = "failed to read the control tables";

/// The states of all migrations, or of one. A migration whose record cannot be read is an error
/// when it is asked for by name, and left out of the others, which go on.
pub(super) async fn load(
    database: &Database,
    name: Option<&MigrationName>,
) -> Result<Vec<MigrationState>, StoreError> {
    let mut session = database.session().await.doing(READING)?;
    load_on(database, &mut session, name).await
}

/// One migration's state, on a connection that may be in a transaction.
pub(crate) async fn within(
    database: &Database,
    session: &mut Session,
    name: &MigrationName,
) -> Result<MigrationState, StoreError> {
    load_on(database, session, Some(name)).await?.pop().ok_or_else(|| {
        StoreError::new(StoreErrorKind::NotFound, format!("unknown migration `{name}`"))
    })
}

async fn load_on(
    database: &Database,
    session: &mut Session,
    name: Option<&MigrationName>,
) -> Result<Vec<MigrationState>, StoreError> {
    let text = database.engine().text_type();
    let name = name.map(|name| name.as_str().to_owned());
    let early = match database.keeps(Mechanism::MarksLast) {
        true => None,
        false => Some(marks(session, name.as_deref()).await?),
    };
    // One statement, so that stage and epochs belong to one moment.
    let rows = session
        .fetch(
            &format!(
                "select m.name, m.definition, e.epoch, e.stage, \
               (select count(*) from crossfade_epochs o \
                where o.migration = m.name and o.epoch < e.epoch and o.closed_ms is null) \
             from crossfade_migrations m \
             join crossfade_epochs e on e.migration = m.name and e.epoch = \
               (select max(epoch) from crossfade_epochs n where n.migration = m.name) \
             where cast($1 as {text}) is null or m.name = $1 \
             order by m.name"
            ),
            args![name.clone()],
        )
        .await
        .doing(READING)?;
    let mut states = BTreeMap::new();
    for row in rows {
        match state_of(&row) {
            Ok(mut state) => {
                state.previous_open &= database.keeps(Mechanism::EpochPredicate);
                match state.stage {
                    Stage::RampDown if !database.keeps(Mechanism::NewInRampDown) => {
                        state.stage = Stage::Live;
                    }
                    Stage::Live if !database.keeps(Mechanism::BothOrNeither) => {
                        state.stage = Stage::DualWrite;
                    }
                    _ => {}
                }
                states.insert(row.text(0), state);
            }
            Err(error) if name.is_some() => return Err(error),
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(migration = row.text(0), %error, cause, "left out");
            }
        }
    }
    // Read after the stage, so that no mark which a stage relies on is missed. A mark that is
    // newer than the stage does no harm: it only sends its key to Legacy.
    let marks = match early {
        Some(marks) => marks,
        None => marks(session, name.as_deref()).await?,
    };
    for row in marks {
        let state = states.get_mut(&row.text(0));
        if let Some(state) = state.filter(|_| database.keeps(Mechanism::MarkedRead)) {
            state.quarantined.insert(row.text(1));
        }
    }
    Ok(states.into_values().collect())
}

/// The marked keys of all migrations, or of one.
async fn marks(session: &mut Session, name: Option<&str>) -> Result<Vec<Row>, StoreError> {
    let text = session.engine().text_type();
    let sql = format!(
        "select q.migration, q.key from crossfade_quarantine as q \
         where cast($1 as {text}) is null or q.migration = $1"
    );
    session.fetch(&sql, args![name.map(str::to_owned)]).await.doing(READING)
}

/// A migration's state without its marks.
fn state_of(row: &Row) -> Result<MigrationState, StoreError> {
    Ok(MigrationState {
        definition: from_json(&row.text(1))?,
        epoch: Epoch::new(row.int(2)),
        stage: row.text(3).parse::<Stage>().map_err(|error| {
            StoreError::new(StoreErrorKind::Invalid, "a stored stage cannot be read")
                .with_source(error)
                .with_hint("a newer version of Crossfade may have written it")
        })?,
        previous_open: row.int(4) > 0,
        quarantined: BTreeSet::new(),
    })
}

/// The error for a name that is not there, with the names that are.
pub(super) async fn unknown(
    database: &Database,
    name: &MigrationName,
) -> Result<StoreError, StoreError> {
    let mut session = database.session().await.doing(READING)?;
    let rows = session
        .fetch("select name from crossfade_migrations order by name", args![])
        .await
        .doing(READING)?;
    let known: Vec<String> = rows.iter().map(|row| row.text(0)).collect();
    let hint = if known.is_empty() {
        format!("no migration is registered yet; run `crossfade expand {name}`")
    } else {
        format!("known: {}; a new one is registered by `crossfade expand`", known.join(", "))
    };
    let error = StoreError::new(StoreErrorKind::NotFound, format!("unknown migration `{name}`"));
    Ok(error.with_hint(hint))
}

/// Records a migration. See the port.
pub(super) async fn register(
    database: &Database,
    definition: &Definition,
    actor: &str,
) -> Result<Registration, StoreError> {
    let doing = "failed to register the migration";
    let engine = database.engine();
    let name = definition.name.as_str();
    let mut session = database.begin().await.doing(doing)?;
    let inserted = session
        .insert_new(
            &format!(
                "insert into crossfade_migrations (name, definition, created_ms) \
                 values ($1, $2, {})",
                engine.now_ms()
            ),
            "(name)",
            args![name, to_json(definition)],
        )
        .await
        .doing(doing)?;
    if inserted == 1 {
        let sql = format!(
            "insert into crossfade_epochs (migration, epoch, stage, opened_ms) \
             values ($1, $2, $3, {})",
            engine.now_ms()
        );
        let first = Epoch::new(1);
        session.execute(&sql, args![name, first.get(), Stage::Off.as_str()]).await.doing(doing)?;
        create_fence(database, &mut session, &definition.name, first).await?;
    } else {
        // Stage changes lock this row too. A statement that waits for a lock reads the other rows
        // as they were before it waited, so the stage is read in a second one.
        let lock =
            format!("select name from crossfade_migrations where name = $1{}", engine.for_update());
        session.fetch(&lock, args![name]).await.doing(doing)?;
        let sql = "select m.definition, (select stage from crossfade_epochs e \
                   where e.migration = m.name order by epoch desc limit 1) \
                   from crossfade_migrations m where m.name = $1";
        let row = session.fetch_one(sql, args![name]).await.doing(doing)?;
        let (stored, stage) = row.map(|row| (row.text(0), row.text(1))).unwrap_or_default();
        let stored = from_json(&stored)?;
        if stored == *definition {
            session.rollback().await;
            return Ok(Registration::Unchanged);
        }
        let differing = stored.differences(definition);
        if stage != Stage::Off.as_str() && !differing.is_empty() {
            session.rollback().await;
            let differing: Vec<&str> = differing.into_iter().map(Part::as_str).collect();
            let error = StoreError::new(
                StoreErrorKind::Conflict,
                format!(
                    "migration `{name}` is in `{stage}` and its manifest moves rows differently: \
                     it differs in {}",
                    differing.join(", ")
                ),
            );
            return Err(error.with_hint(format!(
                "tables, keys, columns, mapping and read flag may change in `off` only; step back with \
                 `crossfade stage {name} …` or restore the manifest"
            )));
        }
        session
            .execute(
                "update crossfade_migrations set definition = $2 where name = $1",
                args![name, to_json(definition)],
            )
            .await
            .doing(doing)?;
    }
    let registration = if inserted == 1 { Registration::Created } else { Registration::Updated };
    let entry = AuditEntry {
        action: "register",
        subject: name,
        from: "",
        to: if inserted == 1 { "created" } else { "updated" },
        actor,
        reason: "",
    };
    append_audit(engine, &mut session, entry).await.doing(doing)?;
    announce(engine, &mut session).await?;
    session.commit_or(doing).await?;
    Ok(registration)
}
