//! What refers to Legacy and New: foreign keys, views, routines, triggers, sequences.

use super::{Check, Dependent, DependentKind, Finding, SequenceUse, Severity, SideSurvey, Survey};
use crate::{Definition, Side, Stage};

/// The checks of this topic.
pub(super) const ALL: &[&Check] = &[
    &INBOUND_FOREIGN_KEY,
    &DEPENDENT_VIEW,
    &DEPENDENT_ROUTINE,
    &DEPENDENT_OBJECT,
    &NEW_CHILD,
    &LEGACY_TRIGGER,
    &NEW_TRIGGER,
    &SEQUENCE_BEHIND,
    &SEQUENCE_GOES_WITH_LEGACY,
];

/// A foreign key that points at Legacy.
static INBOUND_FOREIGN_KEY: Check = Check {
    id: "inbound-foreign-key",
    title: "foreign keys that point at Legacy",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "From `complete` on rows are written on New alone, so a child row that refers to a new key \
          is refused. Dropping Legacy then fails, or, on SQLite, empties or nulls the children.",
    remedy: "point the foreign key at New while the stage is `ramp_down`, when both sides have every \
             row",
};

/// A view that reads Legacy.
static DEPENDENT_VIEW: Check = Check {
    id: "dependent-view",
    title: "views that read Legacy",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "From `complete` on Legacy no longer changes, so the view shows old rows. Dropping Legacy \
          fails because of the view, or leaves a view that cannot be read.",
    remedy: "define the view over New before `complete`",
};

/// A routine, event or trigger of another table whose body names Legacy.
static DEPENDENT_ROUTINE: Check = Check {
    id: "dependent-routine",
    title: "routines, events and triggers of other tables whose text names Legacy",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "It reads or writes rows that no longer change from `complete` on, and fails once Legacy \
          is dropped. Where the database does not record what a body refers to, its text is \
          searched, and what is found there is a warning.",
    remedy: "rewrite it for New before `complete`, or accept it when it only mentions the name",
};

/// Another object that the catalog records as dependent on Legacy.
static DEPENDENT_OBJECT: Check = Check {
    id: "dependent-object",
    title: "other objects that depend on Legacy",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "Dropping Legacy fails because of it.",
    remedy: "lead it over to New before `complete`",
};

/// A foreign key that points at New.
static NEW_CHILD: Check = Check {
    id: "new-child",
    title: "foreign keys that point at New",
    severity: Severity::Warning,
    gate: Stage::DeleteOnly,
    why: "Stage `delete_only`, repairs and `--truncate-new` delete rows of New. Where children \
          refer to New, such a delete is refused or takes the children along.",
    remedy: "create the foreign key once the migration is `complete`, or keep its children empty \
             until then",
};

/// A trigger on Legacy that New lacks.
static LEGACY_TRIGGER: Check = Check {
    id: "legacy-trigger",
    title: "triggers on Legacy that New lacks",
    severity: Severity::ToAccept,
    gate: Stage::Complete,
    why: "From `complete` on Legacy is no longer written, so the trigger no longer fires.",
    remedy: "accept that it ends, and create its counterpart on New once the stage is `complete`",
};

/// A trigger on New that may change the row.
static NEW_TRIGGER: Check = Check {
    id: "new-trigger",
    title: "triggers on New that may change what is written",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "A trigger that changes a mapped column makes New differ from the mapping: verify finds \
          the row, a repair writes it, and the trigger changes it again.",
    remedy: "drop the trigger until `complete`, leave its column out of the mapping, or accept it \
             when it changes no mapped column",
};

/// A counter of New at or below the greatest key.
pub static SEQUENCE_BEHIND: Check = Check {
    id: "sequence-behind",
    title: "sequences, identities and counters of New at or below the greatest value",
    severity: Severity::Refused,
    gate: Stage::Complete,
    why: "Backfill writes keys without asking the sequence. Once the application inserts on New \
          without a key, the sequence gives one that exists, and the insert fails.",
    remedy: "advance it, or let `crossfade stage NAME complete --advance-sequences` do so",
};

/// A sequence that Legacy owns and others use.
static SEQUENCE_GOES_WITH_LEGACY: Check = Check {
    id: "sequence-goes-with-legacy",
    title: "sequences that Legacy owns and other tables use",
    severity: Severity::Refused,
    gate: Stage::Contracted,
    why: "Dropping Legacy drops the sequences that it owns. The drop fails, or takes the defaults \
          of the other tables along.",
    remedy: "make the other table its owner",
};

