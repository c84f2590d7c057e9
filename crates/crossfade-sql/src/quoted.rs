//! What a database says of a row it refuses, without the values that it quotes. Reasons are kept in
//! the quarantine table and shown to operators, neither of which is a place for what users wrote.

use sqlx::error::DatabaseError;

/// What stands in for a value.
const GONE: char = '…';

/// The message of an error. Values stay in it that a trigger or a function of the application's has
/// put into words of its own.
pub(crate) fn without_values(error: &dyn DatabaseError) -> String {
    let message = error.message();
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return by_mariadb(error.number(), message);
    }
    match error.code().as_deref() {
        // SQLSTATEs of PostgreSQL have five characters. SQLite quotes no value.
        Some(code) if code.len() == 5 && code.starts_with("22") => by_postgres(message),
        _ => message.to_owned(),
    }
}

/// Class 22 blames the data, and its messages quote nothing but data and names of types. The marks
/// are those of every language that PostgreSQL speaks.
fn by_postgres(message: &str) -> String {
    const MARKS: [char; 12] = ['"', '\'', '`', '«', '»', '„', '“', '”', '‘', '’', '「', '」'];
    masked(message, |it| MARKS.contains(&it))
}

/// The messages that quote a value do so between single marks, and put names between backticks; but
/// for a duplicate, whose key's name comes last.
#[cfg(feature = "mysql")]
fn by_mariadb(number: u16, message: &str) -> String {
    match number {
        crate::error::DUPLICATE => match message.rfind("' for key '") {
            Some(end) => masked(&message[..=end], |it| it == '\'') + &message[end + 1..],
            None => masked(message, |it| it == '\''),
        },
        // Values that do not convert, that are out of range, or that a function cannot take.
        1292 | 1366 | 1367 | 1411 | 1525 | 1690 | 1918 => masked(message, |it| it == '\''),
        _ => message.to_owned(),
    }
}

/// Leaves out what is between the first mark and the last, for a value may have marks of its own;
/// all that follows a mark that stands alone, since long messages are cut.
fn masked(message: &str, is_mark: impl Fn(char) -> bool) -> String {
    let mut marks = message.char_indices().filter(|(_, it)| is_mark(*it));
    let Some((first, opening)) = marks.next() else { return message.to_owned() };
    let (before, end) = (&message[..first + opening.len_utf8()], marks.next_back());
    format!("{before}{GONE}{}", end.map_or("", |(end, _)| &message[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_exceptions_of_postgres_quote_nothing() {
        for (said, expect) in [
            (
                "invalid input syntax for type integer: \"a \"b\"\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            (
                "value \"99999999999\" is out of range for type integer",
                "value \"…\" is out of range for type integer",
            ),
            (
                "syntaxe en entrée invalide pour le type integer : « a »",
                "syntaxe en entrée invalide pour le type integer : «…»",
            ),
            (
                "value too long for type character varying(3)",
                "value too long for type character varying(3)",
            ),
        ] {
            assert_eq!(by_postgres(said), expect);
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn mariadb_names_the_key_and_the_column_and_no_value() {
        for (number, said, expect) in [
            (
                1062,
                "Duplicate entry 'a' for key 'k' for key 'name'",
                "Duplicate entry '…' for key 'name'",
            ),
            (1062, "Duplicate entry 'a long on", "Duplicate entry '…"),
            (
                1366,
                "Incorrect integer value: 'it's' for column `d`.`t`.`age` at row 1",
                "Incorrect integer value: '…' for column `d`.`t`.`age` at row 1",
            ),
            (
                1292,
                "Truncated incorrect INTEGER value: 'a'",
                "Truncated incorrect INTEGER value: '…'",
            ),
            (1048, "Column 'name' cannot be null", "Column 'name' cannot be null"),
        ] {
            assert_eq!(by_mariadb(number, said), expect);
        }
    }
}
