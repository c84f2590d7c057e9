//! Who holds an epoch on MariaDB, and ending their connections.
//!
//! The server tells who holds a row only while somebody waits for it, from a copy of its locks that
//! may be a tenth of a second old, and only to users with the right `PROCESS`. So the look waits for
//! the epoch's row itself, as a closer does, which holds nobody up; see `fence.rs`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade_core::{Epoch, MigrationName};
use crossfade_store::{EpochHolder, StoreError, StoreErrorKind};
use sqlx::Error;

use crate::Database;
use crate::error::{Doing, mysql_number};
use crate::fence::row_of;
use crate::session::Session;
use crate::value::args;

/// How long the server keeps its copy of its locks, with something to spare. Whoever asks more often
/// gets the same copy again, and so does everybody while others ask as often.
const COPY_AGE: Duration = Duration::from_millis(120);

/// The longest pause between two looks at the copy.
const LONGEST_PAUSE: Duration = Duration::from_millis(900);

/// How often a connection is looked at that always has a new statement by the time it would be ended.
const LOOKS: u32 = 20;

/// Numbers this process's looks.
static LOOKED: AtomicU64 = AtomicU64::new(0);

/// The server's number for what only users with another right may do.
const ACCESS_DENIED: u16 = 1227;

/// What each connection runs, or ran last, as it is now.
const STATEMENTS: &str = "\
select cast(id as signed), cast(query_id as signed) from information_schema.processlist";

/// Whoever keeps this connection from the row that it waits for, in a statement with this word: an
/// old copy may hold an earlier wait of the same connection. Those who wait for it too hold nothing, and a transaction without a number has locked no key, so it is no writer's: all of those
/// look the same here.
const HOLDERS: &str = "\
select distinct cast(b.trx_mysql_thread_id as signed), concat_ws(', ', concat('user ', p.user),
    concat('from ', p.host), lower(p.command), concat('transaction open for ', timestampdiff(second,
    b.trx_started, convert_tz(utc_timestamp(), '+00:00', 'SYSTEM')), ' s'))
from information_schema.innodb_lock_waits w
join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id
join information_schema.innodb_trx b on b.trx_id = w.blocking_trx_id
left join information_schema.processlist p on p.id = b.trx_mysql_thread_id
where r.trx_mysql_thread_id = $1 and r.trx_query like $2 and w.blocking_trx_id <> 0
and not b.trx_requested_lock_id <=> w.blocking_lock_id
order by 1";

/// Those who hold the epoch, and the statement that each ran before that was looked at: one that has
/// begun none since holds it still.
struct Look {
    holders: Vec<EpochHolder>,
    statements: Vec<(i64, i64)>,
    /// Somebody holds it, and the server has not told who.
    untold: bool,
}

pub(super) async fn holders(
    database: &Database,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<Vec<EpochHolder>, StoreError> {
    let mut watcher = database.session().await.doing("failed to look up who holds the epoch")?;
    match look(database, &mut watcher, migration, epoch).await {
        Err(error) if mysql_number(&error) == Some(ACCESS_DENIED) => {
            tracing::warn!(%migration, %epoch, "who holds an epoch is told to users with the right PROCESS");
            Ok(Vec::new())
        }
        look => Ok(look.doing("failed to look up who holds the epoch")?.holders),
    }
}

/// Ends a connection that holds the epoch.
///
/// The locks that are shown may have been let go of since, so it is ended only if it has begun no
/// statement since before they were looked at, and else looked at again.
pub(super) async fn terminate(
    database: &Database,
    migration: &MigrationName,
    epoch: Epoch,
    holder: &EpochHolder,
) -> Result<bool, StoreError> {
    let doing = "failed to end the session that holds the epoch";
    let pid = holder.pid;
    let mut watcher = database.session().await.doing(doing)?;
    for _ in 0..LOOKS {
        let look = look(database, &mut watcher, migration, epoch).await.doing(doing)?;
        if look.untold {
            let message = "the server does not tell who holds the epoch";
            return Err(StoreError::new(StoreErrorKind::Conflict, message)
                .with_hint("somebody may ask for its locks all the time; try again"));
        }
        if !look.holders.iter().any(|holder| holder.pid == pid) {
            return Ok(false);
        }
        let Some((_, statement)) = look.statements.iter().find(|(id, _)| *id == pid) else {
            continue;
        };
        let end = format!(
            "begin not atomic \
               if exists (select 1 from information_schema.processlist \
                 where id = {pid} and query_id = {statement}) \
               then kill {pid}; select 1; \
               else select 0; end if; \
             end"
        );
        if watcher.fetch_one(&end, args![]).await.doing(doing)?.is_some_and(|row| row.int(0) == 1) {
            return Ok(true);
        }
    }
    let message = format!("session {pid} is busy and cannot be told from another use of it");
    Err(StoreError::new(StoreErrorKind::Conflict, message)
        .with_hint(format!("end it with `kill {pid}` on the server")))
}

/// Waits for the epoch's row until the server tells who holds it.
async fn look(
    database: &Database,
    watcher: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<Look, Error> {
    let mut waiter = database.begin().await?;
    let id = "select cast(connection_id() as signed)";
    let id = waiter.fetch_one(id, args![]).await?.map_or(0, |row| row.int(0));
    let statements = watcher.fetch(STATEMENTS, args![]).await?;
    let statements = statements.iter().map(|row| (row.int(0), row.int(1))).collect();
    let word = format!("look_{}", LOOKED.fetch_add(1, Ordering::Relaxed));
    let row = format!(
        "select epoch as {word}_ from crossfade_open_epochs where id = $1 for update wait 5"
    );
    let mut waiting = Box::pin(waiter.fetch(&row, args![row_of(migration, epoch)]));
    let mut untold = false;
    let mut pause = COPY_AGE;
    let rows = loop {
        tokio::select! {
            had = &mut waiting => {
                untold = had.is_err();
                break Vec::new();
            }
            () = tokio::time::sleep(pause) => {}
        }
        // Two who look in step would keep each other's copy old.
        let more = RandomState::new().hash_one(()) % u64::from(pause.subsec_millis());
        pause = (pause + Duration::from_millis(more)).min(LONGEST_PAUSE);
        let rows = watcher.fetch(HOLDERS, args![id, format!("%{word}\\_%")]).await?;
        if !rows.is_empty() {
            watcher.execute(&format!("kill query {id}"), args![]).await?;
            // Its error is the one that was asked for.
            let _ = (&mut waiting).await;
            break rows;
        }
    };
    drop(waiting);
    waiter.rollback().await;
    let holder =
        |row: &crate::value::Row| EpochHolder { pid: row.int(0), description: row.text(1) };
    Ok(Look { holders: rows.iter().map(holder).collect(), statements, untold })
}
