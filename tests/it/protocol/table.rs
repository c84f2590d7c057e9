//! Which story is told on which engine, and why not on the others.

use std::collections::BTreeSet;

use crossfade::Engine;

/// A story, by the name of its test.
struct Story {
    name: &'static str,
    /// Engines it is not told on, each with the reason.
    left_out: &'static [(Engine, &'static str)],
}

const STORIES: &[Story] = &[
    // writes.rs
    everywhere("a_zombie_is_turned_away"),
    row_locks("the_epoch_is_read_behind_its_lock"),
    row_locks("a_late_writer_does_not_queue"),
    row_locks("writers_of_an_absent_key_are_ordered"),
    row_locks("an_epoch_closes_behind_its_writers"),
    but_for(
        "a_late_closer_does_not_move_the_fence",
        &[(Engine::Mysql, FENCE_IS_THE_ROW), (Engine::Sqlite, FENCE_IS_THE_ROW)],
    ),
    but_for("no_more_than_two_epochs_are_open", &[(Engine::Postgres, FENCE_IS_ADJACENT)]),
    everywhere("delete_only_takes_rows_away"),
    everywhere("a_refused_row_leaves_its_mark"),
    everywhere("marks_outlive_the_stage"),
    // races.rs
    row_locks("changes_of_a_key_are_ordered"),
    row_locks("a_mark_is_not_released_by_an_older_write"),
    row_locks("one_order_of_locks_does_not_deadlock"),
    but_for(
        "a_writer_never_upgrades_a_read",
        &[(Engine::Mysql, NO_UPGRADE), (Engine::Postgres, NO_UPGRADE)],
    ),
    // reads.rs
    everywhere("a_marked_key_is_read_from_legacy"),
    everywhere("new_is_read_behind_the_last_writer_of_dual_write"),
    but_for(
        "marks_are_looked_up_behind_the_stage",
        &[(Engine::Mysql, TABLE_OF_THE_FENCE), (Engine::Sqlite, NO_TABLE_LOCKS)],
    ),
    everywhere("in_ramp_down_new_is_the_base"),
    everywhere("ramp_down_reads_new"),
    everywhere("from_live_on_it_is_both_or_neither"),
    everywhere("a_lease_counts_again_once_the_stage_was_looked_up"),
    but_for("the_stage_is_looked_up_behind_the_heartbeat", &[(Engine::Sqlite, HEARTBEAT_WRITES)]),
    everywhere("an_epoch_is_acknowledged_behind_the_reads_of_the_one_before"),
    everywhere("a_read_is_judged_by_the_lease_it_ended_with"),
    // gates.rs
    everywhere("delete_only_is_not_skipped"),
    everywhere("delete_only_begins_with_an_empty_new"),
    everywhere("live_begins_with_parity"),
    everywhere("live_begins_without_marks"),
    everywhere("live_has_no_step_back"),
    everywhere("complete_waits_for_every_live_instance"),
    // backfill.rs
    everywhere("a_run_begins_behind_the_barrier"),
    everywhere("nothing_is_copied_before_dual_write"),
    everywhere("a_cursor_never_moves_back"),
    row_locks("a_batch_holds_its_epoch_open"),
    everywhere("a_repair_enters_its_epoch"),
    everywhere("a_repair_takes_legacy_for_the_source_up_to_live"),
    but_for(
        "a_repair_holds_the_lock_of_its_key",
        &[(Engine::Mysql, SOURCE_IS_WAITED_FOR), (Engine::Sqlite, ONE_WRITER)],
    ),
    everywhere("new_is_emptied_in_off_only"),
    everywhere("leaving_the_stage_voids_the_run"),
    everywhere("a_void_run_writes_nothing"),
    row_locks("a_batch_waits_for_the_writers_of_its_rows"),
    row_locks("a_batch_is_saved_whole_or_not_at_all"),
    row_locks("no_two_workers_cut_the_same_range"),
    everywhere("a_run_ends_with_its_last_segment"),
];

