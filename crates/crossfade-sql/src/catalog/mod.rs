//! What the catalog shows of a migration, for the checks of `crossfade-core`.
//!
//! Each engine has a file of queries. Nothing is decided here.

mod mapping;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use crossfade_core::check::{SEQUENCE_BEHIND, SideSurvey, Survey, findings};
use crossfade_core::{Definition, Side};
use crossfade_store::{CatalogStore, Depth, StoreError, SurveyRequest, Timeouts};

use crate::error::Doing;
use crate::schema::{TableFacts, bound};
use crate::session::Session;
use crate::{Database, Engine};

const DOING: &str = "failed to survey the catalog";

/// Bounds on statements that are run for the length of a look. Writers wait as long as the look
/// waits for a lock, and for milliseconds more.
const TRIAL: Timeouts = Timeouts {
    lock: std::time::Duration::from_millis(500),
    statement: std::time::Duration::from_secs(5),
};

#[async_trait]
impl CatalogStore for Database {
    async fn survey(&self, request: SurveyRequest<'_>) -> Result<Survey, StoreError> {
        let definition = request.definition;
        let engine = self.engine();
        let mut survey = Survey { engine: engine.as_str(), ..Survey::default() };
        let mut session = self.begin_pinned(&request.definition.pinned).await.doing(DOING)?;
        bound(&mut session, engine, TRIAL).await.doing(DOING)?;
        let legacy = TableFacts::find(&mut session, engine, &definition.legacy.table).await?;
        let mut new = TableFacts::find(&mut session, engine, &definition.new.table).await?;
        if new.is_none() && !request.expand.is_empty() && undoes_definitions(engine) {
            try_expand(&mut session, request.expand, &mut survey.unseen).await.doing(DOING)?;
            new = TableFacts::find(&mut session, engine, &definition.new.table).await?;
        }
        let look = Look { engine, definition, legacy: legacy.as_ref(), new: new.as_ref() };
        for side in [Side::Legacy, Side::New] {
            let Some(facts) = look.facts(side).filter(|facts| facts.instead.is_none()) else {
                continue;
            };
            let seen =
                look.side(&mut session, side, facts, &mut survey.unseen).await.doing(DOING)?;
            match side {
                Side::Legacy => survey.legacy = Some(seen),
                Side::New => survey.new = Some(seen),
            }
        }
        session.rollback().await;
        if let Some(legacy) = legacy.as_ref().filter(|legacy| legacy.instead.is_none()) {
            let new = new.as_ref();
            mapping::look(self, definition, legacy, new, request.depth, &mut survey).await?;
        }
        Ok(survey)
    }
}

/// See the port's `advance_sequences`.
pub(crate) async fn advance_sequences(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    let doing = "failed to advance a sequence";
    let request = SurveyRequest { definition, expand: &[], depth: Depth::Catalog };
    let survey = database.survey(request).await?;
    let behind = findings(definition, &survey);
    let behind = behind.into_iter().filter(|finding| finding.check.id == SEQUENCE_BEHIND.id);
    let mut ran = Vec::new();
    for statement in behind.flat_map(|finding| finding.statements) {
        let mut session = database.begin().await.doing(doing)?;
        bound(&mut session, database.engine(), TRIAL).await.doing(doing)?;
        session.run_script(&statement).await.doing(doing)?;
        session.commit_or(doing).await?;
        ran.push(statement);
    }
    Ok(ran)
}

/// Whether a transaction that is rolled back undoes `create table`.
fn undoes_definitions(engine: Engine) -> bool {
    #[cfg(feature = "mysql")]
    if engine == Engine::Mysql {
        return false;
    }
    let _ = engine;
    true
}

/// Runs the statements of `expand.sql` that make something of their own, each undone by itself when
/// it fails. What changes a table that is there might lock it for long, so it is left out.
pub(crate) async fn try_expand(
    session: &mut Session,
    statements: &[String],
    unseen: &mut Vec<String>,
) -> Result<(), sqlx::Error> {
    let mut made = Vec::new();
    for statement in statements {
        let words = words(statement);
        if !makes_only(&words, &made) {
            continue;
        }
        session.execute("savepoint crossfade_trial", Vec::new()).await?;
        match session.run_script(statement).await {
            Ok(()) => {
                session.execute("release savepoint crossfade_trial", Vec::new()).await?;
                made.extend(created_table(&words).map(str::to_owned));
            }
            Err(error) => {
                session.execute("rollback to savepoint crossfade_trial", Vec::new()).await?;
                let words = error.as_database_error().map(ToString::to_string);
                let Some(words) = words else { return Err(error) };
                unseen.push(format!("a statement of expand.sql could not be tried: {words}"));
            }
        }
    }
    Ok(())
}

