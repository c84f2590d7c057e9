//! What the attribute generates compiles under the strictest lints, and what it refuses it
//! refuses in words, at the place that is to blame.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