/// Everything that is found about dependents.
pub(super) fn find(definition: &Definition, survey: &Survey, found: &mut Vec<Finding>) {
    if let Some(legacy) = &survey.legacy {
        let whole = definition.legacy_columns.is_empty();
        for dependent in &legacy.dependents {
            found.push(of_legacy(survey, legacy, dependent, whole));
        }
        triggers(survey, legacy, found);
        for sequence in &legacy.sequences {
            found.extend(goes_with_legacy(legacy, sequence, whole));
        }
    }
    if let Some(new) = &survey.new {
        for dependent in &new.dependents {
            found.extend(of_new(new, dependent));
        }
        for trigger in new.triggers.iter().filter(|trigger| trigger.may_change_row) {
            let state = if trigger.enabled { "" } else { " (disabled)" };
            let message = format!(
                "trigger {} on New {} fires {}{state} and may change the row",
                trigger.name, new.table, trigger.when
            );
            found.push(NEW_TRIGGER.finds(&trigger.name, message));
        }
        found.extend(new.sequences.iter().filter_map(|sequence| behind(new, sequence)));
    }
}

fn of_legacy(survey: &Survey, legacy: &SideSurvey, dependent: &Dependent, whole: bool) -> Finding {
    let check = match dependent.kind {
        DependentKind::ForeignKey => &INBOUND_FOREIGN_KEY,
        DependentKind::View | DependentKind::MaterializedView => &DEPENDENT_VIEW,
        DependentKind::Routine | DependentKind::Trigger => &DEPENDENT_ROUTINE,
        DependentKind::Policy | DependentKind::Other => &DEPENDENT_OBJECT,
    };
    let verb = match dependent.kind {
        DependentKind::ForeignKey => "points at",
        DependentKind::Routine | DependentKind::Trigger => "names",
        _ => "depends on",
    };
    let of = dependent.on_table.as_ref().map_or(String::new(), |table| format!(" of {table}"));
    let deletes = match &dependent.on_delete {
        Some(action) => format!(" (on delete {action})"),
        None => String::new(),
    };
    let noun = dependent.kind.noun();
    let message = format!("{noun} {}{of} {verb} Legacy {}{deletes}", dependent.name, legacy.table);
    let mut finding = check.finds(&dependent.name, message);
    finding.statements.clone_from(&dependent.move_to_new);
    if !dependent.recorded {
        finding.severity = Severity::Warning;
    }
    let empties = dependent.kind == DependentKind::ForeignKey && survey.engine == "sqlite" && whole;
    if empties && dependent.on_delete.is_some() {
        finding.message.push_str("; dropping Legacy would act on every child row");
    }
    finding
}

fn of_new(new: &SideSurvey, dependent: &Dependent) -> Option<Finding> {
    if dependent.kind != DependentKind::ForeignKey {
        return None;
    }
    let deletes = match &dependent.on_delete {
        Some(action) => format!(" (on delete {action})"),
        None => String::new(),
    };
    let message = format!("foreign key {} points at New {}{deletes}", dependent.name, new.table);
    Some(NEW_CHILD.finds(&dependent.name, message))
}

/// Triggers are counterparts when they fire alike and bear the same name; what a body does cannot be
/// compared.
fn triggers(survey: &Survey, legacy: &SideSurvey, found: &mut Vec<Finding>) {
    let on_new: &[_] = survey.new.as_ref().map_or(&[], |new| &new.triggers);
    let lacks = |name: &str, when: &str| {
        !on_new.iter().any(|trigger| trigger.name == name && trigger.when == when)
    };
    for trigger in legacy.triggers.iter().filter(|trigger| lacks(&trigger.name, &trigger.when)) {
        let message = format!(
            "trigger {} on Legacy {} fires {}, and New has no trigger of that name",
            trigger.name, legacy.table, trigger.when
        );
        let finding = LEGACY_TRIGGER.finds(&trigger.name, message);
        found.push(if trigger.enabled {
            finding
        } else {
            finding.with_severity(Severity::Warning)
        });
    }
}

fn behind(new: &SideSurvey, sequence: &SequenceUse) -> Option<Finding> {
    let greatest = sequence.greatest?;
    let collides =
        if sequence.descending { sequence.next >= greatest } else { sequence.next <= greatest };
    collides.then(|| {
        let message = format!(
            "{} gives {} to {}.{} next, and its keys go up to {greatest}",
            sequence.sequence, sequence.next, new.table, sequence.column
        );
        SEQUENCE_BEHIND.finds(&sequence.sequence, message).with_statement(&sequence.advance)
    })
}

fn goes_with_legacy(legacy: &SideSurvey, sequence: &SequenceUse, whole: bool) -> Option<Finding> {
    if sequence.owned_by != Some(Side::Legacy) || sequence.shared_with.is_empty() || !whole {
        return None;
    }
    let message = format!(
        "sequence {} belongs to Legacy {} and gives {} its values",
        sequence.sequence,
        legacy.table,
        sequence.shared_with.join(", ")
    );
    let mut finding = SEQUENCE_GOES_WITH_LEGACY.finds(&sequence.sequence, message);
    finding.statements.extend(sequence.take_over.clone());
    Some(finding)
}
