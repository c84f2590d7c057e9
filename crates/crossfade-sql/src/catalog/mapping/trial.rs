//! Trying the mapping: each row of a sample alone, twice, then among few, then among all.

use std::collections::{BTreeMap, HashSet};

use crossfade_core::check::{MappingSurvey, Sample, Trial};
use crossfade_core::{Key, KeyText};
use sqlx::Error;

use super::{Tried, attempt};
use crate::Engine;
use crate::session::Session;
use crate::shape::{Args, Rows};
use crate::value::args;

/// Rows in a row from either end and from the middle.
const END: usize = 16;
/// Rows in a row from each random place, and the number of such places.
const RANDOM: (usize, usize) = (8, 4);
/// Rows of a small batch.
const FEW: usize = 3;
/// How far into a table without integer keys a random place may lie.
const REACH: i64 = 100_000;

/// What the mapping made of one row: the text of each column.
type Image = Vec<Option<String>>;
/// What it made of several, by the key that it gave them.
type Mapped = BTreeMap<Vec<String>, Vec<Image>>;

/// Tries the mapping on a sample of rows.
pub(super) async fn run(
    session: &mut Session,
    tried: &Tried<'_>,
    mapping: &mut MappingSurvey,
    unseen: &mut Vec<String>,
) -> Result<(), Error> {
    // Without New's key among its columns nothing can be compared; that is reported elsewhere.
    let Some(keys) = key_columns(tried) else { return Ok(()) };
    let sample = sample(session, tried).await?;
    let mut trial = Trial { rows: sample.len() as u64, ..Trial::default() };
    let mut alone = Mapped::new();
    let mut usable: Vec<&Key> = Vec::new();
    for key in &sample {
        let first = mapped(session, tried, &keys, &[key]).await?;
        let second = mapped(session, tried, &keys, &[key]).await?;
        let (Some(first), Some(second)) = (first, second) else {
            trial.failing += 1;
            continue;
        };
        let rows = first.values().map(Vec::len).sum::<usize>();
        if rows > 1 {
            trial.several.add(key.text());
        }
        if first.keys().any(|mapped| mapped.as_slice() != key.parts()) {
            trial.rekeyed.add(key.text());
        } else if first != second {
            trial.unstable.add(key.text());
            differing(tried, first.values(), second.values(), &mut trial.unstable);
        } else {
            usable.push(key);
        }
        alone.extend(first);
    }
    let mut found = HashSet::new();
    for batch in usable.chunks(FEW).chain([&usable[..]]) {
        compare(session, tried, &keys, batch, &alone, (&mut found, &mut trial.dependent)).await?;
    }
    if trial.failing > 0 {
        unseen.push(format!(
            "the mapping fails on {} of {} rows tried; `crossfade validate` counts them",
            trial.failing, trial.rows
        ));
    }
    mapping.trial = Some(trial);
    Ok(())
}

/// Compares what the mapping makes of a batch with what it makes of its rows alone.
async fn compare(
    session: &mut Session,
    tried: &Tried<'_>,
    keys: &[String],
    batch: &[&Key],
    alone: &Mapped,
    (known, dependent): (&mut HashSet<Key>, &mut Sample),
) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    let found = mapped(session, tried, keys, batch).await?;
    let nothing = Vec::new();
    for key in batch {
        let parts = key.parts().to_vec();
        let expected = alone.get(&parts).unwrap_or(&nothing);
        // What fails among others and not alone depends on them, too.
        let among = found.as_ref().map(|found| found.get(&parts).unwrap_or(&nothing));
        if among != Some(expected) && known.insert((*key).clone()) {
            dependent.add(key.text());
            let among = among.unwrap_or(&nothing);
            differing(tried, [expected].into_iter(), [among].into_iter(), dependent);
        }
    }
    Ok(())
}

/// Notes the columns in which two results differ, as far as they have the same rows.
fn differing<'r>(
    tried: &Tried<'_>,
    one: impl Iterator<Item = &'r Vec<Image>>,
    other: impl Iterator<Item = &'r Vec<Image>>,
    sample: &mut Sample,
) {
    for (one, other) in one.flatten().zip(other.flatten()) {
        for (index, column) in tried.facts.columns.iter().enumerate() {
            if one.get(index) != other.get(index) {
                sample.add_column(&column.name);
            }
        }
    }
}

/// Mapped columns that are New's key, quoted, in the order of Legacy's.
fn key_columns(tried: &Tried<'_>) -> Option<Vec<String>> {
    let key = tried.definition.new.key.iter();
    let named = key.map(|part| {
        let alike = |column: &&crate::schema::MappingColumn| {
            column.name.eq_ignore_ascii_case(part.as_str())
        };
        tried.facts.columns.iter().find(alike).map(|column| tried.quoted(&column.name))
    });
    let named: Vec<String> = named.collect::<Option<_>>()?;
    (named.len() == tried.table.key.len()).then_some(named)
}

