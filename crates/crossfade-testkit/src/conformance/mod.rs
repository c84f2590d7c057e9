//! A conformance suite for a user's own pair of repositories.
//!
//! Crossfade promises that both sides stay equal, as long as each side keeps its part: New's writes
//! are upserts of whole rows, in the transaction that they are lent. The suite plays stories on a
//! throw-away database (writes and reads in every stage, calls that fail, panic or are dropped
//! midway, backfill and repair), compares both sides after each step, and names what a side does
//! wrong, with the shortest story that shows it.
//!
//! ```no_run
//! use crossfade::{Database, Db, Side};
//! use crossfade_testkit::conformance::{Pair, assert_conforms};
//! # use sqlx::Row;
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Person { name: String, email: String }
//!
//! struct People; // `people(id, name, email)` moves to `people_v2(person_id, name, email)`
//!
//! impl Pair for People {
//!     type Key = i64;
//!     type Value = Person;
//!     type Error = sqlx::Error;
//!
//!     fn key(&self, n: u32) -> i64 { n.into() }
//!     fn value(&self, n: u32) -> Person {
//!         Person { name: format!("name {n}"), email: format!("{n}@example.org") }
//!     }
//!     fn refused(&self) -> Option<Person> { // New has a constraint that Legacy lacks
//!         Some(Person { name: String::new(), email: "nobody".into() })
//!     }
//!     async fn put(&self, side: Side, db: Db, id: &i64, row: &Person) -> Result<(), sqlx::Error> {
//!         let put = "insert into people values (?, ?, ?) on conflict (id) \
//!                    do update set name = excluded.name, email = excluded.email";
//!         let query = sqlx::query(sql(side, put)).bind(id).bind(&row.name).bind(&row.email);
//!         query.execute(conn(&db).await?.sqlite()?).await.map(drop)
//!     }
//!     async fn delete(&self, side: Side, db: Db, id: &i64) -> Result<(), sqlx::Error> {
//!         let query = sqlx::query(sql(side, "delete from people where id = ?")).bind(id);
//!         query.execute(conn(&db).await?.sqlite()?).await.map(drop)
//!     }
//!     async fn get(&self, side: Side, db: Db, id: &i64) -> Result<Option<Person>, sqlx::Error> {
//!         let query = sqlx::query(sql(side, "select name, email from people where id = ?")).bind(id);
//!         let row = query.fetch_optional(conn(&db).await?.sqlite()?).await?;
//!         Ok(row.map(|row| Person { name: row.get(0), email: row.get(1) }))
//!     }
//! }
//!
//! # fn sql(side: Side, legacy: &str) -> sqlx::AssertSqlSafe<String> {
//! #     sqlx::AssertSqlSafe(match side {
//! #         Side::Legacy => legacy.to_owned(),
//! #         Side::New => legacy.replace("people", "people_v2").replace("id", "person_id"),
//! #     })
//! # }
//! # async fn conn(db: &Db) -> Result<crossfade::Conn, sqlx::Error> {
//! #     db.conn().await.map_err(|error| sqlx::Error::Configuration(error.into()))
//! # }
//! // #[tokio::test(flavor = "multi_thread")]
//! async fn people_conform() {
//!     let database = Database::connect("sqlite://throw-away.db").await.unwrap();
//!     // … the application's own tables …
//!     assert_conforms(&database, "migrations/people", &People).await;
//! }
//! ```

mod diagnosis;
mod error;
mod pair;
mod report;
mod story;

mod act;
mod ground;
mod judge;
mod play;
mod shrink;
mod stories;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::time::Duration;

use crossfade::Database;
use crossfade_core::Definition;
use crossfade_schema::{DEFAULT_TIMEOUTS, Manifest, Mode, expand};
use crossfade_store::ControlStore;

pub use diagnosis::Diagnosis;
pub use error::ConformanceError;
pub use pair::{Pair, Patching};
use play::{Shown, Theatre};
pub use report::{Finding, Report};
pub use story::{Mishap, Step, Verb};

