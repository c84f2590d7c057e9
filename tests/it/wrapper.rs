//! The wrapper that `#[crossfade::repository]` generates, on real databases.

use std::sync::Arc;

use async_trait::async_trait;
use crossfade::{
    Crossfade, Engine, Flags, InTransaction, Options, ReadError, Stage, Tx, WriteError,
};

use crate::support::{
    Bench, People, PeopleError, Side, TestDatabase, dropped_at_every_point, engines, eventually,
};

#[crossfade::repository(dual = DualNames)]
trait Names: Send + Sync {
    #[read(key = id, compare)]
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError>;

    #[write(key = id)]
    async fn put(&self, id: i64, name: &str) -> Result<u64, PeopleError>;

    #[delete(key = id)]
    async fn delete(&self, id: i64) -> Result<u64, PeopleError>;
}

impl InTransaction for People {
    fn within(&self, tx: Tx) -> Self {
        People::on(self.side(), tx)
    }
}

impl Names for People {
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError> {
        People::get(self, id).await
    }

    async fn put(&self, id: i64, name: &str) -> Result<u64, PeopleError> {
        People::put(self, id, name).await
    }

    async fn delete(&self, id: i64) -> Result<u64, PeopleError> {
        People::delete(self, id).await
    }
}

impl From<ReadError<Self>> for PeopleError {
    fn from(error: ReadError<Self>) -> Self {
        match error {
            ReadError::Legacy(error) | ReadError::New(error) => error,
            ReadError::Unleased(error) => Self::Store(error),
        }
    }
}

impl From<WriteError<Self>> for PeopleError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Store(error) | WriteError::CommitUnknown(error) => Self::Store(error),
            error => error.into_side().unwrap_or(Self::Told),
        }
    }
}

fn names(bench: &Bench, app: &Crossfade) -> DualNames<People, People> {
    let migration = app.migration("people").expect("registered");
    DualNames::new(migration, bench.legacy(), bench.new_side())
}

/// A stage, the sides that a write goes to, the side that answers with the flag on, and without,
/// and what a delete leaves of a row that both sides hold.
type Expected = (Stage, [bool; 2], [Side; 2], [bool; 2]);

