//! The answer to a commit is lost: the pair is whole, nobody is told otherwise, and a write with an
//! operation id finds out what became of it.

use std::sync::atomic::{AtomicU32, Ordering};

use crossfade::{
    Engine, Flags, Known, Migration, Once, OperationId, Stage, TransactionError, WriteError,
};
use crossfade_testkit::Fault;
use sqlx::postgres::PgConnection;

use crate::support::{Far, People, PeopleError, put};

/// How a commit is spelled on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Mariadb,
    /// PostgreSQL, every statement seen to go well.
    Plain,
    /// PostgreSQL, after statements that nobody could watch.
    Asking,
}

impl Spelling {
    const fn engine(self) -> Engine {
        match self {
            Self::Mariadb => Engine::Mysql,
            Self::Plain | Self::Asking => Engine::Postgres,
        }
    }

    /// What stands in no other request.
    const fn text(self) -> &'static str {
        match self {
            Self::Mariadb => "call crossfade_commit",
            Self::Plain => "commit",
            Self::Asking => "commit and chain",
        }
    }

    /// What stands where a write begins with an operation id, and in no other request.
    const fn records(self) -> &'static str {
        match self {
            Self::Mariadb => "insert into crossfade_operations",
            Self::Plain | Self::Asking => "crossfade_enter_once",
        }
    }

    /// Leaves the connection in the state in which the commit is spelled so.
    fn prepare(self, tx: &mut crossfade::Tx) -> Result<(), PeopleError> {
        if self == Self::Asking {
            let mut seen = tx.postgres()?;
            let _: &mut PgConnection = &mut seen;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operation_the_outcome_stays_unknown() {
    for spelling in [Spelling::Mariadb, Spelling::Plain, Spelling::Asking] {
        let far = Far::new(spelling.engine(), Stage::Live).await;
        let migration = far.app.migration("people").expect("registered");
        for (id, fault) in [(1i64, Fault::LoseReply), (2, Fault::LoseRequest)] {
            let armed = far.proxy.arm(spelling.text(), fault);
            let before = far.proxy.connections();
            let written = migration
                .write(
                    &id,
                    |tx| async move { People::legacy(tx).put(id, "lost?").await },
                    |mut tx| async move {
                        spelling.prepare(&mut tx)?;
                        People::new(tx).put(id, "lost?").await
                    },
                )
                .await;
            assert!(armed.has_struck(), "{spelling:?}, {fault:?}");
            let error = written.expect_err("nobody knows");
            assert!(matches!(error, WriteError::CommitUnknown(_)), "{spelling:?}: {error:?}");
            assert_eq!(error.known(), Known::BothOrNeither);
            far.expect_closed(before).await;
            match fault {
                Fault::LoseReply => far.bench.expect_through(id, "lost?").await,
                _ => far.bench.expect(id, None, None).await,
            }
            put(&migration, id, "well").await.expect("the next one is well");
            far.bench.expect(id, Some("well"), Some("well")).await;
        }
        drop(far.app);
        far.test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_transaction_says_the_same() {
    for spelling in [Spelling::Mariadb, Spelling::Plain, Spelling::Asking] {
        let far = Far::new(spelling.engine(), Stage::Live).await;
        let migration = far.app.migration("people").expect("registered");
        for (id, fault) in [(1i64, Fault::LoseReply), (2, Fault::LoseRequest)] {
            let mut transaction = far.app.begin().await.expect("begins");
            migration
                .write_in(
                    &mut transaction,
                    &id,
                    |tx| async move { People::legacy(tx).put(id, "lost?").await },
                    |mut tx| async move {
                        spelling.prepare(&mut tx)?;
                        People::new(tx).put(id, "lost?").await
                    },
                )
                .await
                .expect("written");
            let armed = far.proxy.arm(spelling.text(), fault);
            let before = far.proxy.connections();
            let committed = transaction.commit().await;
            assert!(armed.has_struck(), "{spelling:?}, {fault:?}");
            let error = committed.expect_err("nobody knows");
            assert!(matches!(error, TransactionError::CommitUnknown(_)), "{error:?}");
            far.expect_closed(before).await;
            match fault {
                Fault::LoseReply => far.bench.expect_through(id, "lost?").await,
                _ => far.bench.expect(id, None, None).await,
            }
        }
        drop(far.app);
        far.test.drop().await;
    }
}

/// In each stage, whichever side answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_finds_out_and_is_carried_out_once() {
    for spelling in [Spelling::Mariadb, Spelling::Plain, Spelling::Asking] {
        for stage in [Stage::DualWrite, Stage::Live, Stage::RampDown] {
            let far = Far::new(spelling.engine(), stage).await;
            let migration = far.app.migration("people").expect("registered");
            for (id, fault, runs) in [(1i64, Fault::LoseReply, 1), (2, Fault::LoseRequest, 2)] {
                let operation = OperationId::random();
                let ran = AtomicU32::new(0);
                let armed = far.proxy.arm(spelling.text(), fault);
                let write = async || {
                    migration
                        .write_once(
                            &operation,
                            &id,
                            |tx| async move { People::legacy(tx).put(id, "once").await },
                            |mut tx| {
                                let run = ran.fetch_add(1, Ordering::Relaxed) + 1;
                                async move {
                                    spelling.prepare(&mut tx)?;
                                    People::new(tx).put(id, "once").await?;
                                    Ok::<_, PeopleError>(u64::from(run))
                                }
                            },
                        )
                        .await
                };
                let answer = write().await.expect("it asks");
                assert!(armed.has_struck(), "{spelling:?}, {fault:?}");
                assert!(matches!(answer, Once::Applied(_)), "{spelling:?}, {fault:?}: {answer:?}");
                assert_eq!(ran.load(Ordering::Relaxed), runs, "{spelling:?}, {stage}, {fault:?}");
                far.bench.expect(id, Some("once"), Some("once")).await;
                assert_eq!(write().await.expect("asks"), Once::AlreadyApplied);
                assert_eq!(ran.load(Ordering::Relaxed), runs);
            }
            drop(far.app);
            far.test.drop().await;
        }
    }
}

/// Each increment counts once, whatever becomes of its commit's request or answer.
#[tokio::test(flavor = "multi_thread")]
async fn increments_are_exact() {
    for spelling in [Spelling::Mariadb, Spelling::Plain] {
        let far = Far::new(spelling.engine(), Stage::Live).await;
        let migration = far.app.migration("people").expect("registered");
        put(&migration, 1, "0").await.expect("written");
        let faults =
            [Some(Fault::LoseReply), None, Some(Fault::LoseRequest), Some(Fault::LoseReply)];
        for fault in faults {
            let armed = fault.map(|fault| far.proxy.arm(spelling.text(), fault));
            let done = migration
                .modify_once(
                    &OperationId::random(),
                    &1i64,
                    |side, tx| async move {
                        let text = People::on(side, tx).get(1).await?.unwrap_or_default();
                        text.parse::<u32>().map_err(|_| PeopleError::Told)
                    },
                    |count| Ok(count + 1),
                    |side, tx, count: u32| async move {
                        People::on(side, tx).put(1, &count.to_string()).await
                    },
                )
                .await;
            assert!(matches!(done, Ok(Once::Applied(_))), "{spelling:?}, {fault:?}: {done:?}");
            assert!(armed.is_none_or(|armed| armed.has_struck()));
        }
        far.bench.expect(1, Some("4"), Some("4")).await;
        drop(far.app);
        far.test.drop().await;
    }
}

/// When nobody answers any more the outcome stays unknown, and a later call with the same id, here
/// of another process and in another stage, finds out.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_could_not_ask_is_safe_to_repeat() {
    for spelling in [Spelling::Mariadb, Spelling::Plain] {
        for (fault, again) in
            [(Fault::LoseReply, Once::AlreadyApplied), (Fault::LoseRequest, Once::Applied(1))]
        {
            let far = Far::new(spelling.engine(), Stage::DualWrite).await;
            let migration = far.app.migration("people").expect("registered");
            let operation = OperationId::random();
            far.proxy.arm(spelling.text(), fault);
            let write = async |migration: &Migration| {
                migration
                    .write_once(
                        &operation,
                        &1i64,
                        |tx| async move { People::legacy(tx).put(1, "once").await.map(|_| 1) },
                        |tx| {
                            // From here on nothing gets through that begins with the id.
                            for _ in 0..20 {
                                far.proxy.arm(spelling.records(), Fault::LoseRequest);
                            }
                            async move { People::new(tx).put(1, "once").await.map(|_| 1) }
                        },
                    )
                    .await
            };
            let error = write(&migration).await.expect_err("it cannot ask");
            assert!(matches!(error, WriteError::CommitUnknown(_)), "{error:?}");
            assert_eq!(error.known(), Known::BothOrNeither);
            far.bench.go(Stage::Live).await;
            let other = far.bench.app(&Flags::forced::<&str, bool>([])).await;
            let other = other.migration("people").expect("registered");
            assert_eq!(write(&other).await.expect("it asks"), again, "{spelling:?}, {fault:?}");
            far.bench.expect(1, Some("once"), Some("once")).await;
            drop(far.app);
            far.test.drop().await;
        }
    }
}

/// The try that begins after a lost request proves that nothing was committed, so what it meets is
/// told as it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_doubt_is_told_as_it_is() {
    for spelling in [Spelling::Mariadb, Spelling::Plain] {
        let far = Far::new(spelling.engine(), Stage::Live).await;
        let migration = far.app.migration("people").expect("registered");
        far.proxy.arm(spelling.text(), Fault::LoseRequest);
        let ran = AtomicU32::new(0);
        let failed = migration
            .write_once(
                &OperationId::random(),
                &1i64,
                |tx| async move { People::legacy(tx).put(1, "half").await },
                |tx| {
                    let first = ran.fetch_add(1, Ordering::Relaxed) == 0;
                    async move {
                        match first {
                            true => People::new(tx).put(1, "half").await,
                            false => Err(PeopleError::Told),
                        }
                    }
                },
            )
            .await;
        let error = failed.expect_err("the second try is told to fail");
        assert!(matches!(error, WriteError::New(PeopleError::Told)), "{spelling:?}: {error:?}");
        assert_eq!(error.known(), Known::NothingWritten);
        assert_eq!(ran.load(Ordering::Relaxed), 2);
        far.bench.expect(1, None, None).await;
        drop(far.app);
        far.test.drop().await;
    }
}
