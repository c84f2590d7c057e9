//! The default database and the server's time zone. sqlx puts each session in UTC.

use crossfade_core::Pinned;
use crossfade_store::Surroundings;
use sqlx::Error;

use crate::session::Session;
use crate::value::args;

pub(super) async fn look(session: &mut Session) -> Result<Surroundings, Error> {
    let sql = "select database(), @@global.time_zone";
    let row = session.fetch_one(sql, args![]).await?.ok_or(Error::RowNotFound)?;
    let pinned =
        Pinned { search_path: row.opt_text(0), time_zone: row.opt_text(1), ..Pinned::default() };
    Ok(Surroundings { pinned, zone_source: "the server", zone_assumed: false })
}
