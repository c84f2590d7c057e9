//! From a flip to the answer that shows it.

use std::{
    fs,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use crossfade::{
    Database,
    flags::{DatabaseSource, Flags},
};
use crossfade_store::{ControlStore, NewRuleSet, RuleSetStore};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::sync::mpsc;

use crate::Spread;

const FLAG: &str = "read_user_settings_v2";
const FLIPS: i64 = 1_000;
const CLIENTS: usize = 20;

/// A rule set as an operator has one: one flag on or off, and some more.
fn document(on: bool) -> String {
    let document = crate::document::flagd(20);
    let state = if on { "ENABLED" } else { "DISABLED" };
    document.replacen("ENABLED", state, 1)
}

/// A file that is renamed into place.
pub(crate) async fn file() {
    let folder = tempfile::tempdir().expect("a folder");
    let [path, draft] = ["flags.json", "draft"].map(|name| folder.path().join(name));
    fs::write(&path, document(true)).expect("written");
    let flags = Flags::from_file(&path).await.expect("read");
    let mut spread = Spread::new();
    for flip in 0..FLIPS {
        fs::write(&draft, document(flip % 2 == 1)).expect("written");
        let begun = Instant::now();
        fs::rename(&draft, &path).expect("renamed");
        flags.wait_for(flip + 2).await;
        spread.add(begun.elapsed());
    }
    spread.print("flip of a file to visible");
}

/// Versions stored in PostgreSQL, each seen by every client.
pub(crate) async fn postgres() {
    let url = std::env::var("CROSSFADE_TEST_POSTGRES_URL")
        .expect("run through `cargo xtask postgres -- cargo bench -p crossfade-benches`");
    let options = PgConnectOptions::from_str(&url).expect("a PostgreSQL URL");
    let open = async || {
        let pool = Database::postgres_pool_options().max_connections(2);
        let pool = pool.connect_lazy_with(options.clone());
        Database::open(pool).await.expect("the server answers")
    };
    let operator = open().await;
    operator.install().await.expect("control tables");
    store(&operator, 0).await;
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    for _ in 0..CLIENTS {
        let source = DatabaseSource::new(Arc::new(open().await));
        let flags = Flags::builder().source(source).start().await;
        assert_eq!(flags.status().version(), 1, "{:?}", flags.status());
        let seen = seen.clone();
        tokio::spawn(async move {
            for version in 2..FLIPS + 2 {
                flags.wait_for(version).await;
                if seen.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    }
    let [mut from_call, mut from_commit] = [Spread::new(), Spread::new()];
    for flip in 0..FLIPS {
        let begun = Instant::now();
        store(&operator, flip + 1).await;
        let committed = Instant::now();
        for _ in 0..CLIENTS {
            let arrival = arrivals.recv().await.expect("the clients live");
            from_call.add(arrival.saturating_duration_since(begun));
            from_commit.add(arrival.saturating_duration_since(committed));
        }
        // Flips come one by one, as operators make them.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    from_commit.print("flip in PostgreSQL, from its commit to visible, 20 clients");
    from_call.print("flip in PostgreSQL, from the call to visible, 20 clients");
}

/// What PostgreSQL takes by itself to tell as many listeners, from the commit on.
pub(crate) async fn notify_alone() {
    let url = std::env::var("CROSSFADE_TEST_POSTGRES_URL").expect("run as said above");
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    for _ in 0..CLIENTS {
        let mut listener = PgListener::connect(&url).await.expect("the server answers");
        listener.listen("alone").await.expect("it listens");
        let seen = seen.clone();
        tokio::spawn(async move {
            while listener.recv().await.is_ok() && seen.send(Instant::now()).is_ok() {}
        });
    }
    let mut operator = PgConnection::connect(&url).await.expect("the server answers");
    let mut spread = Spread::new();
    for _ in 0..FLIPS {
        let mut flip = operator.begin().await.expect("a transaction");
        sqlx::raw_sql("notify alone").execute(&mut *flip).await.expect("it notifies");
        flip.commit().await.expect("it commits");
        let committed = Instant::now();
        for _ in 0..CLIENTS {
            let arrival = arrivals.recv().await.expect("the listeners live");
            spread.add(arrival.saturating_duration_since(committed));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    spread.print("NOTIFY alone, from its commit to the listener, 20 listeners");
}

async fn store(database: &Database, based_on: i64) {
    let rule_set = NewRuleSet {
        based_on,
        document: &document(based_on % 2 == 0),
        action: "flag.set",
        flag: FLAG,
        author: "bench",
        reason: "",
    };
    database.append_rule_set(rule_set).await.expect("stored");
}
