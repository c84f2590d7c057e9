//! Compares the dependencies that cargo knows of with the table.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::table::{FOREIGN, ROWS, Row, Users, Uses};
use crate::workspace;

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    /// Its name.
    pub(super) name: String,
    /// Its folder from the workspace's root, with `/` between the parts.
    pub(super) folder: String,
    /// What its manifest asks for.
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug)]
pub(super) struct Dependency {
    /// Name of the package depended on, whatever it is renamed to.
    pub(super) name: String,
    /// Whether it stands under `dev-dependencies`.
    pub(super) in_tests: bool,
}

/// Asks cargo for the packages of the workspace.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let output = workspace::stdout(workspace::cargo().current_dir(root).args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
    ]))?;
    let metadata: Value = serde_json::from_str(&output).context("read cargo's metadata")?;
    list(&metadata, "packages")?.iter().map(|package| read_package(root, package)).collect()
}

fn read_package(root: &Path, package: &Value) -> Result<Package> {
    let manifest = Path::new(text(package, "manifest_path")?);
    let folder = manifest.parent().unwrap_or(manifest);
    let folder = folder.strip_prefix(root).unwrap_or(folder);
    let dependencies = list(package, "dependencies")?.iter().map(|dependency| {
        let name = text(dependency, "name")?.to_owned();
        Ok(Dependency { name, in_tests: dependency["kind"] == "dev" })
    });
    Ok(Package {
        name: text(package, "name")?.to_owned(),
        folder: folder.to_string_lossy().into_owned(),
        dependencies: dependencies.collect::<Result<_>>()?,
    })
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo's metadata has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo's metadata has no text `{key}`"))
}

/// Every package without a row, row without a package, and dependency that the table forbids.
pub(super) fn problems(packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        match ROWS.iter().find(|row| row.package == package.name) {
            Some(row) => check_inner(row, package, packages, &mut problems),
            None => problems.push(format!("{}: missing in the layering table", package.name)),
        }
        check_foreign(package, &mut problems);
    }
    for row in ROWS {
        if !packages.iter().any(|package| package.name == row.package) {
            problems.push(format!("{}: in the layering table but no package", row.package));
        }
    }
    problems
}

/// Edges between packages of the workspace; tests may use what they like.
fn check_inner(row: &Row, package: &Package, packages: &[Package], problems: &mut Vec<String>) {
    for dependency in package.dependencies.iter().filter(|it| !it.in_tests) {
        let target = dependency.name.as_str();
        let inner = packages.iter().any(|it| it.name == target);
        let (allowed, rule) = match row.uses {
            Uses::Only([]) => (false, "nothing of the workspace".to_owned()),
            Uses::Only(targets) => (targets.contains(&target), targets.join(", ")),
            Uses::AllButXtask => (target != "xtask", "anything but xtask".to_owned()),
        };
        if inner && !allowed {
            problems.push(format!("{} -> {target}: may use {rule}", package.name));
        }
    }
}

fn check_foreign(package: &Package, problems: &mut Vec<String>) {
    let name = package.name.as_str();
    for dependency in &package.dependencies {
        for foreign in FOREIGN {
            let allowed = match foreign.users {
                Users::Only(users) => users.contains(&name),
                Users::AllBut(others) => !others.contains(&name),
            } || dependency.in_tests && foreign.in_tests.contains(&name);
            if foreign.crates.contains(&dependency.name.as_str()) && !allowed {
                problems.push(format!("{name} -> {}: {}", dependency.name, foreign.rule));
            }
        }
    }
}