/// The words of a statement in lower case, with names unquoted; enough to see what kind it is.
pub(crate) fn words(text: &str) -> Vec<String> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.split(|c: char| !in_word(c))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether a statement makes an object, or works on a table that was `made` by one before it.
pub(crate) fn makes_only(words: &[String], made: &[String]) -> bool {
    const MODIFIERS: [&str; 6] = ["or", "replace", "unique", "unlogged", "temporary", "temp"];
    const MADE: [&str; 9] = [
        "table",
        "type",
        "domain",
        "schema",
        "sequence",
        "function",
        "trigger",
        "procedure",
        "view",
    ];
    let mut rest = words.iter().map(String::as_str);
    match rest.next() {
        Some("create") => match rest.find(|word| !MODIFIERS.contains(word)) {
            Some("index") => words.iter().any(|word| made.contains(word)),
            Some(kind) => MADE.contains(&kind),
            None => false,
        },
        Some("alter") => {
            rest.next() == Some("table") && words.iter().any(|word| made.contains(word))
        }
        Some("comment" | "grant") => words.iter().any(|word| made.contains(word)),
        _ => false,
    }
}

/// The table that the statement creates.
pub(crate) fn created_table(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word == "table")?;
    let name =
        words[at + 1..].iter().find(|word| !["if", "not", "exists"].contains(&word.as_str()))?;
    (words[0] == "create").then_some(name.as_str())
}

/// What a survey has in hand.
struct Look<'a> {
    engine: Engine,
    definition: &'a Definition,
    legacy: Option<&'a TableFacts>,
    new: Option<&'a TableFacts>,
}

impl Look<'_> {
    fn facts(&self, side: Side) -> Option<&TableFacts> {
        match side {
            Side::Legacy => self.legacy,
            Side::New => self.new,
        }
    }

    async fn side(
        &self,
        session: &mut Session,
        side: Side,
        facts: &TableFacts,
        unseen: &mut Vec<String>,
    ) -> Result<SideSurvey, sqlx::Error> {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::side(self, session, side, facts, unseen).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::side(self, session, side, facts, unseen).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::side(self, session, side, facts, unseen).await,
        }
    }

    /// New's columns for those of Legacy's key, in the given order; `None` where one is not in the
    /// key.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    fn on_new(&self, legacy_columns: &[String]) -> Option<Vec<String>> {
        let (legacy, new) = (self.legacy?, self.new?);
        let of = |name: &String| {
            let keys = &self.definition.legacy.key;
            let is = |part: &&crossfade_core::Identifier| {
                legacy.column(part.as_str()).is_some_and(|column| column.name == *name)
            };
            let at = keys.iter().position(|part| is(&part))?;
            Some(new.column(self.definition.new.key.get(at)?.as_str())?.name.clone())
        };
        legacy_columns.iter().map(of).collect()
    }

    /// The key column of Legacy whose values New's `column` takes, qualified for a statement: the
    /// table and the column.
    #[cfg(feature = "postgres")]
    fn keys_of_legacy(&self, column: &str) -> Option<(String, String)> {
        let (legacy, new) = (self.legacy?, self.new?);
        let is = |part: &crossfade_core::Identifier| {
            new.column(part.as_str()).is_some_and(|found| found.name == column)
        };
        let at = self.definition.new.key.iter().position(is)?;
        let part = legacy.column(self.definition.legacy.key.get(at)?.as_str())?;
        (part.key_kind == Some(crate::schema::KeyKind::Integer))
            .then(|| (legacy.qualified(), legacy.quote(&part.name)))
    }

    /// Columns of Legacy that `contract` drops, as the catalog spells them; empty when the table
    /// goes as a whole.
    fn dropped_columns(&self) -> Vec<&str> {
        let columns = self.definition.legacy_columns.iter();
        let named = |name: &crossfade_core::Identifier| {
            self.legacy?.column(name.as_str()).map(|column| column.name.as_str())
        };
        columns.filter_map(named).collect()
    }
}

/// Whether `text` names a table, as a word of its own.
fn names(text: &str, table: &str) -> bool {
    let table = table.to_lowercase();
    let text = text.to_lowercase();
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(&table).any(|(at, _)| {
        !text[..at].ends_with(in_word) && !text[at + table.len()..].starts_with(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word() {
        for (text, found) in [
            ("select * from users", true),
            ("select * from \"Users\" u", true),
            ("delete from app.`users`;", true),
            ("select * from users_old", false),
            ("select * from my_users", false),
            ("select 1", false),
        ] {
            assert_eq!(names(text, "users"), found, "{text}");
        }
    }

    #[test]
    fn only_statements_that_make_something_are_tried() {
        let made = vec!["prefs".to_owned()];
        for (text, tried) in [
            ("create table prefs (id int)", true),
            ("create unlogged table a (id int)", true),
            ("create or replace function f() returns int", true),
            ("create index on prefs (id)", true),
            ("create unique index concurrently i on users (id)", false),
            ("alter table prefs add b int", true),
            ("alter table users add b int", false),
            ("insert into prefs values (1)", false),
            ("update users set a = 1", false),
        ] {
            assert_eq!(makes_only(&words(text), &made), tried, "{text}");
        }
    }
}
