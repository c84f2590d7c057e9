//! Operators at their edges: too few arguments, odd types, and JavaScript's conversions.

use serde_json::{Map, Value, json};

use crate::{
    Context, FractionalVersion,
    compile::Compiler,
    fractional::Seed,
    run::{Env, Scope},
};

/// Evaluates `rule` for one context and compares its text, which JavaScript's `JSON.stringify` and
/// the reference implementation of JsonLogic agree on unless a comment says otherwise.
#[track_caller]
fn check(rule: Value, expect: Value) {
    let data = json!({
        "n": 5, "zero": 0, "s": "häßlich", "null": null, "list": [1, "two", [3]], "o": {"a": {"b": [7]}},
        "empty": "", "true": true, "7": "seven", "big": 9_007_199_254_740_993_i64,
    });
    let Value::Object(data) = data else { unreachable!() };
    let text = rule.to_string();
    let read = serde_json::from_str(&text).unwrap();
    let compiled = Compiler::new(None, Ok(FractionalVersion::V2)).targeting(&read).unwrap();
    let (seed, context) =
        (Seed::new("f", FractionalVersion::V2, 100_000), Context::from_json(&data));
    let env = Env::new(&seed, &context);
    let found = super::differential::json(&compiled.expr.eval(&env, Scope::Context));
    assert!(!env.is_exhausted(), "{rule}");
    let expect = super::differential::json(&crate::val::Val::from(&expect));
    assert_eq!(found, expect, "{rule}");
}

fn operator(name: &str, args: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), args)]))
}

#[test]
fn conditions_with_any_number_of_arguments() {
    for name in ["if", "?:"] {
        check(operator(name, json!([])), json!(null));
        check(operator(name, json!(["only"])), json!("only"));
        check(operator(name, json!([1, "a"])), json!("a"));
        check(operator(name, json!([0, "a"])), json!(null));
        check(operator(name, json!([0, "a", 0, "b"])), json!(null));
        check(operator(name, json!([0, "a", [0], "b"])), json!("b"));
        check(operator(name, json!([[], "a", {}, "b"])), json!("b"));
        check(operator(name, json!("bare")), json!("bare"));
    }
    check(json!({"and": []}), json!(null));
    check(json!({"or": []}), json!(null));
    check(json!({"!": []}), json!(true));
    check(json!({"!!": []}), json!(false));
    check(json!({"!": [0, 1]}), json!(true));
}

#[test]
fn comparisons_convert_as_javascript_does() {
    for (left, right, loose, strict) in [
        (json!(1), json!("1"), true, false),
        (json!(1), json!("1.0"), true, false),
        (json!("1"), json!("1.0"), false, false),
        (json!(0), json!(""), true, false),
        (json!(0), json!(" "), true, false),
        (json!(0), json!("0x0"), true, false),
        (json!(true), json!(1), true, false),
        (json!(true), json!("true"), false, false),
        (json!(false), json!([]), true, false),
        (json!(null), json!(false), false, false),
        (json!(null), json!(0), false, false),
        (json!(null), json!({"var": "nowhere"}), true, true),
        (json!([1]), json!(1), true, false),
        (json!(1), json!(1.0), true, true),
        (json!(0.0), json!(-0.0), true, true),
        // Both are the same double.
        (json!({"var": "big"}), json!(9_007_199_254_740_992_i64), true, true),
    ] {
        check(json!({"==": [left, right]}), json!(loose));
        check(json!({"==": [right, left]}), json!(loose));
        check(json!({"!=": [left, right]}), json!(!loose));
        check(json!({"===": [left, right]}), json!(strict));
        check(json!({"!==": [left, right]}), json!(!strict));
    }
    check(json!({"==": []}), json!(true));
    check(json!({"==": [null]}), json!(true));
}

#[test]
fn order_between_two_and_three() {
    check(json!({"<": [1, 2, 3]}), json!(true));
    check(json!({"<": [1, 1, 3]}), json!(false));
    check(json!({"<=": [1, 1, 1]}), json!(true));
    check(json!({"<": [1, 5, 3, 9]}), json!(false));
    // Only the first two count here.
    check(json!({">": [3, 2, 9]}), json!(true));
    check(json!({">=": [2, 2, 9]}), json!(true));
    check(json!({"<": ["10", "9"]}), json!(true));
    check(json!({"<": ["10", 9]}), json!(false));
    check(json!({"<": [null, 1]}), json!(true));
    check(json!({"<": ["a", 1]}), json!(false));
    check(json!({">=": ["a", 1]}), json!(false));
    check(json!({"<": [1, {"var": "n"}, {"var": "nowhere"}]}), json!(false));
}