const ONE_WRITER: &str =
    "`begin immediate` lets one writer in at a time; it is lock of epoch, key and rows at once";
const FENCE_IS_THE_ROW: &str = "the fence is the epoch's row, which a late closer finds closed";
const FENCE_IS_ADJACENT: &str = "the fence itself knows two adjacent epochs only";
const NO_UPGRADE: &str = "rows are waited for one by one; no transaction turns into a writer's";
const TABLE_OF_THE_FENCE: &str =
    "a table that is locked against readers is locked against the fence, which reads or writes it";
const NO_TABLE_LOCKS: &str = "no single table can be locked";
const HEARTBEAT_WRITES: &str = "whoever holds up the heartbeat holds up the stage change as well";
const SOURCE_IS_WAITED_FOR: &str =
    "a locking read finds a row that is being inserted, and waits for it";

const fn everywhere(name: &'static str) -> Story {
    Story { name, left_out: &[] }
}

const fn row_locks(name: &'static str) -> Story {
    Story { name, left_out: &[(Engine::Sqlite, ONE_WRITER)] }
}

const fn but_for(name: &'static str, left_out: &'static [(Engine, &'static str)]) -> Story {
    Story { name, left_out }
}

impl Story {
    fn left_out(&self, engine: Engine) -> Option<&'static str> {
        let found = self.left_out.iter().find(|(left_out, _)| *left_out == engine);
        found.map(|(_, reason)| *reason)
    }
}

/// The engines that a story is told on.
#[track_caller]
pub(super) fn engines(name: &str) -> impl Iterator<Item = Engine> {
    let story = STORIES.iter().find(|story| story.name == name);
    let story = story.unwrap_or_else(|| panic!("{name} is not in the table of stories"));
    Engine::ALL.iter().copied().filter(|engine| story.left_out(*engine).is_none())
}

/// The table as `docs/protocol.md` has it: a story a line, and below it the reasons by number.
fn rendered() -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let mut text = "| story | MariaDB | PostgreSQL | SQLite |\n|---|---|---|---|\n".to_owned();
    for story in STORIES {
        let cells = [Engine::Mysql, Engine::Postgres, Engine::Sqlite].map(|engine| {
            let Some(reason) = story.left_out(engine) else { return "yes".to_owned() };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            let number = reasons.iter().position(|known| *known == reason).unwrap_or_default();
            format!("no ({})", number + 1)
        });
        text.push_str(&format!("| `{}` | {} |\n", story.name, cells.join(" | ")));
    }
    text.push('\n');
    for (index, reason) in reasons.iter().enumerate() {
        text.push_str(&format!("{}. {reason}\n", index + 1));
    }
    text
}

/// Nobody drops an engine, or adds one, without saying so where people read it.
#[test]
fn the_protocols_page_has_the_table() {
    let page = include_str!("../../../docs/protocol.md");
    let table = rendered();
    assert!(page.contains(&table), "docs/protocol.md lacks this table:\n{table}");
}

/// Each story is in the table, under the name that it asks with.
#[test]
fn each_story_is_in_the_table() {
    let sources = [
        include_str!("backfill.rs"),
        include_str!("gates.rs"),
        include_str!("races.rs"),
        include_str!("reads.rs"),
        include_str!("writes.rs"),
    ];
    let mut told = BTreeSet::new();
    for test in sources.iter().flat_map(|source| source.split("#[tokio::test").skip(1)) {
        let name = test.split_once("async fn ").and_then(|(_, rest)| rest.split_once('('));
        let (name, _) = name.expect("a test is a function");
        assert!(test.contains(&format!("\"{name}\"")), "{name} asks by another name");
        told.insert(name);
    }
    let table: BTreeSet<&str> = STORIES.iter().map(|story| story.name).collect();
    assert_eq!(told, table);
    assert_eq!(table.len(), STORIES.len(), "a story is there twice");
}
