//! What SQLite's unique indexes compare.

use super::UniqueIndex;
use crate::Engine;
use crate::session::Session;
use crate::shape::Shape;
use crate::value::args;

/// The key, whose index has no entry where it is the row's number, and every unique index of whole
/// columns. Indexes of expressions and partial ones are tried within batches alone.
pub(super) async fn unique_indexes(
    session: &mut Session,
    shape: &Shape,
) -> Result<Vec<UniqueIndex>, sqlx::Error> {
    let key = shape.new.key.iter().map(|column| format!("n.{}", column.name)).collect();
    let mut indexes = vec![UniqueIndex {
        name: "the primary key".to_owned(),
        parts: key,
        predicate: None,
        nulls_equal: false,
    }];
    let table = shape.new.bare.trim_matches('"').replace("\"\"", "\"");
    let sql = "select l.name, x.name, x.coll, \
               (select count(*) from pragma_index_xinfo(l.name) as e \
               where e.key = 1 and e.cid < 0) \
               from pragma_index_list($1) as l join pragma_index_xinfo(l.name) as x \
               where l.\"unique\" = 1 and l.partial = 0 and l.origin <> 'pk' and x.key = 1 \
               order by l.seq, x.seqno";
    for row in session.fetch(sql, args![table]).await? {
        if row.int(3) > 0 {
            continue;
        }
        let name = row.text(0);
        let column = Engine::Sqlite.quote(&row.text(1));
        let part = format!("n.{column} collate {}", row.text(2));
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.parts.push(part),
            None => {
                indexes.push(UniqueIndex {
                    name,
                    parts: vec![part],
                    predicate: None,
                    nulls_equal: false,
                });
            }
        }
    }
    Ok(indexes)
}
