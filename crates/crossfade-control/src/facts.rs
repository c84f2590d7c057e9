//! Gathering what a gate looks at.

use std::time::Duration;

use crossfade_core::check::findings;
use crossfade_core::{Approval, Facts, FlagFacts, FlagKey, MigrationState, Stage};
use crossfade_rules::RuleSet;
use crossfade_store::{Depth, RuleSetStore, StoreError, SurveyRequest};

use crate::Stores;

/// Rule sets asked for at first; the number doubles while the streak goes on.
const HISTORY: u32 = 32;

/// Everything the gate to `to` looks at.
pub(crate) async fn gather(
    stores: Stores<'_>,
    state: &MigrationState,
    to: Stage,
    approval: &Approval,
) -> Result<Facts, StoreError> {
    let mut facts = stores.control.facts(state).await?;
    facts.approval = approval.clone();
    // From `ramp_down` on no gate asks about the mapping, and Legacy may be gone.
    if to <= Stage::Live {
        facts.new_has_rows = stores.schema.new_has_rows(&state.definition).await?;
        if facts.new_has_rows.is_some() {
            let problems = stores.schema.definition_problems(&state.definition).await?;
            facts.mapping_problems = problems.iter().map(ToString::to_string).collect();
        }
    }
    let definition = &state.definition;
    let request = SurveyRequest { definition, expand: &[], depth: Depth::Catalog };
    facts.findings = findings(definition, &stores.catalog.survey(request).await?);
    let now_ms = stores.control.now_ms().await?;
    let enough = state.definition.gates.bake_time;
    facts.flag = flag_facts(stores.rules, &state.definition.read_flag, now_ms, enough).await?;
    Ok(facts)
}

/// What the database's rule sets say of a flag; `None` when the newest one does not define it.
///
/// History is read back as far as the flag stands at 100 % without a break, or for `enough`.
async fn flag_facts(
    rules: &dyn RuleSetStore,
    flag: &FlagKey,
    now_ms: i64,
    enough: Duration,
) -> Result<Option<FlagFacts>, StoreError> {
    let Some(newest) = rules.latest_rule_set().await? else { return Ok(None) };
    let percent = match RuleSet::parse(&newest.document) {
        Ok(set) if set.flag(flag.as_str()).is_none() => return Ok(None),
        Ok(set) => set.true_percent(flag.as_str()),
        // A set that does not parse was not swapped in anywhere; nobody can say what applies.
        Err(_) => None,
    };
    if percent.is_none_or(|percent| percent < 100.0) {
        return Ok(Some(FlagFacts { percent, full_for: None }));
    }
    let since = |created_ms: i64| {
        Duration::from_millis(u64::try_from(now_ms.saturating_sub(created_ms)).unwrap_or(0))
    };
    let mut limit = HISTORY;
    loop {
        let history = rules.rule_set_history(limit).await?;
        let streak = history.iter().take_while(|stored| is_full(&stored.document, flag)).count();
        // Somebody may have turned the flag down between the two reads; the streak is empty then.
        let oldest = streak.checked_sub(1).and_then(|last| history.get(last));
        let full_for = oldest.map(|stored| since(stored.created_ms));
        let all_seen = streak < history.len() || history.len() < limit as usize;
        if all_seen || full_for.is_some_and(|full_for| full_for >= enough) {
            return Ok(Some(FlagFacts { percent, full_for }));
        }
        limit = limit.saturating_mul(2);
    }
}

fn is_full(document: &str, flag: &FlagKey) -> bool {
    RuleSet::parse(document)
        .ok()
        .and_then(|set| set.true_percent(flag.as_str()))
        .is_some_and(|percent| percent >= 100.0)
}
