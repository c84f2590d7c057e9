//! The rule sets that are measured.

use serde_json::{Map, Value, json};

/// A boolean flag without targeting.
pub(crate) const STATIC: &str = "read_user_settings_v2";

/// A boolean flag that half of the users have.
pub(crate) const ROLLOUT: &str = "read_user_orders_v2";

/// A boolean flag that half of the users in three countries with one plan have.
pub(crate) const RULE: &str = "read_user_profile_v2";

/// A document of so many flags in flagd's format, the measured ones in the middle.
pub(crate) fn flagd(flags: usize) -> String {
    let variants = json!({ "on": true, "off": false });
    let half = json!({ "fractional": [["on", 50], ["off", 50]] });
    let mut all = Map::new();
    for n in 0..flags {
        let (key, targeting) = match n.checked_sub(flags / 2) {
            Some(0) => (STATIC.to_owned(), json!({})),
            Some(1) => (ROLLOUT.to_owned(), half.clone()),
            Some(2) => (
                RULE.to_owned(),
                json!({ "if": [
                    { "and": [
                        { "in": [{ "var": "country" }, ["DE", "AT", "CH"]] },
                        { "==": [{ "var": "plan" }, "pro"] },
                    ]},
                    half,
                    "off",
                ]}),
            ),
            _ => (format!("another_flag_{n}"), if n % 2 == 0 { json!({}) } else { half.clone() }),
        };
        let definition: Value = json!({
            "state": "ENABLED",
            "variants": variants,
            "defaultVariant": if key == STATIC { "on" } else { "off" },
            "targeting": targeting,
        });
        all.insert(key, definition);
    }
    json!({ "flags": all }).to_string()
}
