//! Every file of the integration tests is part of their binary.
//!
//! A file that no `mod` names is not compiled, and its tests pass for ever.

use crate::{source, workspace::TextFile};

/// The folder of the one integration test binary.
const ROOT: &str = "tests/it";

/// Every Rust file below `tests/it` that its parent does not declare.
pub(super) fn problems(files: &[TextFile]) -> Vec<String> {
    files
        .iter()
        .filter_map(|file| {
            let (parents, name) = parents(&file.path)?;
            let declared = files
                .iter()
                .filter(|other| parents.contains(&other.path))
                .any(|parent| declares(&parent.text, &name));
            let problem = || format!("{}:1: not declared in {}", file.path, parents.join(" or "));
            (!declared).then(problem)
        })
        .collect()
}

/// The files that may declare the module at `path`, and its name; `None` for the root and for
/// files that are no module of the binary.
fn parents(path: &str) -> Option<(Vec<String>, String)> {
    let module = path.strip_prefix(ROOT)?.strip_prefix('/')?.strip_suffix(".rs")?;
    let module = module.strip_suffix("/mod").unwrap_or(module);
    match module.rsplit_once('/') {
        None if module == "main" => None,
        None => Some((vec![format!("{ROOT}/main.rs")], module.to_owned())),
        Some((parent, name)) => {
            let candidates = vec![format!("{ROOT}/{parent}/mod.rs"), format!("{ROOT}/{parent}.rs")];
            Some((candidates, name.to_owned()))
        }
    }
}

fn declares(text: &str, name: &str) -> bool {
    let declaration = format!("mod {name};");
    source::lines(text).iter().any(|line| source::mentions(&line.code, &declaration))
}
