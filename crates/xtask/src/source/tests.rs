//! What counts as code, and what counts as test code.

use super::{is_test_file, lines, mentions};

#[track_caller]
fn check_code(text: &str, expect: &str) {
    let code: Vec<String> = lines(text).into_iter().map(|line| line.code).collect();
    assert_eq!(code.join("\n"), expect);
}

#[test]
fn comments_are_blanked() {
    check_code("a(); // b", "a();");
    check_code("/* b\n/* c */ d */ a();", "\n             a();");
    check_code("//! doc\nfn a() {}", "\nfn a() {}");
}

#[test]
fn insides_of_literals_are_blanked() {
    check_code(r#"a("b", 'c', c);"#, "a(   ,    , c);");
    check_code(r#"a("\"b", c);"#, "a(     , c);");
    check_code(r##"a(r#"b"c"#, d);"##, "a(        , d);");
    check_code("a(\"// no comment\"); b", "a(               ); b");
    check_code(r"a('\'', b);", "a(    , b);");
    check_code(r#"a('"', b);"#, "a(   , b);");
}

#[test]
fn names_and_lifetimes_are_code() {
    check_code("fn a<'b>(c: &'b str, for_: u8)", "fn a<'b>(c: &'b str, for_: u8)");
    check_code("r#type(b, bar)", "r#type(b, bar)");
}

#[test]
fn line_numbers_survive_literals_of_several_lines() {
    let numbered = lines("a(\"\n\n\");\nb();\n");
    let b = numbered.iter().find(|line| line.code == "b();").unwrap();
    assert_eq!(b.number, 4);
}

#[test]
fn test_items_end_where_they_end() {
    let text = "a();\n#[cfg(test)]\nmod tests;\nb();\n#[cfg(test)]\nmod t {\n  fn c() {}\n}\nd();\n\
                #[cfg(test)]\nfn e(_: [u8; 2]) {\n  f();\n}\ng();\n";
    let outside: Vec<String> =
        lines(text).into_iter().filter(|line| !line.in_test).map(|line| line.code).collect();
    assert_eq!(outside, ["a();", "b();", "d();", "g();"]);
}

#[test]
fn mentions_are_whole_words_at_their_start() {
    assert!(mentions("std::env::var(x)", "env::var"));
    assert!(mentions("println!()", "println!"));
    assert!(!mentions("eprintln!()", "println!"));
    assert!(!mentions("my_env::var(x)", "env::var"));
}

#[test]
fn test_files_are_known_by_their_path() {
    for (path, expect) in [
        ("tests/it/main.rs", true),
        ("crates/a/tests/b.rs", true),
        ("crates/a/src/tests.rs", true),
        ("crates/a/src/b/tests/c.rs", true),
        ("crates/a/src/latest.rs", false),
    ] {
        assert_eq!(is_test_file(path), expect, "{path}");
    }
}
