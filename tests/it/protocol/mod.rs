//! One story for each mechanism of the protocol, on the real databases: a deterministic
//! interleaving of two or three connections that ends well, and ends badly once that one mechanism
//! is taken out. `docs/protocol.md` lists the mechanisms; `tests/model` found the interleavings.

mod backfill;
mod gates;
mod process;
mod reads;
mod scene;
mod writes;

use crossfade::Engine;
use crossfade_sql::Mechanism;

use crate::support::{Bench, TestDatabase};
use scene::Scene;

/// How a story ended.
#[derive(Debug)]
enum Outcome {
    /// The protocol's promise held.
    Held,
    /// It did not; how.
    Broken(String),
}

/// Where a story is told.
const EVERYWHERE: &[Engine] = Engine::ALL;

/// Where two transactions can be under way at once. On SQLite `begin immediate` is the one writer,
/// which is lock of epoch, key and rows at once and cannot be taken out.
const POSTGRES: &[Engine] = &[Engine::Postgres];

/// Where rows are locked one by one, for stories that need no connection of their own.
const ROW_LOCKS: &[Engine] = &[Engine::Mysql, Engine::Postgres];

/// Tells a story on each engine: with every mechanism it must end well, without this one badly.
async fn told<S>(mechanism: Mechanism, engines: &[Engine], story: S)
where
    S: AsyncFn(&Scene) -> Outcome,
{
    for engine in engines {
        let whole = tell(*engine, None, &story).await;
        assert!(matches!(whole, Outcome::Held), "{engine}, nothing taken out: {whole:?}");
        let without = tell(*engine, Some(mechanism), &story).await;
        assert!(
            matches!(&without, Outcome::Broken(how) if !how.is_empty()),
            "{engine}, without {mechanism:?}: the story shows nothing"
        );
    }
}

async fn tell<S>(engine: Engine, without: Option<Mechanism>, story: &S) -> Outcome
where
    S: AsyncFn(&Scene) -> Outcome,
{
    let test = TestDatabase::create(engine, "story").await;
    let db = test.open().await;
    let db = match without {
        Some(mechanism) => db.without(mechanism),
        None => db,
    };
    let whole = Bench::new(test.open().await).await;
    let scene = Scene { bench: Bench { db }, whole, url: test.url.clone(), without };
    let outcome = story(&scene).await;
    drop(scene);
    test.drop().await;
    outcome
}
