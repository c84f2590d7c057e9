//! The rights on Legacy that MariaDB takes away before the table goes.

use crossfade::{Database, Engine};
use crossfade_store::SchemaStore;

use crate::support::{Bench, TestDatabase, definition};

/// Accounts of the whole server, with a name of the test's own in each.
struct Accounts<'a> {
    bench: &'a Bench,
    prefix: &'a str,
}

impl Accounts<'_> {
    /// Runs statements in which `P` stands for the prefix.
    async fn run(&self, statements: &[&str]) {
        for statement in statements {
            self.bench.sql(&self.named(statement)).await;
        }
    }

    fn named(&self, text: &str) -> String {
        text.replace("P_", &format!("{}_", self.prefix))
    }
}

/// Rights on the table, on a column, rights that may be granted on, those of a role and of names that
/// need quotes. Rights on the whole database stay, and nobody says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn rights_on_legacy_are_taken_from_everybody_else() {
    let test = TestDatabase::create(Engine::Mysql, "rights").await;
    let bench = Bench::new(test.open().await).await;
    let (_, schema) = test.url.rsplit_once('/').expect("a database");
    let accounts = Accounts { bench: &bench, prefix: schema };
    accounts
        .run(&[
            "create user P_a@'%', P_b@localhost, 'P_o''dd `x'@'10.%', P_all@'%'",
            "create role P_r",
            "grant select, insert on people to P_a@'%' with grant option",
            "grant select on people to P_b@localhost",
            "grant update (name) on people to P_b@localhost",
            "grant delete on people to 'P_o''dd `x'@'10.%'",
            "grant select on people to P_r",
            "grant select on people_v2 to P_a@'%'",
        ])
        .await;
    bench.sql(&accounts.named(&format!("grant all on {schema}.* to P_all@'%'"))).await;
    let expected = [
        "select, insert, grant on `people` from 'P_a'@'%'",
        "select, update on name on `people` from 'P_b'@'localhost'",
        "delete on `people` from 'P_o''dd `x'@'10.%'",
        "select on `people` from `P_r`",
    ]
    .map(|text| accounts.named(text));
    let listed = bench.db.legacy_grants(&definition()).await.expect("listed");
    assert_eq!(listed, expected);
    assert_eq!(bench.db.revoke_legacy(&definition()).await.expect("revoked"), expected);
    assert_eq!(bench.db.legacy_grants(&definition()).await.expect("listed"), Vec::<String>::new());
    let left: Vec<String> = sqlx::query_scalar(
        "select cast(table_name as char) from mysql.tables_priv where db = ? \
         union all select cast(table_name as char) from mysql.columns_priv where db = ?",
    )
    .bind(schema)
    .bind(schema)
    .fetch_all(bench.db.mysql().expect("MariaDB"))
    .await
    .expect("the server's tables");
    assert_eq!(left, ["people_v2"]);

    // Whoever may not see rights takes none, and is not held up by that.
    accounts.run(&["grant select on people to P_a@'%'"]).await;
    let (base, _) = test.url.rsplit_once('/').expect("a database");
    let (_, host) = base.rsplit_once('@').expect("a user");
    let url = accounts.named(&format!("mysql://P_all@{host}/{schema}"));
    let other = Database::connect(&url).await.expect("may connect");
    assert_eq!(other.revoke_legacy(&definition()).await.expect("asked"), Vec::<String>::new());
    let listed = bench.db.legacy_grants(&definition()).await.expect("listed");
    assert_eq!(listed, [accounts.named("select on `people` from 'P_a'@'%'")]);
    other.mysql().expect("MariaDB").close().await;
    accounts
        .run(&["drop user P_a@'%', P_b@localhost, 'P_o''dd `x'@'10.%', P_all@'%'", "drop role P_r"])
        .await;
    test.drop().await;
}
