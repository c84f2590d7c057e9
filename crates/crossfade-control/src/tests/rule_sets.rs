//! Replacements of the whole rule set.

use super::fake::{FLAG, Fake};
use crate::{
    Assignment, Replacement, RuleSetChange, RuleSetError, RuleSetPlan, RuleSetReplaced, Stores,
    plan_rule_set, replace_rule_set,
};
use crossfade_core::Stage;
use crossfade_rules::{FlagChange, FractionalVersion, RuleSet};

fn change(to: Replacement<'_>) -> RuleSetChange<'_> {
    RuleSetChange { to, assignment: Assignment::Keeps, actor: "a", reason: "r" }
}

async fn plan(fake: &Fake, to: Replacement<'_>) -> Result<RuleSetPlan, RuleSetError> {
    plan_rule_set(Stores::of(fake), change(to)).await
}

async fn replace(fake: &Fake, to: Replacement<'_>) -> Result<RuleSetReplaced, RuleSetError> {
    replace_rule_set(Stores::of(fake), change(to)).await
}

fn percent(fake: &Fake) -> Option<f64> {
    let document = fake.get().rule_sets.last().unwrap().document.clone();
    RuleSet::parse(&document).unwrap().true_percent(FLAG)
}

#[tokio::test]
async fn a_revert_is_a_higher_version_with_the_earlier_document() {
    let fake = Fake::at(Stage::Live);
    for share in [5.0, 25.0, 100.0] {
        fake.store_percent(share, 0);
    }
    let planned = plan(&fake, Replacement::Version(1)).await.unwrap();
    assert_eq!((planned.version, planned.changed, planned.fractional), (3, true, None));
    assert_eq!(planned.flags.len(), 1);
    assert_eq!(
        (planned.flags[0].key.as_str(), planned.flags[0].change),
        (FLAG, FlagChange::Changed)
    );
    assert_eq!(planned.flags[0].share.to_string(), "95 %");
    assert_eq!(fake.get().rule_sets.len(), 3, "a plan changes nothing");

    let replaced = replace(&fake, Replacement::Version(1)).await.unwrap();
    assert_eq!((replaced.version, replaced.plan), (4, planned));
    assert_eq!(percent(&fake), Some(5.0));
    assert_eq!(fake.actions(), ["flag.revert"]);

    let again = replace(&fake, Replacement::Version(1)).await.unwrap();
    assert_eq!((again.version, again.plan.changed), (4, false));
    assert_eq!(fake.get().rule_sets.len(), 4);
}

#[tokio::test]
async fn versions_that_are_none() {
    let fake = Fake::at(Stage::Live);
    let unknown = replace(&fake, Replacement::Version(1)).await.unwrap_err();
    assert!(matches!(unknown, RuleSetError::UnknownVersion { version: 1, newest: 0 }));
    fake.store_percent(5.0, 0);
    fake.get().push_rule_set("{ not json".to_owned(), 0);
    let unreadable = replace(&fake, Replacement::Version(2)).await.unwrap_err();
    assert!(matches!(unreadable, RuleSetError::Unreadable { version: 2, .. }), "{unreadable:?}");
}

/// What is compared with is what instances go on with: the last set that they could read.
#[tokio::test]
async fn a_rule_set_that_cannot_be_read_is_reverted() {
    let fake = Fake::at(Stage::Live);
    fake.store_percent(5.0, 0);
    fake.store_percent(25.0, 0);
    fake.get().push_rule_set("{ not json".to_owned(), 0);
    let replaced = replace(&fake, Replacement::Version(1)).await.unwrap();
    assert_eq!((replaced.version, percent(&fake)), (4, Some(5.0)));
    assert_eq!(replaced.plan.flags[0].share.to_string(), "20 %");
}

#[tokio::test]
async fn an_author_in_between_is_replaced_too() {
    let fake = Fake::at(Stage::Live);
    fake.store_percent(5.0, 0);
    fake.store_percent(25.0, 0);
    fake.get().conflicts = 2;
    let replaced = replace(&fake, Replacement::Version(1)).await.unwrap();
    assert_eq!((replaced.version, percent(&fake)), (5, Some(5.0)));
    let removed: Vec<_> = replaced.plan.flags.iter().map(|flag| flag.change).collect();
    assert_eq!(removed, [FlagChange::Changed, FlagChange::Removed, FlagChange::Removed]);

    fake.get().conflicts = u32::MAX;
    let busy = replace(&fake, Replacement::Version(2)).await;
    assert!(matches!(busy, Err(RuleSetError::Busy { tries: 10 })), "{busy:?}");
}

#[tokio::test]
async fn a_document_is_applied_unless_it_has_errors() {
    let fake = Fake::at(Stage::Live);
    let faulty = r#"{"flags": {"a": {"state": "ON", "variants": {}}, "b": 1}}"#;
    let refused = replace(&fake, Replacement::Document(faulty)).await;
    let Err(RuleSetError::Faulty { problems }) = refused else { panic!("{refused:?}") };
    assert_eq!(problems.len(), 2, "{problems:?}");
    let refused = replace(&fake, Replacement::Document("{")).await;
    assert!(matches!(refused, Err(RuleSetError::Faulty { .. })), "{refused:?}");
    assert!(fake.get().rule_sets.is_empty());

    let document = r#"{"flags": {"a": {"state": "ENABLED", "variants": {"on": true},
                       "defaultVariant": "on"}}}"#;
    let replaced = replace(&fake, Replacement::Document(document)).await.unwrap();
    assert_eq!((replaced.version, replaced.plan.flags.len()), (1, 1));
    assert_eq!(fake.get().rule_sets[0].document, document);
    assert_eq!(fake.actions(), ["flag.apply"]);
    let again = replace(&fake, Replacement::Document(document)).await.unwrap();
    assert_eq!((again.version, again.plan.changed), (1, false));
}