const STAGES: [Expected; 7] = {
    use Side::{Legacy, New};
    [
        (Stage::Off, [true, false], [Legacy, Legacy], [false, true]),
        (Stage::DeleteOnly, [true, false], [Legacy, Legacy], [false, false]),
        (Stage::DualWrite, [true, true], [Legacy, Legacy], [false, false]),
        (Stage::Live, [true, true], [New, Legacy], [false, false]),
        (Stage::RampDown, [true, true], [New, New], [false, false]),
        (Stage::Complete, [false, true], [New, New], [true, false]),
        (Stage::Contracted, [false, true], [New, New], [true, false]),
    ]
};

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_has_its_sides() {
    engines("wrapper", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
        let app = bench.app(&flags).await;
        let names = names(&bench, &app);
        for (id, (stage, written, answers, left)) in (1i64..).zip(STAGES) {
            let state = bench.go(stage).await;
            eventually("the stage is known", async || *names.migration.state() == state).await;

            let put = {
                let names = names.clone();
                async move { names.put(id, "written").await }
            };
            assert_eq!(tokio::spawn(put).await.expect("no panic").expect("written"), 1, "{stage}");
            let [legacy, new] = written.map(|held| held.then_some("written"));
            bench.expect(id, legacy, new).await;

            bench.legacy().put(id, "on Legacy").await.expect("put");
            bench.new_side().put(id, "on New").await.expect("put");
            for (flag, side) in [true, false].into_iter().zip(answers) {
                flags.force_for("read_people_v2", id.to_string(), flag);
                let answer = names.get(id).await.expect("read");
                let expected = if side == Side::New { "on New" } else { "on Legacy" };
                assert_eq!(answer.as_deref(), Some(expected), "{stage}, the flag is {flag}");
            }

            assert_eq!(names.delete(id).await.expect("deleted"), 1, "{stage}");
            let legacy = left[0].then_some("on Legacy");
            bench.expect(id, legacy, left[1].then_some("on New")).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_refuses_is_on_neither_side() {
    engines("wrapper_refused", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let refused = names(&bench, &app).put(1, "bad").await;
        assert!(matches!(refused, Err(PeopleError::Database(_))), "{refused:?}");
        bench.expect(1, None, None).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_read_is_compared() {
    engines("wrapper_compared", async |db, _| {
        let bench = Bench::new(db).await;
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().shadow_sample(1.0))
            .build()
            .await
            .expect("starts");
        let names = names(&bench, &app);
        let state = bench.go(Stage::DualWrite).await;
        eventually("the stage is known", async || *names.migration.state() == state).await;
        names.put(1, "same").await.expect("written");
        bench.new_side().put(1, "another").await.expect("put");
        assert_eq!(names.get(1).await.expect("read").as_deref(), Some("same"));
        eventually("it is compared", async || names.migration.shadow_stats().compared == 1).await;
        assert_eq!(names.migration.shadow_stats().mismatched, 1);
    })
    .await;
}

async fn dropped(engine: Engine) {
    let test = TestDatabase::create(engine, "wrapper_dropped").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let narrow = match engine {
        Engine::Mysql | Engine::Postgres => Bench { db: test.open_narrow(1).await },
        Engine::Sqlite => bench.clone(),
    };
    let app = narrow.app(&Flags::forced::<&str, bool>([])).await;
    let names = names(&narrow, &app);
    dropped_at_every_point(&bench, async |id, name| names.put(id, name).await).await;
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_leaves_both_or_neither_on_postgres() {
    dropped(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_leaves_both_or_neither_on_mariadb() {
    dropped(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_leaves_both_or_neither_on_sqlite() {
    dropped(Engine::Sqlite).await;
}

/// The same pair behind `#[async_trait]`, which makes objects of it.
#[crossfade::repository]
#[async_trait]
trait Boxed: Send + Sync {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError>;

    #[write(key = id)]
    async fn put(&self, id: i64, name: String) -> Result<u64, PeopleError>;
}

#[async_trait]
impl Boxed for People {
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError> {
        People::get(self, id).await
    }

    async fn put(&self, id: i64, name: String) -> Result<u64, PeopleError> {
        People::put(self, id, &name).await
    }
}

/// And with the transaction as an argument.
#[crossfade::repository]
trait Lent: Send + Sync {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError>;

    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<u64, PeopleError>;
}

impl Lent for People {
    async fn get(&self, id: i64) -> Result<Option<String>, PeopleError> {
        People::get(self, id).await
    }

    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<u64, PeopleError> {
        self.put_on(tx, id, name).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_lent_transactions_write_both_sides() {
    engines("wrapper_shapes", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&Flags::forced([("read_people_v2", true)])).await;
        let migration = app.migration("people").expect("registered");
        let sides = || (bench.legacy(), bench.new_side());

        let (legacy, new) = sides();
        let boxed: Arc<dyn Boxed> = Arc::new(DualBoxed::new(migration.clone(), legacy, new));
        boxed.put(1, "boxed".to_owned()).await.expect("written");
        bench.expect(1, Some("boxed"), Some("boxed")).await;
        assert_eq!(boxed.get(1).await.expect("read").as_deref(), Some("boxed"));

        let (legacy, new) = sides();
        let lent = DualLent::new(migration, legacy, new);
        lent.put(2, "lent").await.expect("written");
        bench.expect(2, Some("lent"), Some("lent")).await;
        assert_eq!(lent.get(2).await.expect("read").as_deref(), Some("lent"));
        assert!(lent.put(2, "bad").await.is_err(), "New refuses it");
        bench.expect(2, Some("lent"), Some("lent")).await;
    })
    .await;
}
