//! Changes of one flag.

use super::fake::{FLAG, Fake};
use crate::{FlagChange, FlagChanged, FlagEdit, FlagError, Stores, change_flag};
use crossfade_core::Stage;

async fn change(fake: &Fake, flag: &str, edit: FlagEdit) -> Result<FlagChanged, FlagError> {
    let flag = flag.parse().unwrap();
    change_flag(Stores::of(fake), FlagChange { flag: &flag, edit, actor: "a", reason: "r" }).await
}

#[tokio::test]
async fn a_flag_is_created_turned_and_left_alone_when_it_is_so_already() {
    let fake = Fake::at(Stage::Live);
    let changed = |version, changed, before, after| FlagChanged { version, changed, before, after };
    for (edit, expected) in [
        (FlagEdit::Ensure, changed(1, true, None, Some(0.0))),
        (FlagEdit::Ensure, changed(1, false, Some(0.0), Some(0.0))),
        (FlagEdit::Percent(25.0), changed(2, true, Some(0.0), Some(25.0))),
        (FlagEdit::Percent(25.0), changed(2, false, Some(25.0), Some(25.0))),
        (FlagEdit::On, changed(3, true, Some(25.0), Some(100.0))),
        (FlagEdit::Off, changed(4, true, Some(100.0), Some(0.0))),
        (FlagEdit::Off, changed(4, false, Some(0.0), Some(0.0))),
    ] {
        assert_eq!(change(&fake, FLAG, edit).await.unwrap(), expected, "{edit:?}");
    }
}

#[tokio::test]
async fn only_read_flags_of_migrations_come_into_being_by_being_set() {
    let fake = Fake::at(Stage::Live);
    assert!(change(&fake, FLAG, FlagEdit::Percent(1.0)).await.unwrap().changed);
    let unknown = change(&fake, "read_user_setings_v2", FlagEdit::On).await;
    let Err(FlagError::Unknown { known, .. }) = unknown else { panic!("{unknown:?}") };
    assert_eq!(known, [FLAG]);
    assert!(change(&fake, "another", FlagEdit::Ensure).await.unwrap().changed);
}

#[tokio::test]
async fn an_author_in_between_loses_nothing() {
    let fake = Fake::at(Stage::Live);
    fake.get().conflicts = 3;
    let changed = change(&fake, FLAG, FlagEdit::Percent(5.0)).await.unwrap();
    assert_eq!((changed.version, changed.after), (4, Some(5.0)));
    assert!(fake.get().rule_sets[3].document.contains("of_another_author_2"));

    fake.get().conflicts = u32::MAX;
    let busy = change(&fake, FLAG, FlagEdit::Percent(6.0)).await;
    assert!(matches!(busy, Err(FlagError::Busy { tries: 10 })), "{busy:?}");
}

#[tokio::test]
async fn a_flag_goes_off_on_top_of_a_rule_set_that_cannot_be_read() {
    let fake = Fake::at(Stage::Live);
    for edit in [FlagEdit::Percent(25.0), FlagEdit::Off] {
        change(&fake, FLAG, edit).await.unwrap();
        fake.get().push_rule_set("{ not json".to_owned(), 0);
        let refused = change(&fake, FLAG, FlagEdit::On).await;
        assert!(matches!(refused, Err(FlagError::Edit(_))), "{refused:?}");
        let off = change(&fake, FLAG, FlagEdit::Off).await.unwrap();
        assert_eq!((off.changed, off.after), (true, Some(0.0)));
    }
}

#[tokio::test]
async fn a_bad_percentage_changes_nothing() {
    let fake = Fake::at(Stage::Live);
    for percent in [-1.0, 100.5, f64::NAN] {
        let refused = change(&fake, FLAG, FlagEdit::Percent(percent)).await;
        assert!(matches!(refused, Err(FlagError::Edit(_))), "{refused:?}");
    }
    assert!(fake.get().rule_sets.is_empty());
}
