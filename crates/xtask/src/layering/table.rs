//! The architecture as data: one row per package of the workspace, and the rules on foreign crates.

/// What one package of the workspace may depend on.
#[derive(Debug)]
pub(super) struct Row {
    /// The package.
    pub(super) package: &'static str,
    /// Packages of the workspace that it may use, other than in its tests.
    pub(super) uses: Uses,
    /// What it may do besides computing.
    pub(super) kind: Kind,
}

/// The right-hand side of a [`Row`].
#[derive(Debug)]
pub(super) enum Uses {
    /// These and no others.
    Only(&'static [&'static str]),
    /// Every package but `xtask`.
    AllButXtask,
}

/// Libraries leave printing, arguments, environment and exit codes to programs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs inside an application that is not ours.
    Library,
    /// Owns its process.
    Program,
}

const fn library(package: &'static str, uses: &'static [&'static str]) -> Row {
    Row { package, uses: Uses::Only(uses), kind: Kind::Library }
}

const fn program(package: &'static str, uses: Uses) -> Row {
    Row { package, uses, kind: Kind::Program }
}

const STORE: &[&str] = &["crossfade-core", "crossfade-store"];
const STORE_AND_RULES: &[&str] = &["crossfade-core", "crossfade-rules", "crossfade-store"];

/// Every package of the workspace, lowest layer first.
///
/// Engines (`flags` to `sql`) know neither each other nor an adapter: the facade wires them.
pub(super) const ROWS: &[Row] = &[
    library("crossfade-core", &[]),
    library("crossfade-rules", &[]),
    library("crossfade-macros", &[]),
    library("crossfade-store", &["crossfade-core"]),
    library("crossfade-flags", STORE_AND_RULES),
    library("crossfade-dual", STORE),
    library("crossfade-reconcile", STORE),
    library("crossfade-control", STORE_AND_RULES),
    library("crossfade-schema", STORE),
    library("crossfade-sql", STORE),
    library(
        "crossfade",
        &[
            "crossfade-control",
            "crossfade-core",
            "crossfade-dual",
            "crossfade-flags",
            "crossfade-macros",
            "crossfade-reconcile",
            "crossfade-rules",
            "crossfade-schema",
            "crossfade-sql",
            "crossfade-store",
        ],
    ),
    // Its conformance suite plays what operators and jobs do beside an application: it moves
    // stages, backfills, repairs and reads a migration's folder, which the facade does not offer.
    library(
        "crossfade-testkit",
        &[
            "crossfade",
            "crossfade-core",
            "crossfade-reconcile",
            "crossfade-schema",
            "crossfade-store",
        ],
    ),
    program("crossfade-cli", Uses::AllButXtask),
    program("crossfade-soak", Uses::AllButXtask),
    program("crossfade-tests", Uses::AllButXtask),
    program("crossfade-examples", Uses::AllButXtask),
    program("crossfade-benches", Uses::AllButXtask),
    program("xtask", Uses::Only(&[])),
];

/// A rule on crates from outside the workspace. It holds for tests too, unless a package is named
/// in `in_tests`.
#[derive(Debug)]
pub(super) struct Foreign {
    /// The crates, by name.
    pub(super) crates: &'static [&'static str],
    /// Who may depend on them.
    pub(super) users: Users,
    /// Packages that may depend on them in their tests only.
    pub(super) in_tests: &'static [&'static str],
    /// The rule in words.
    pub(super) rule: &'static str,
}

/// Who may depend on a foreign crate.
#[derive(Debug)]
pub(super) enum Users {
    /// These packages and no others.
    Only(&'static [&'static str]),
    /// Every package but these.
    AllBut(&'static [&'static str]),
}

/// The rules on foreign crates.
pub(super) const FOREIGN: &[Foreign] = &[
    Foreign {
        crates: &["sqlx", "sqlx-core", "sqlx-mysql", "sqlx-postgres", "sqlx-sqlite"],
        users: Users::Only(&[
            "crossfade-sql",
            "crossfade-cli",
            "crossfade-soak",
            "crossfade-tests",
            "crossfade-examples",
            "crossfade-benches",
        ]),
        in_tests: &["crossfade", "crossfade-macros", "crossfade-testkit"],
        rule: "only `crossfade-sql` and the programs talk to a database",
    },
    Foreign {
        crates: &["clap", "indicatif"],
        users: Users::Only(&["crossfade-cli", "crossfade-soak"]),
        in_tests: &[],
        rule: "only the command lines have a terminal",
    },
    Foreign {
        crates: &["rand", "tokio"],
        users: Users::AllBut(&["crossfade-core", "crossfade-rules"]),
        in_tests: &[],
        rule: "`crossfade-core` and `crossfade-rules` are pure",
    },
];
