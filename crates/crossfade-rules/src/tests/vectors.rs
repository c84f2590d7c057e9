//! The answers that flagd's own conformance suite expects of every implementation.

use serde_json::Value;

use crate::{Request, RuleSet};

/// Inputs and outputs of open-feature/flagd-testbed; `source` names the scenarios. A case is the flag,
/// the type that it is asked for, the context, the default in the code, the value, and where the
/// suite asks for them the reason and the error code.
const VECTORS: &str = include_str!("vectors.json");

#[test]
fn every_vector_of_the_conformance_suite() {
    let groups: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let mut cases = 0;
    for group in &groups {
        let rules = RuleSet::parse(&group["document"].to_string()).unwrap();
        for case in group["cases"].as_array().into_iter().flatten() {
            let request = Request {
                flag: case[0].as_str().unwrap().to_owned(),
                kind: crate::FlagType::named(case[1].as_str().unwrap()).unwrap(),
                context: case[2].as_object().cloned().unwrap(),
                default: case[3].clone(),
            };
            let answer = rules.answer(&request, 1_700_000_000);
            assert_eq!(answer["value"], case[4], "{case}: {answer}");
            assert_eq!(answer["errorCode"], case[6], "{case}: {answer}");
            if !case[5].is_null() {
                assert_eq!(answer["reason"], case[5], "{case}: {answer}");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 249);
}