/// What the mapping makes of the rows of these keys at once; `None` where it fails on one.
async fn mapped(
    session: &mut Session,
    tried: &Tried<'_>,
    keys: &[String],
    of: &[&Key],
) -> Result<Option<Mapped>, Error> {
    let mut args = Args::default();
    let choose = tried.one_of(of, &mut args);
    let engine = tried.engine;
    let texts = keys.iter().zip(&tried.table.key).map(|(name, column)| {
        let (value, text) = (format!("m.{name}"), engine.text_type());
        let value = if column.cast.is_empty() {
            value
        } else {
            format!("cast({value} as {})", column.cast)
        };
        format!("cast({value} as {text})")
    });
    let images =
        tried.facts.columns.iter().map(|column| image(engine, &tried.quoted(&column.name)));
    let columns = texts.chain(images).collect::<Vec<_>>().join(", ");
    let tail = format!("select {columns} from {} as m", crossfade_core::MAPPED_ALIAS);
    let Some(rows) = attempt(session, tried.over(&choose, args, &tail)).await? else {
        return Ok(None);
    };
    let mut found = Mapped::new();
    for row in &rows {
        let key = tried.table.key_of(row, 0).map(|key| key.parts().to_vec()).unwrap_or_default();
        let image = (keys.len()..row.0.len()).map(|index| row.opt_text(index)).collect();
        found.entry(key).or_default().push(image);
    }
    found.values_mut().for_each(|images| images.sort());
    Ok(Some(found))
}

/// A text that is the same for the same value alone.
fn image(engine: Engine, name: &str) -> String {
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => format!("hex(cast(m.{name} as binary))"),
        #[cfg(feature = "postgres")]
        Engine::Postgres => format!("cast(m.{name} as text)"),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => format!("quote(m.{name})"),
    }
}

/// Keys of both ends, of the middle and of random places, each once, in the table's order.
async fn sample(session: &mut Session, tried: &Tried<'_>) -> Result<Vec<Key>, Error> {
    let table = &tried.table;
    let (forward, back) = (table.key_list("t."), table.key_descending("t."));
    let end = END.to_string();
    let first = tried.keys(session, "true", Args::default(), &forward, &end).await?;
    let mut last = tried.keys(session, "true", Args::default(), &back, &end).await?;
    last.reverse();
    let mut windows = vec![first];
    if let (Some(from), Some(to)) = (windows[0].first().cloned(), last.last().cloned()) {
        for (share, rows) in shares(session, tried.engine).await? {
            windows.push(place(session, tried, (&from, &to), share, rows).await?);
        }
    }
    windows.push(last);
    let mut seen = HashSet::new();
    Ok(windows.into_iter().flatten().filter(|key| seen.insert(key.clone())).collect())
}

/// Shares of the table, in thousandths, at which to look, and how many rows there.
async fn shares(session: &mut Session, engine: Engine) -> Result<Vec<(i64, usize)>, Error> {
    let now = session.fetch_one(&format!("select {}", engine.now_ms()), args![]).await?;
    let mut seed = now.map_or(1, |row| row.int(0)).unsigned_abs();
    let mut shares = vec![(500, END)];
    for _ in 0..RANDOM.1 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        shares.push((i64::try_from((seed >> 33) % 1000).unwrap_or(0), RANDOM.0));
    }
    Ok(shares)
}

/// Keys from a share of the table on: by value where the key is one integer, which an index finds
/// at once, else by counting rows.
async fn place(
    session: &mut Session,
    tried: &Tried<'_>,
    (from, to): (&Key, &Key),
    share: i64,
    rows: usize,
) -> Result<Vec<Key>, Error> {
    let forward = tried.table.key_list("t.");
    let number = |key: &Key| match (key.parts(), &tried.table.key[..]) {
        ([part], [column]) if column.text == KeyText::Integer => part.parse::<i128>().ok(),
        _ => None,
    };
    let mut args = Args::default();
    if let (Some(from), Some(to)) = (number(from), number(to)) {
        let value = from + (to - from) * i128::from(share) / 1000 - 1;
        let after = Key::new(vec![value.max(from).to_string()]);
        let choose =
            tried.table.within(Rows::Between { after: Some(&after), upto: None }, &mut args);
        return tried.keys(session, &choose, args, &forward, &rows.to_string()).await;
    }
    let counted = format!(
        "select count(*) from (select 1 as one from {} limit {REACH}) as c",
        tried.table.qualified
    );
    let count = session.fetch_one(&counted, args![]).await?.map_or(0, |row| row.int(0));
    let limit = format!("{rows} offset {}", count * share / 1000);
    tried.keys(session, "true", args, &forward, &limit).await
}