/// Plays every story and panics with the report when something is wrong.
///
/// `migration` is the folder with `migration.toml`; its `expand.sql` is run. Legacy has to be there,
/// and the tables may hold rows of their own. Rows and control tables stay behind, so the database
/// is one to be thrown away.
///
/// # Panics
///
/// When something is wrong with the pair, and when the suite cannot be played.
pub async fn assert_conforms<P: Pair>(database: &Database, migration: impl AsRef<Path>, pair: &P) {
    let report = Conformance::new(database, migration).run(pair).await;
    match report {
        Ok(report) => report.assert_clean(),
        Err(error) => panic!("{}", error::chain(&error)),
    }
}

/// A run of the suite, with its options.
#[derive(Debug)]
#[must_use]
pub struct Conformance<'a> {
    database: &'a Database,
    folder: std::path::PathBuf,
    seed: u64,
    stories: u32,
    steps: u32,
    patience: Duration,
}

impl<'a> Conformance<'a> {
    /// A run on a throw-away database, for the migration of that folder.
    pub fn new(database: &'a Database, migration: impl AsRef<Path>) -> Self {
        let seed = RandomState::new().hash_one(0) >> 32;
        Self {
            database,
            folder: migration.as_ref().to_owned(),
            seed,
            stories: 40,
            steps: 14,
            patience: Duration::from_secs(30),
        }
    }

    /// The seed of the random stories. Default: another one in each run; the report tells it.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How many random stories are played behind the known ones. Default: 40.
    pub fn stories(self, stories: u32) -> Self {
        Self { stories, ..self }
    }

    /// About how many steps a random story has at most. Default: 14.
    pub fn steps(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// How long one write may take before it counts as one that does not end. Default: 30 s.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Plays the stories. The known ones come first, each of which shows one thing; where one of
    /// them does, the random ones wait until that is mended. Of those, the first that shows
    /// something ends the run.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] when the suite could not be played.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway it leaves rows and migrations behind, as it does in any case.
    pub async fn run<P: Pair>(self, pair: &P) -> Result<Report, ConformanceError> {
        let definition = Box::pin(self.prepare()).await?;
        let before = self.database.migrations().await?.len() as u32;
        let mut theatre = Theatre {
            database: self.database,
            definition,
            pair,
            may_tick: true,
            patience: self.patience,
            next: before,
            played: 0,
            steps: 0,
        };
        let mut findings: Vec<Finding> = Vec::new();
        let random = (0..self.stories).map(|number| stories::random(self.seed, number, self.steps));
        let known = stories::known();
        let last_known = known.len();
        for (number, story) in known.into_iter().chain(random).enumerate() {
            if number >= last_known && !findings.is_empty() {
                break;
            }
            if let Some(shown) = theatre.play(&story).await? {
                let ends = shown.verdict.diagnosis.ends_the_run();
                let told = |finding: &Finding| {
                    finding.diagnosis == shown.verdict.diagnosis
                        && finding.story.len() <= shown.steps
                };
                if findings.iter().any(told) {
                    continue;
                }
                let (story, shown) = shrink::shrink(&mut theatre, story, shown).await?;
                add(&mut findings, story, shown);
                if ends {
                    break;
                }
            }
        }
        Ok(Report {
            findings,
            seed: self.seed,
            engine: self.database.engine().as_str(),
            stories: theatre.played,
            steps: theatre.steps,
        })
    }

    /// Control tables, the New table, and what the stories' migrations have in common.
    async fn prepare(&self) -> Result<Definition, ConformanceError> {
        let engine = self.database.engine().as_str();
        let manifest = Manifest::load(&self.folder, engine)?;
        self.database.install().await?;
        let (db, bounds) = (self.database, DEFAULT_TIMEOUTS);
        expand(db, db, db, &manifest, bounds, Mode::Run, "conformance").await?;
        Ok(manifest.definition)
    }
}

/// Keeps the shortest story of each diagnosis.
fn add(findings: &mut Vec<Finding>, story: Vec<Step>, shown: Shown) {
    let diagnosis = shown.verdict.diagnosis;
    let finding = Finding { diagnosis, seen: shown.verdict.seen, story };
    match findings.iter_mut().find(|finding| finding.diagnosis == diagnosis) {
        Some(known) if known.story.len() <= finding.story.len() => {}
        Some(known) => *known = finding,
        None => findings.push(finding),
    }
}
