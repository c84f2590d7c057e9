//! What PostgreSQL's unique indexes compare.

use super::UniqueIndex;
use crate::session::Session;
use crate::shape::Shape;
use crate::value::args;

/// Every unique index of New that is valid, with the collations of its columns.
const INDEXES: &str = "\
select i.indexrelid::bigint, c.relname::text, pg_get_expr(i.indpred, i.indrelid), \
coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)::int, \
pg_get_indexdef(i.indexrelid, k.n, false), \
case when l.collname is not null and not l.collisdeterministic \
then quote_ident(ln.nspname) || '.' || quote_ident(l.collname) end \
from pg_index i join pg_class c on c.oid = i.indexrelid \
cross join lateral generate_series(1, i.indnkeyatts) as k(n) \
left join pg_collation l on l.oid = i.indcollation[k.n - 1] \
left join pg_namespace ln on ln.oid = l.collnamespace \
where i.indrelid = $1::text::regclass and i.indisunique order by 1, k.n";

pub(super) async fn unique_indexes(
    session: &mut Session,
    shape: &Shape,
) -> Result<Vec<UniqueIndex>, sqlx::Error> {
    let rows = session.fetch(INDEXES, args![shape.new.qualified.as_str()]).await?;
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in rows {
        let name = row.text(1);
        let part = match row.opt_text(5) {
            Some(collation) => format!("({}) collate {collation}", row.text(4)),
            None => format!("({})", row.text(4)),
        };
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.parts.push(part),
            None => indexes.push(UniqueIndex {
                name,
                parts: vec![part],
                predicate: row.opt_text(2),
                nulls_equal: row.int(3) != 0,
            }),
        }
    }
    Ok(indexes)
}
