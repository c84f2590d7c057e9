//! Running the `crossfade` binary in a folder of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crossfade::Engine;
use serde_json::Value;
use tempfile::TempDir;

use super::TestDatabase;

/// A project folder and a database, as an operator has them.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    pub(crate) database: TestDatabase,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary beside the test's own.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/it");
    let binary = folder.join(format!("crossfade{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "{} is missing; run `cargo xtask test`", binary.display());
    binary
}

impl Project {
    pub(crate) async fn create(engine: Engine, test: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { folder, database: TestDatabase::create(engine, test).await }
    }

    /// A project with the migration `people`, its Legacy table filled by `rows` (an SQL script).
    pub(crate) async fn with_people(engine: Engine, test: &str, rows: &str) -> Self {
        let project = Self::create(engine, test).await;
        project.sql("create table people (id bigint primary key, name text not null)").await;
        if !rows.is_empty() {
            project.sql(rows).await;
        }
        project.ok(&["init"]);
        project.write_people();
        project
    }

    /// The files of the migration `people`.
    pub(crate) fn write_people(&self) {
        self.write(
            "migrations/people/migration.toml",
            "name = \"people\"\nread_flag = \"read_people_v2\"\n\
             [legacy]\ntable = \"people\"\nkey = [\"id\"]\n\
             [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n\
             [gates]\nbake_time = \"0s\"\nquiet_time = \"0s\"\n",
        );
        self.write(
            "migrations/people/expand.sql",
            "create table people_v2 (\n    person_id bigint primary key,\n    \
             name text not null,\n    check (name <> 'bad')\n);\n",
        );
        self.write(
            "migrations/people/mapping.sql",
            "select id as person_id, name from people where name <> 'hidden'\n",
        );
        self.write("migrations/people/contract.sql", "drop table people;\n");
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    /// Runs SQL outside Crossfade.
    pub(crate) async fn sql(&self, sql: &str) {
        let database = self.database.open().await;
        super::Bench { db: database }.sql(sql).await;
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("CROSSFADE_DATABASE_URL")
            .env("DATABASE_URL", &self.database.url)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args).output().expect("the binary starts"))
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Answer {
        self.run(args).expect(0)
    }

    /// Runs a command with `--json` that must end with `code`, and returns its object.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], code: i32) -> Value {
        let answer = self.run(&[args, &["--json"]].concat()).expect(code);
        let text = if answer.stdout.trim().is_empty() { &answer.stderr } else { &answer.stdout };
        let last = text.trim().lines().last().unwrap_or_default();
        serde_json::from_str(text.trim())
            .or_else(|_| serde_json::from_str(last))
            .unwrap_or_else(|error| panic!("{error} in {answer:?}"))
    }

    /// The stage, as `crossfade status` tells it.
    #[track_caller]
    pub(crate) fn stage(&self) -> String {
        let status = self.json(&["status", "people"], 0);
        status["stage"].as_str().unwrap_or_else(|| panic!("no stage in {status}")).to_owned()
    }

    pub(crate) async fn drop(self) {
        self.database.drop().await;
    }
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that the answer says each of `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let text = format!("{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in:\n{text}");
        }
        self
    }
}
