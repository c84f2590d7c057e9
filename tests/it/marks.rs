//! What marks say of a method beyond its key, on real databases: its user, its operation's id, and
//! how it is compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossfade::{Crossfade, Flags, InTransaction, Once, OperationId, Options, Side, Stage, Tx};
use tokio::sync::Notify;

use crate::support::{Bench, People, PeopleError, WAIT, engines, eventually, put};

/// Payments, as far as their names: keyed by payment, faded by customer, booked once.
#[crossfade::repository]
trait Payments: Send + Sync {
    #[read(key = id, user = customer)]
    async fn payee(&self, customer: &str, id: i64) -> Result<Option<String>, PeopleError>;

    #[write(key = id, operation = request)]
    async fn book(
        &self,
        request: &OperationId,
        id: i64,
        payee: &str,
    ) -> Result<Once<u64>, PeopleError>;

    #[delete(key = id, operation = OperationId::from(request))]
    async fn cancel(&self, id: i64, request: u128) -> Result<(), PeopleError>;
}

impl Payments for People {
    async fn payee(&self, _: &str, id: i64) -> Result<Option<String>, PeopleError> {
        self.get(id).await
    }

    async fn book(&self, _: &OperationId, id: i64, payee: &str) -> Result<Once<u64>, PeopleError> {
        self.put(id, payee).await.map(Once::Applied)
    }

    async fn cancel(&self, id: i64, _: u128) -> Result<(), PeopleError> {
        self.delete(id).await.map(drop)
    }
}

async fn payments(bench: &Bench, app: &Crossfade, stage: Stage) -> DualPayments<People, People> {
    let migration = app.migration("people").expect("registered");
    let state = bench.go(stage).await;
    eventually("the stage is known", async || *migration.state() == state).await;
    DualPayments::new(migration, bench.legacy(), bench.new_side())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marks_user_picks_the_side() {
    engines("marks_user", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
        flags.force_for("read_people_v2", "ada", true);
        flags.force_for("read_people_v2", "2", true);
        let app = bench.app(&flags).await;
        let payments = payments(&bench, &app, Stage::Live).await;
        for id in [1, 2] {
            bench.legacy().put(id, "on Legacy").await.expect("put");
            bench.new_side().put(id, "on New").await.expect("put");
            for (customer, expected) in [("ada", "on New"), ("bob", "on Legacy")] {
                let payee = payments.payee(customer, id).await.expect("read");
                assert_eq!(payee.as_deref(), Some(expected), "{id} of {customer}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_operation_is_carried_out_once() {
    engines("marks_once", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let payments = payments(&bench, &app, Stage::Live).await;
        let request = OperationId::random();
        let first = payments.book(&request, 1, "Ada").await.expect("booked");
        assert_eq!(first, Once::Applied(1));
        let again = payments.book(&request, 1, "Eva").await.expect("asked");
        assert_eq!(again, Once::AlreadyApplied);
        bench.expect(1, Some("Ada"), Some("Ada")).await;
        payments.book(&request, 2, "Eva").await.expect_err("the id is another key's");
        bench.expect(2, None, None).await;

        payments.cancel(1, 7).await.expect("cancelled");
        bench.expect(1, None, None).await;
        let next = payments.book(&OperationId::random(), 1, "Eva").await.expect("booked");
        assert!(next.applied().is_some());
        payments.cancel(1, 7).await.expect("it was done before");
        bench.expect(1, Some("Eva"), Some("Eva")).await;
    })
    .await;
}

/// A side whose comparison waits, once Legacy is read, for what comes between.
#[derive(Clone)]
struct Halting {
    people: People,
    calls: Arc<AtomicU64>,
    read: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl InTransaction for Halting {
    fn within(&self, tx: Tx) -> Self {
        Self { people: self.people.within(tx), ..self.clone() }
    }
}

#[crossfade::repository]
trait Names: Send + Sync {
    #[read(key = id, compare)]
    async fn name(&self, id: i64) -> Result<Option<String>, PeopleError>;

    #[write(key = id)]
    async fn rename(&self, id: i64, name: &str) -> Result<u64, PeopleError>;
}

impl Names for Halting {
    async fn name(&self, id: i64) -> Result<Option<String>, PeopleError> {
        let name = self.people.get(id).await;
        // The caller's own read comes first, and waits for nobody.
        if self.people.side() == Side::Legacy && self.calls.fetch_add(1, Ordering::SeqCst) > 0 {
            self.read.notify_one();
            self.go_on.notified().await;
        }
        name
    }

    async fn rename(&self, id: i64, name: &str) -> Result<u64, PeopleError> {
        self.people.put(id, name).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_comparison_of_sides_in_a_transaction_is_of_one_snapshot() {
    engines("marks_snapshot", async |db, _| {
        let bench = Bench::new(db).await;
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().shadow_sample(1.0).shadow_timeout(WAIT))
            .build()
            .await
            .expect("starts");
        let migration = app.migration("people").expect("registered");
        let state = bench.go(Stage::DualWrite).await;
        eventually("the stage is known", async || *migration.state() == state).await;
        put(&migration, 1, "before").await.expect("written");
        let (read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let calls = Arc::new(AtomicU64::new(0));
        let side = |people| Halting {
            people,
            calls: Arc::clone(&calls),
            read: Arc::clone(&read),
            go_on: Arc::clone(&go_on),
        };
        let names = DualNames::new(migration, side(bench.legacy()), side(bench.new_side()));
        assert_eq!(names.name(1).await.expect("read").as_deref(), Some("before"));
        read.notified().await;
        names.rename(1, "between").await.expect("a snapshot holds no writer up");
        let stats = || names.migration.shadow_stats();
        eventually("compared", async || {
            // Again, for a second look at Legacy, which sides read one by one would take.
            go_on.notify_one();
            stats().compared == 1
        })
        .await;
        assert_eq!(stats().mismatched, 0, "{:?}", names.migration.mismatches());
        assert_eq!(calls.load(Ordering::SeqCst), 2, "Legacy is not read again");
    })
    .await;
}