#[test]
fn arithmetic_ends_in_null_where_there_is_no_number() {
    for rule in
        [json!({"%": [1, 0]}), json!({"/": [1, 0]}), json!({"/": [0, 0]}), json!({"+": ["x"]})]
    {
        // A flag's rule that answers no finite number picks nothing.
        let answer = super::evaluate(&rule, &Context::anonymous());
        assert_eq!((answer.reason, answer.error), (crate::Reason::Default, None), "{rule}");
    }
    check(json!({"%": [-5, 3]}), json!(-2));
    check(json!({"%": [5.5, 2]}), json!(1.5));
    check(json!({"+": []}), json!(0));
    check(json!({"+": "3.5kg"}), json!(3.5));
    check(json!({"-": "4"}), json!(-4));
    check(json!({"*": [2, "3"]}), json!(6));
    check(json!({"max": ["3", 2, true]}), json!(3));
    check(json!({"min": [1, null]}), json!(0));
}

#[test]
fn membership_of_texts_and_arrays() {
    check(json!({"in": ["lich", {"var": "s"}]}), json!(true));
    check(json!({"in": ["", "x"]}), json!(true));
    check(json!({"in": [5, "1 5"]}), json!(true));
    check(json!({"in": ["two", {"var": "list"}]}), json!(true));
    check(json!({"in": ["1", {"var": "list"}]}), json!(false));
    check(json!({"in": [[3], {"var": "list"}]}), json!(false));
    check(json!({"in": ["a", {"var": "o"}]}), json!(false));
    check(json!({"in": ["a"]}), json!(false));
    check(json!({"in": []}), json!(false));
    check(json!({"in": [null, [null]]}), json!(true));
    // The reference searches for the word "null" here, and finds a missing attribute in "nullable".
    check(json!({"in": [{"var": "nowhere"}, "nullable"]}), json!(false));
}

#[test]
fn parts_of_texts_are_counted_in_characters() {
    let part = |args: Value| json!({"substr": args});
    check(part(json!([{"var": "s"}, 1, 2])), json!("äß"));
    check(part(json!([{"var": "s"}, -4])), json!("lich"));
    check(part(json!([{"var": "s"}, -4, 2])), json!("li"));
    check(part(json!([{"var": "s"}, 1, -4])), json!("äß"));
    check(part(json!([{"var": "s"}, -99, 1])), json!("h"));
    check(part(json!([{"var": "s"}, 99])), json!(""));
    check(part(json!([{"var": "s"}, 0, -99])), json!(""));
    check(part(json!(["abc", 1.9])), json!("bc"));
    check(part(json!(["abc", "x"])), json!("abc"));
    check(part(json!(["abc", 0, null])), json!(""));
    check(part(json!([12345, 1, 3])), json!("234"));
    // JavaScript counts in halves of this character.
    check(part(json!(["😀x", 1])), json!("x"));
    check(part(json!(["abc", 9e300])), json!(""));
    check(part(json!(["abc", -9e300, -9e300])), json!(""));
}

#[test]
fn texts_are_put_together_as_javascript_prints() {
    check(json!({"cat": []}), json!(""));
    check(json!({"cat": [1.0, 0.1, -0.0, 1e21, 1e-7, 100]}), json!("10.101e+211e-7100"));
    check(
        json!({"cat": [null, true, [1, [2, null]], {"var": "o"}]}),
        json!("true1,2,[object Object]"),
    );
    check(json!({"cat": "one"}), json!("one"));
    check(json!({"cat": [{"var": "big"}]}), json!("9007199254740992"));
}

