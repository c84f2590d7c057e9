//! Many writers of few keys, whose rows come and go.

use crossfade::{Flags, Stage};

use crate::support::{Bench, delete, put};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_of_few_keys_leave_both_sides_equal() {
    crate::support::engines("few_keys", async |db, _| {
        let bench = Bench::new(db).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::Live).await;
        let writers = (0..8i64).map(|writer| {
            let migration = migration.clone();
            tokio::spawn(async move {
                for turn in 0..30i64 {
                    let id = (writer * 7 + turn * 3) % 5;
                    if (writer + turn) % 3 == 0 {
                        delete(&migration, id).await.expect("deleted");
                    } else {
                        put(&migration, id, &format!("{writer}/{turn}")).await.expect("written");
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic");
        }
        let legacy = bench.legacy().all().await.expect("Legacy");
        assert_eq!(legacy, bench.new_side().all().await.expect("New"));
    })
    .await;
}