#[tokio::test]
async fn users_are_assigned_anew_only_when_that_is_accepted() {
    let fake = Fake::at(Stage::Live);
    fake.store_percent(25.0, 0);
    let old = fake.get().rule_sets[0].document.clone();
    let flags = old.find("\"flags\"").unwrap();
    let (head, rest) = old.split_at(flags);
    let next = format!("{head}\"metadata\": {{\"crossfade.fractional\": \"v3\"}}, {rest}");
    let to = Replacement::Document(&next);
    let refused = replace(&fake, to).await;
    let Err(RuleSetError::Refused { plan }) = refused else { panic!("{refused:?}") };
    assert_eq!(plan.fractional.unwrap().to, FractionalVersion::V3);
    assert!(plan.refusals[0].hint.contains("--accept-fractional-change"), "{plan:?}");
    assert_eq!(fake.get().rule_sets.len(), 1);

    let accepted = RuleSetChange { assignment: Assignment::MayChange, ..change(to) };
    let replaced = replace_rule_set(Stores::of(&fake), accepted).await.unwrap();
    assert_eq!((replaced.version, replaced.plan.refusals.len()), (2, 0));
    let back = replace(&fake, Replacement::Version(1)).await;
    assert!(matches!(back, Err(RuleSetError::Refused { .. })), "{back:?}");
}

#[tokio::test]
async fn a_read_flag_stays_one_that_can_be_turned_off() {
    let fake = Fake::at(Stage::Live);
    for variants in [r#"{"a": "text", "b": "more"}"#, r#"{"a": true}"#] {
        let flag =
            format!(r#"{{"state": "ENABLED", "variants": {variants}, "defaultVariant": "a"}}"#);
        let unfit = format!(r#"{{"flags": {{"{FLAG}": {flag}}}}}"#);
        let refused = replace(&fake, Replacement::Document(&unfit)).await;
        let Err(RuleSetError::Refused { plan }) = refused else { panic!("{refused:?}") };
        assert!(plan.refusals[0].reason.contains(FLAG), "{plan:?}");
        let another = format!(r#"{{"flags": {{"another": {flag}}}}}"#);
        replace(&fake, Replacement::Document(&another)).await.unwrap();
    }
    assert_eq!(fake.get().rule_sets.len(), 2);
}