#[test]
fn paths_lead_through_objects_and_arrays() {
    check(json!({"var": "o.a.b.0"}), json!(7));
    check(json!({"var": "list.2.0"}), json!(3));
    check(json!({"var": ["o.a.c", "d"]}), json!("d"));
    check(json!({"var": ["null", "d"]}), json!(null));
    check(json!({"var": ["null.x", "d"]}), json!("d"));
    check(json!({"var": ["n.x", "d"]}), json!("d"));
    check(json!({"var": ["list.-1", "d"]}), json!("d"));
    check(json!({"var": ["o..a", "d"]}), json!("d"));
    check(json!({"var": 7}), json!("seven"));
    check(json!({"var": [7]}), json!("seven"));
    check(json!({"var": true}), json!(true));
    check(json!({"var": {"cat": ["o.a.", "b.", 0]}}), json!(7));
    check(json!({"map": [{"var": "list"}, {"var": ""}]}), json!([1, "two", [3]]));
    check(json!({"map": [[[4, 5]], {"var": 1}]}), json!([5]));
    check(json!({"map": [[1], {"var": "n"}]}), json!([null]));
    check(json!({"var": ["nowhere", {"var": "n"}]}), json!(5));
}

#[test]
fn what_is_missing() {
    check(
        json!({"missing": ["n", "zero", "empty", "null", "nowhere", "o.a.x"]}),
        json!(["empty", "null", "nowhere", "o.a.x"]),
    );
    check(json!({"missing": [["n", "x"], "y"]}), json!(["x"]));
    check(json!({"missing": []}), json!([]));
    check(json!({"missing": "x"}), json!(["x"]));
    check(json!({"missing": {"merge": ["x", ["n"]]}}), json!(["x"]));
    check(json!({"missing_some": [1, ["n", "x"]]}), json!([]));
    check(json!({"missing_some": [2, ["n", "x"]]}), json!(["x"]));
    check(json!({"missing_some": [0, []]}), json!([]));
    check(json!({"missing_some": [1, []]}), json!([]));
    check(json!({"missing_some": [1]}), json!([]));
}

#[test]
fn arrays_that_are_none() {
    let add = json!({"+": [{"var": "accumulator"}, {"var": "current"}]});
    check(json!({"reduce": [[1, 2, 3], add, 10]}), json!(16));
    check(json!({"reduce": [[], add, 10]}), json!(10));
    check(json!({"reduce": [{"var": "n"}, add, 10]}), json!(10));
    check(json!({"reduce": [[1], {"var": "n"}, 10]}), json!(null));
    check(
        json!({"reduce": [[[1, 2], [3]], {"merge": [{"var": "accumulator"}, {"var": "current"}]}, []]}),
        json!([1, 2, 3]),
    );
    for (name, expect) in [
        ("map", json!([])),
        ("filter", json!([])),
        ("all", json!(false)),
        ("none", json!(true)),
        ("some", json!(false)),
    ] {
        for list in [json!([]), json!("text"), json!(null), json!({"var": "o"})] {
            check(operator(name, json!([list, true])), expect.clone());
        }
        check(operator(name, json!([])), expect);
    }
    check(json!({"merge": [1, [2, [3]], null]}), json!([1, 2, [3], null]));
    check(json!({"filter": [{"var": "list"}, {"==": [{"var": ""}, 1]}]}), json!([1]));
}

/// Few computed weights are added up on the stack and many are not; neither changes the bucket.
#[test]
fn computed_weights_pick_the_bucket_of_fixed_ones() {
    for buckets in [1, 2, 15, 16, 17, 40] {
        let split = |weight: &dyn Fn(usize) -> Value| {
            let buckets = (0..buckets).map(|n| json!([format!("v{n}"), weight(n)]));
            json!({ "fractional": buckets.collect::<Vec<_>>() })
        };
        let fixed = split(&|n| json!(n % 3 + 1));
        let computed = split(&|n| json!({ "+": [n % 3, 1] }));
        let variants: Map<_, _> = (0..buckets).map(|n| (format!("v{n}"), n.into())).collect();
        let set = |rule: &Value| {
            let flag = json!({ "variants": variants, "targeting": rule });
            crate::RuleSet::parse(&json!({ "flags": { "f": flag } }).to_string()).unwrap()
        };
        let [fixed, computed] = [fixed, computed].map(|rule| set(&rule));
        for n in 0..200 {
            let user = format!("user-{n}");
            let [one, other] = [&fixed, &computed]
                .map(|set| set.value::<i64>("f", &Context::user(&user)).unwrap());
            assert!(one.is_some() && one == other, "{buckets} {user}: {one:?} {other:?}");
        }
    }
}
