//! Telling a row that New or the mapping refuses from everything else that can go wrong.

use crossfade_store::Failure;
use sqlx::Error;

use crate::error::{failure, timed_out};
use crate::quoted::without_values;

/// What the database said, without the values that it quotes, if the rows are to blame: a
/// constraint, a value that does not convert, a trigger that raises. A missing table, a missing
/// right or a full disk is no row's fault, and would put every row into quarantine.
pub(crate) fn refusal(error: &Error) -> Option<String> {
    if failure(error) != Failure::Refused || timed_out(error).is_some() {
        return None;
    }
    let database = error.as_database_error()?;
    #[cfg(feature = "mysql")]
    if let Some(number) = crate::error::mysql_number(error) {
        let refused = by_mariadb(number, database.code().as_deref().unwrap_or_default());
        return refused.then(|| without_values(database));
    }
    let code = database.code()?;
    let (code, message) = (code.as_ref(), database.message());
    let refused = if code.len() == 5 { by_sqlstate(code) } else { by_sqlite_code(code, message) };
    refused.then(|| without_values(database))
}

/// The classes that blame values, and those that PostgreSQL itself does not use, which are free
/// for `raise … using errcode`.
fn by_sqlstate(code: &str) -> bool {
    const ROWS: &[&str] = &["21", "22", "23", "38", "39", "44", "54", "P0"];
    const OTHERS: &[&str] = &[
        "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "24", "25",
        "26", "27", "28", "2B", "2D", "2F", "34", "3B", "3D", "3F", "40", "42", "53", "55", "57",
        "58", "72", "CF", "F0", "HV", "XX",
    ];
    code.get(..2).is_some_and(|class| ROWS.contains(&class) || !OTHERS.contains(&class))
}

/// The classes of states that blame values, 45 being `signal`'s; and errors of the general state
/// HY000 or of syntax that a value brings about.
#[cfg(feature = "mysql")]
fn by_mariadb(number: u16, state: &str) -> bool {
    const ROWS: &[&str] = &["21", "22", "23", "38", "39", "44", "45"];
    const NUMBERS: &[u16] = &[
        1048, // a column cannot be null
        1139, // a regular expression
        1265, 1366, 1411, 1292, // a value that does not convert
        1364, // a column without default
        1406, 1264, // a value too long, too great
        1526, // a row that no partition takes
        4025, // a check
        4035, 4036, 4037, 4038, 4039, 4040, 4041, 4042, // JSON
        4076, 4078, 4079, // operands that do not fit
    ];
    NUMBERS.contains(&number) || state.get(..2).is_some_and(|class| ROWS.contains(&class))
}

/// SQLite answers code 1 both to a value that a function cannot take and to a statement that does
/// not parse; the second is told by its words.
fn by_sqlite_code(code: &str, message: &str) -> bool {
    const STATEMENT: &[&str] = &["no such ", "near \"", "has no column", "not authorized"];
    let Ok(code) = code.parse::<i64>() else { return false };
    match code & 0xff {
        1 => !STATEMENT.iter().any(|words| message.contains(words)),
        // Too big, constraint, mismatch.
        18..=20 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_blamed_for_what_rows_can_cause() {
        for code in ["23505", "22P02", "P0001", "44000", "54000", "21000", "ZZ001"] {
            assert!(by_sqlstate(code), "{code}");
        }
        for code in ["42P01", "42501", "53100", "57014", "25006", "XX000", "CFF01"] {
            assert!(!by_sqlstate(code), "{code}");
        }
        #[cfg(feature = "mysql")]
        {
            for (number, state) in
                [(1062, "23000"), (4025, "23000"), (1366, "HY000"), (1644, "45000")]
            {
                assert!(by_mariadb(number, state), "{number}");
            }
            for (number, state) in
                [(1146, "42S02"), (1142, "42000"), (1114, "HY000"), (1290, "HY000")]
            {
                assert!(!by_mariadb(number, state), "{number}");
            }
        }
        for (code, message) in
            [("1", "malformed JSON"), ("2067", "UNIQUE"), ("3091", "cannot store")]
        {
            assert!(by_sqlite_code(code, message), "{code}");
        }
        for (code, message) in [("1", "no such table: x"), ("13", "disk full"), ("8", "readonly")] {
            assert!(!by_sqlite_code(code, message), "{code}");
        }
    }
}
