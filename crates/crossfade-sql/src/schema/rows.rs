//! The rows of New as a whole: whether there are any, and taking them away.

use crossfade_core::{Definition, Stage};
use crossfade_store::{StoreError, StoreErrorKind, Timeouts};

use super::bound;
use super::table::TableFacts;
#[cfg(feature = "postgres")]
use crate::Engine;
use crate::error::Doing;
use crate::mechanism::Mechanism;
use crate::value::args;
use crate::{Database, children};

pub(super) async fn new_has_rows(
    database: &Database,
    definition: &Definition,
) -> Result<Option<bool>, StoreError> {
    let doing = "failed to look for rows on New";
    let mut session = database.read_pinned(&definition.pinned).await.doing(doing)?;
    let engine = database.engine();
    let new = TableFacts::find(&mut session, engine, &definition.new.table).await?;
    let has_rows = match new {
        Some(new) => {
            let sql = format!("select 1 from {} limit 1", new.qualified());
            Some(session.fetch_one(&sql, args![]).await.doing(doing)?.is_some())
        }
        None => None,
    };
    session.rollback().await;
    Ok(has_rows)
}

pub(super) async fn truncate_new(
    database: &Database,
    definition: &Definition,
    timeouts: Timeouts,
) -> Result<(), StoreError> {
    let doing = "failed to empty New";
    let engine = database.engine();
    let mut session = database.begin_pinned(&definition.pinned).await.doing(doing)?;
    bound(&mut session, engine, timeouts).await.doing(doing)?;
    // Stage changes lock this row, so the stage stays what it is until New is empty.
    let lock =
        format!("select name from crossfade_migrations where name = $1{}", engine.for_update());
    session.fetch(&lock, args![definition.name.as_str()]).await.doing(doing)?;
    let newest = "select stage from crossfade_epochs where migration = $1 \
                  order by epoch desc limit 1";
    let row = session.fetch_one(newest, args![definition.name.as_str()]).await.doing(doing)?;
    let stage = row.map(|row| row.text(0));
    let may =
        stage.as_deref().and_then(|stage| stage.parse().ok()).is_some_and(Stage::may_empty_new);
    if !may && database.keeps(Mechanism::EmptiedInOff) {
        return Err(StoreError::new(
            StoreErrorKind::Invalid,
            format!(
                "New is emptied in stage off only, and `{}` is in {}",
                definition.name,
                stage.as_deref().unwrap_or("none")
            ),
        ));
    }
    let new = TableFacts::find(&mut session, engine, &definition.new.table).await?;
    if let Some(new) = new {
        let (qualified, bare) = (new.qualified(), new.quote(&new.name));
        let mut children =
            children::with_rows(&mut session, engine, &qualified, &bare).await.doing(doing)?;
        // Its own foreign keys go with it.
        children.retain(|child| *child != qualified && !child.eq_ignore_ascii_case(&bare));
        if !children.is_empty() {
            session.rollback().await;
            let message = format!(
                "rows of {} would be deleted or changed: their foreign keys act on a delete of New's \
                 rows",
                children.join(", ")
            );
            return Err(StoreError::new(StoreErrorKind::Invalid, message)
                .with_hint("drop those foreign keys or empty those tables first"));
        }
        let sql = match engine {
            #[cfg(feature = "postgres")]
            Engine::Postgres => format!("truncate table {}", new.qualified()),
            // MariaDB's `truncate` would commit, and let go of the stage.
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => format!("delete from {}", new.qualified()),
        };
        session.execute(&sql, args![]).await.doing(doing)?;
    }
    session.commit_or(doing).await
}
