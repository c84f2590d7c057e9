//! `docs/checks.md` lists every check as the code describes it.

use std::path::Path;

use crossfade_core::check::checks;

const HEAD: &str = "\
# Checks

`crossfade check NAME` looks at manifest, mapping, catalog, data and surroundings, and prints what it
finds. `expand`, every `stage` gate, `contract` and `status` make the checks that concern them.

- **Refused**: it cannot be right, and only mending it opens the gate.
- **To accept**: it may be meant. Name the object and the reason in migration.toml; `crossfade check`
  prints the line to write. The reason is shown by every later check and kept in the audit trail.

  ```toml
  [accept.inbound-foreign-key]
  \"orders.orders_user_id_fkey\" = \"orders follow in the next release\"
  ```
- **A warning** is shown and holds nothing up. It may be accepted as well,
  which records that it is meant.

A finding holds up the gate of its stage and of every stage after it. `crossfade check --explain ID`
prints a section of this page.

";

#[test]
fn the_page_lists_every_check() {
    let sections: Vec<String> =
        checks().map(|check| check.explanation().replacen("###", "##", 1)).collect();
    let expected = format!("{HEAD}{}\n", sections.join("\n\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    if std::env::var_os("CROSSFADE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page is there");
    assert!(
        found == expected,
        "docs/checks.md differs from the checks; write it again with \
         `CROSSFADE_WRITE_DOCS=1 cargo test -p crossfade-tests --test it checks_page`"
    );
}
