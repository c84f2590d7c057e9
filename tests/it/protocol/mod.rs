//! One story for each mechanism of the protocol, on the real databases: a deterministic
//! interleaving of two or three connections that ends well, and ends badly once that one mechanism
//! is taken out. `docs/protocol.md` lists the mechanisms; `tests/model` found the interleavings.

mod backfill;
mod gates;
mod process;
mod races;
mod reads;
mod scene;
mod table;
mod writes;

use crossfade::Engine;
use crossfade_sql::Mechanism;

use crate::support::{Bench, TestDatabase};
use scene::Scene;
use table::engines;

/// How a story ended.
#[derive(Debug)]
enum Outcome {
    /// The protocol's promise held.
    Held,
    /// It did not; how.
    Broken(String),
    /// Somebody gave up waiting before the story was told, on a machine that is busy.
    Late,
}

/// How often a story is begun that comes too late.
const TRIES: u32 = 10;

/// Tells a story on each engine that [`table`] names for it: with every mechanism it must end well,
/// without this one badly.
async fn told<S>(name: &str, mechanism: Mechanism, story: S)
where
    S: AsyncFn(&Scene) -> Outcome,
{
    for engine in engines(name) {
        let whole = tell(engine, None, &story).await;
        assert!(matches!(whole, Outcome::Held), "{engine}, nothing taken out: {whole:?}");
        let without = tell(engine, Some(mechanism), &story).await;
        assert!(
            matches!(&without, Outcome::Broken(how) if !how.is_empty()),
            "{engine}, without {mechanism:?}: the story shows nothing"
        );
    }
}

/// Tells a story in a database of its own, and in another one when it was late.
async fn tell<S>(engine: Engine, without: Option<Mechanism>, story: &S) -> Outcome
where
    S: AsyncFn(&Scene) -> Outcome,
{
    for _ in 0..TRIES {
        match tell_once(engine, without, story).await {
            Outcome::Late => {}
            outcome => return outcome,
        }
    }
    Outcome::Late
}

async fn tell_once<S>(engine: Engine, without: Option<Mechanism>, story: &S) -> Outcome
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
