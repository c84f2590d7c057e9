//! What surrounds the tables: rights, policies, publications, inheritance, storage.

use super::{Check, Finding, Grant, Severity, SideSurvey, Survey};
use crate::{Definition, Stage};

/// The checks of this topic.
pub(super) const ALL: &[&Check] = &[
    &MISSING_GRANT,
    &MISSING_POLICY,
    &NOT_PUBLISHED,
    &REPLICA_IDENTITY,
    &INHERITANCE,
    &UNLOGGED,
    &REWRITE_RULE,
    &NO_DEFAULT_PARTITION,
];

/// A right on Legacy that New lacks.
static MISSING_GRANT: Check = Check {
    id: "missing-grant",
    title: "rights on Legacy that New lacks",
    severity: Severity::Warning,
    gate: Stage::Live,
    why: "A role that reads or writes Legacy directly is refused on New. `contract` takes the rights on \
          Legacy away.",
    remedy: "grant them on New",
};

/// Row-level security on Legacy that New lacks.
static MISSING_POLICY: Check = Check {
    id: "missing-policy",
    title: "row-level security on Legacy that New lacks",
    severity: Severity::ToAccept,
    gate: Stage::Live,
    why: "Rows that a policy hides on Legacy are shown to every reader of New.",
    remedy: "enable row-level security on New and create its policies",
};

/// A publication that has Legacy and lacks New.
static NOT_PUBLISHED: Check = Check {
    id: "not-published",
    title: "publications of Legacy that lack New",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "From `complete` on Legacy no longer changes, so its subscribers receive no further change.",
    remedy: "add New to the publication, and refresh the subscriptions",
};

/// New cannot be updated for lack of a replica identity.
static REPLICA_IDENTITY: Check = Check {
    id: "replica-identity",
    title: "New without a replica identity although its updates are published",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "PostgreSQL refuses every update and delete on New.",
    remedy: "give New a primary key or a replica identity",
};

/// Tables that inherit.
static INHERITANCE: Check = Check {
    id: "inheritance",
    title: "tables that inherit from Legacy or New, or that these inherit from",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "Rows of a child are seen through its parent, and no index makes keys unique across both. \
          Backfill would take them for Legacy's own, and a repair could not write them.",
    remedy: "detach the child (`alter table … no inherit …`) or move its rows first",
};

/// New loses its rows in a crash.
static UNLOGGED: Check = Check {
    id: "unlogged",
    title: "New unlogged where Legacy is logged",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "A crash of the server empties an unlogged table, and replicas never have its rows.",
    remedy: "set New logged",
};

/// Rewrite rules.
static REWRITE_RULE: Check = Check {
    id: "rewrite-rule",
    title: "rewrite rules on Legacy or New",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "A rule changes what a statement does, so what is written need not be what is stored.",
    remedy: "replace the rule by a trigger or drop it",
};

/// A partitioned New that may have no place for a row.
static NO_DEFAULT_PARTITION: Check = Check {
    id: "no-default-partition",
    title: "New partitioned without a default partition",
    severity: Severity::Warning,
    gate: Stage::DeleteOnly,
    why: "A row that no partition takes is refused and goes to quarantine.",
    remedy: "create partitions for every row, or a default partition; `crossfade validate` counts \
             the rows without one",
};

/// Everything that is found about the surroundings.
pub(super) fn find(_: &Definition, survey: &Survey, found: &mut Vec<Finding>) {
    for (title, side) in [("Legacy", &survey.legacy), ("New", &survey.new)] {
        if let Some(side) = side {
            inheritance(title, side, found);
            for rule in &side.rules {
                let message = format!("rule {rule} rewrites statements on {title} {}", side.table);
                found.push(REWRITE_RULE.finds(rule, message));
            }
        }
    }
    let Some(new) = &survey.new else { return };
    if new.lacks_replica_identity {
        let message = format!(
            "New {} has no replica identity and its updates are published, so each is refused",
            new.table
        );
        let primary = format!("alter table {} replica identity full", new.table);
        found.push(REPLICA_IDENTITY.finds(&new.table, message).with_statement(primary));
    }
    if new.partitions_without_default {
        let message = format!("New {} has no default partition", new.table);
        found.push(NO_DEFAULT_PARTITION.finds(&new.table, message));
    }
    let Some(legacy) = &survey.legacy else { return };
    if new.unlogged && !legacy.unlogged {
        let message = format!("New {} is unlogged", new.table);
        let logged = format!("alter table {} set logged", new.table);
        found.push(UNLOGGED.finds(&new.table, message).with_statement(logged));
    }
    grants(legacy, new, found);
    policies(legacy, new, found);
    for publication in &legacy.publications {
        let published = new.publications.iter().any(|other| other.name == publication.name);
        if !published && !publication.all_tables {
            let name = &publication.name;
            let message = format!(
                "publication {name} publishes Legacy {} and not New {}",
                legacy.table, new.table
            );
            let add = format!("alter publication {name} add table {}", new.table);
            found.push(NOT_PUBLISHED.finds(name, message).with_statement(add));
        }
    }
}

fn inheritance(title: &str, side: &SideSurvey, found: &mut Vec<Finding>) {
    for heir in &side.heirs {
        let message = format!("table {heir} inherits from {title} {}", side.table);
        found.push(INHERITANCE.finds(heir, message));
    }
    for ancestor in &side.ancestors {
        let message = format!("{title} {} inherits from table {ancestor}", side.table);
        found.push(INHERITANCE.finds(ancestor, message));
    }
}

/// One finding for each role.
fn grants(legacy: &SideSurvey, new: &SideSurvey, found: &mut Vec<Finding>) {
    let mut lacking: Vec<&Grant> = legacy
        .grants
        .iter()
        .filter(|grant| grant.grantee != new.owner && !new.grants.contains(grant))
        .collect();
    lacking.sort();
    for of_one in lacking.chunk_by(|one, other| one.grantee == other.grantee) {
        let grantee = &of_one[0].grantee;
        let rights: Vec<&str> = of_one.iter().map(|grant| grant.right.as_str()).collect();
        let rights = rights.join(", ");
        let message = format!(
            "{grantee} has {rights} on Legacy {} and not on New {}",
            legacy.table, new.table
        );
        let statement = format!("grant {rights} on {} to {grantee}", new.table);
        found.push(MISSING_GRANT.finds(grantee, message).with_statement(statement));
    }
}

fn policies(legacy: &SideSurvey, new: &SideSurvey, found: &mut Vec<Finding>) {
    if legacy.row_security && !new.row_security {
        let message = format!(
            "Legacy {} has row-level security ({}) and New {} has none",
            legacy.table,
            match &legacy.policies[..] {
                [] => "without a policy".to_owned(),
                policies => format!("policies {}", policies.join(", ")),
            },
            new.table
        );
        let enable = format!("alter table {} enable row level security", new.table);
        found.push(MISSING_POLICY.finds(&legacy.table, message).with_statement(enable));
    }
}
