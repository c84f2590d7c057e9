//! `create index concurrently`, which leaves an invalid index behind when it fails.

/// The index that a `create index concurrently` statement makes, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConcurrentIndex {
    /// Its name, quoted where the statement quotes it.
    pub(super) name: String,
    /// Its table, qualified where the statement qualifies it.
    pub(super) table: String,
}

impl ConcurrentIndex {
    /// Reads it off the statement; `None` for any other statement and for an index without a name.
    pub(super) fn of(statement: &str) -> Option<Self> {
        let code: Vec<&str> = statement
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .flat_map(str::split_whitespace)
            .collect();
        let mut words = code.into_iter().peekable();
        let mut take = |expected: &[&str]| {
            expected
                .iter()
                .all(|word| words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some())
        };
        if !take(&["create"]) {
            return None;
        }
        take(&["unique"]);
        if !take(&["index", "concurrently"]) {
            return None;
        }
        if take(&["if"]) && !take(&["not", "exists"]) {
            return None;
        }
        let name = words.next().filter(|name| !name.eq_ignore_ascii_case("on"))?;
        words.next_if(|word| word.eq_ignore_ascii_case("on"))?;
        words.next_if(|word| word.eq_ignore_ascii_case("only"));
        let table = words.next()?.split('(').next()?;
        Some(Self { name: name.to_owned(), table: table.to_owned() })
    }
}

/// Whether the statement builds, rebuilds or drops an index beside readers and writers.
pub(super) fn works_beside_others(statement: &str) -> bool {
    let code = statement.lines().map(|line| line.split("--").next().unwrap_or_default());
    let mut words = code.flat_map(str::split_whitespace);
    let first = words.next().unwrap_or_default().to_ascii_lowercase();
    matches!(first.as_str(), "create" | "drop" | "reindex")
        && words.take(4).any(|word| word.eq_ignore_ascii_case("concurrently"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_work_beside_others() {
        for (statement, expected) in [
            ("create index concurrently a on b (c)", true),
            ("create unique index concurrently if not exists a on b (c)", true),
            ("-- why\ndrop index CONCURRENTLY a", true),
            ("reindex (verbose) table concurrently t", true),
            ("reindex table t", false),
            ("create index a on b (concurrently)", false),
            ("vacuum t", false),
        ] {
            assert_eq!(works_beside_others(statement), expected, "{statement}");
        }
    }

    #[track_caller]
    fn check(statement: &str, expected: Option<(&str, &str)>) {
        let found = ConcurrentIndex::of(statement);
        let found = found.as_ref().map(|index| (index.name.as_str(), index.table.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn name_and_table() {
        check("create index concurrently a on b (c)", Some(("a", "b")));
        check("-- why\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"A\"\nON only s.b(c)", {
            Some(("\"A\"", "s.b"))
        });
        check("create index concurrently on b (c)", None);
        check("create index a on b (c)", None);
        check("drop index concurrently a", None);
    }
}
