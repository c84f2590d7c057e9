//! One handle for 64 tasks, beside a handle of an instance of its own for each.

use std::time::Instant;

use crossfade::{Db, Engine, Flags, Migration};

use crate::ground::{Failed, Ground, LEGACY, NEW, get, put_both};

pub(crate) const TASKS: usize = 64;
const ROUNDS: usize = 21;

/// For reads that cost nothing but the routing, and for reads of a row.
pub(crate) async fn one_handle() {
    let ground = Ground::prepare(Engine::Postgres).await;
    let flags = Flags::forced::<&str, bool>([]);
    let shared = ground.app(&flags).await;
    put_both(&shared, 1, "one").await.expect("written");
    let mut separate = Vec::new();
    for _ in 0..TASKS {
        separate.push(ground.app(&flags).await);
    }
    let shared = vec![shared; TASKS];
    in_turns("routing alone", &shared, &separate, |migration| async move {
        let side = || async { Ok::<_, Failed>(()) };
        for _ in 0..2_000 {
            migration.read(&1, &1, side, side).await.expect("read");
        }
    })
    .await;
    let db = Db::from(&ground.database);
    in_turns("reads of a row", &shared, &separate, |migration| {
        let db = db.clone();
        async move {
            for _ in 0..20 {
                let (legacy, new) = (|| get(&db, LEGACY, 1), || get(&db, NEW, 1));
                migration.read(&1, &1, legacy, new).await.expect("read");
            }
        }
    })
    .await;
}

/// The median ratio of rounds that alternate, so that both see the same machine.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn in_turns<F: Future<Output = ()> + Send + 'static>(
    what: &str,
    shared: &[Migration],
    separate: &[Migration],
    work: impl Fn(Migration) -> F,
) {
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let one = time(shared, &work).await;
        let many = time(separate, &work).await;
        ratios.push(many / one);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ROUNDS / 2];
    println!("{TASKS} tasks, {what}: one handle reaches {median:.3} of separate ones");
}

async fn time<F: Future<Output = ()> + Send + 'static>(
    migrations: &[Migration],
    work: &impl Fn(Migration) -> F,
) -> f64 {
    let begun = Instant::now();
    let tasks = migrations.iter().map(|migration| tokio::spawn(work(migration.clone())));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    begun.elapsed().as_secs_f64()
}
