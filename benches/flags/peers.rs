//! The three measured flags in other libraries, each as its documentation has an application ask.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use criterion::Criterion;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::{
    client, context,
    document::{ROLLOUT, RULE, STATIC},
};

const USER: &str = "user-00000017";
const COUNTRIES: [&str; 3] = ["DE", "AT", "CH"];
const FLAGS: [(&str, &str); 3] = [("static", STATIC), ("rollout", ROLLOUT), ("rule", RULE)];

/// One library; `ask` answers for a key.
struct Peer {
    name: &'static str,
    ask: Box<dyn Fn(&str) -> bool>,
    /// How many questions it answers in about a millisecond.
    questions: u32,
}

impl Peer {
    fn new(name: &'static str, ask: impl Fn(&str) -> bool + 'static) -> Self {
        assert!(ask(STATIC), "{name} does not know the static flag");
        Self::sized(name, ask)
    }

    fn sized(name: &'static str, ask: impl Fn(&str) -> bool + 'static) -> Self {
        let mut peer = Self { name, ask: Box::new(ask), questions: 1_000 };
        let one = peer.time(RULE);
        peer.questions = (1e6 / one).clamp(20.0, 20_000.0) as u32;
        peer
    }

    /// Nanoseconds for one question.
    fn time(&self, key: &str) -> f64 {
        let begun = Instant::now();
        for _ in 0..self.questions {
            black_box((self.ask)(black_box(key)));
        }
        begun.elapsed().as_nanos() as f64 / f64::from(self.questions)
    }
}

pub(crate) fn evaluations(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let _entered = runtime.enter();
    let peers = [yggdrasil(), eppo(), configcat(), launch_darkly(), flagd(&runtime)];
    in_turns(&peers);
    for peer in &peers {
        let mut group = criterion.benchmark_group(peer.name);
        for (kind, key) in FLAGS {
            group.bench_function(kind, |bencher| bencher.iter(|| (peer.ask)(black_box(key))));
        }
    }
}

/// All libraries in turns, so that a machine that gets slower meanwhile slows all of them: medians of
/// their times as multiples of ours.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn in_turns(peers: &[Peer]) {
    const ROUNDS: usize = 200;
    let (flags, _source) = client(10);
    for (kind, key) in FLAGS {
        let (flags, handle, context) = (flags.clone(), flags.handle(key), context(USER));
        let also = context.clone();
        let by_key = Peer::sized("by key", move |key| flags.boolean(key, &context, false));
        let by_handle = Peer::sized("by handle", move |_| handle.is_enabled(&also));
        for ours in [&by_key, &by_handle] {
            let mut ratios = vec![Vec::new(); peers.len()];
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let own = ours.time(key);
                times.push(own);
                for (ratios, peer) in ratios.iter_mut().zip(peers) {
                    ratios.push(peer.time(key) / own);
                }
            }
            let own = median(&mut times);
            let ratios = peers
                .iter()
                .zip(&mut ratios)
                .map(|(peer, ratios)| format!("{} {:.2}", peer.name, median(ratios)));
            let ratios = ratios.collect::<Vec<_>>().join(", ");
            println!("in turns, {kind} {}: {own:.1} ns; multiples of it: {ratios}", ours.name);
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn yggdrasil() -> Peer {
    let rollout = json!({ "rollout": "50", "stickiness": "userId", "groupId": "g" });
    let is_in = |name: &str, values: &[&str]| json!({ "contextName": name, "operator": "IN", "values": values, "inverted": false, "caseInsensitive": false });
    let feature = |name: &str, strategy: Value| json!({ "name": name, "type": "release", "enabled": true, "strategies": [strategy] });
    let features = json!({ "version": 2, "features": [
        feature(STATIC, json!({ "name": "default" })),
        feature(ROLLOUT, json!({ "name": "flexibleRollout", "parameters": rollout })),
        feature(RULE, json!({
            "name": "flexibleRollout",
            "parameters": rollout,
            "constraints": [is_in("country", &COUNTRIES), is_in("plan", &["pro"])],
        })),
    ]});
    let engine = unleash_yggdrasil::EngineState::default();
    let features = serde_json::from_value(features).expect("the features are good");
    engine.apply_client_features(features);
    let properties = [("country", "CH"), ("plan", "pro")];
    let context = unleash_yggdrasil::Context {
        user_id: Some(USER.to_owned()),
        session_id: None,
        environment: None,
        app_name: None,
        current_time: None,
        remote_address: None,
        properties: Some(properties.map(|(name, value)| (name.into(), value.into())).into()),
    };
    Peer::new("unleash-yggdrasil", move |key| engine.is_enabled(key, &context, &None))
}

fn eppo() -> Peer {
    use eppo_core::{
        Configuration, SdkMetadata, Str, eval::get_assignment, ufc::UniversalFlagConfig,
    };
    let everybody = json!([{ "variationKey": "on", "shards": [] }]);
    let half = json!([
        { "variationKey": "on", "shards": [{ "salt": "s", "ranges": [{ "start": 0, "end": 5000 }] }] },
        { "variationKey": "off", "shards": [] },
    ]);
    let flag = |key: &str, rules: Value, splits: &Value| {
        let variations = json!({ "on": { "key": "on", "value": true }, "off": { "key": "off", "value": false } });
        let allocation = json!({ "key": "a", "rules": rules, "splits": splits, "doLog": false });
        json!({
            "key": key, "enabled": true, "variationType": "BOOLEAN", "variations": variations,
            "allocations": [allocation], "totalShards": 10000,
        })
    };
    let rule = json!([{ "conditions": [
        { "attribute": "country", "operator": "ONE_OF", "value": COUNTRIES },
        { "attribute": "plan", "operator": "ONE_OF", "value": ["pro"] },
    ]}]);
    let flags = json!({
        "createdAt": "2024-01-01T00:00:00.000Z", "format": "SERVER", "environment": { "name": "t" },
        "flags": {
            STATIC: flag(STATIC, json!([]), &everybody),
            ROLLOUT: flag(ROLLOUT, json!([]), &half),
            RULE: flag(RULE, rule, &half),
        },
    });
    let metadata = SdkMetadata { name: "bench", version: "0" };
    let flags = UniversalFlagConfig::from_json(metadata, flags.to_string().into_bytes());
    let configuration =
        Configuration::from_server_response(flags.expect("the flags are good"), None);
    let user: Str = USER.into();
    let attributes: HashMap<_, _> =
        [("country".into(), "CH".into()), ("plan".into(), "pro".into())].into();
    let attributes = Arc::new(attributes);
    Peer::new("eppo_core", move |key| {
        let now = chrono::Utc::now();
        let answer = get_assignment(Some(&configuration), key, &user, &attributes, None, now);
        answer.ok().flatten().and_then(|answer| answer.value.as_boolean()).unwrap_or(false)
    })
}

/// A configuration that was fetched before, and is never fetched again.
struct Fetched(String);

impl configcat::ConfigCache for Fetched {
    fn read(&self, _: &str) -> Option<String> {
        Some(self.0.clone())
    }

    fn write(&self, _: &str, _: &str) {}
}

fn configcat() -> Peer {
    let half = json!([{ "p": 50, "v": { "b": true } }, { "p": 50, "v": { "b": false } }]);
    let is_in = |name: &str, values: &[&str]| json!({ "u": { "a": name, "c": 0, "l": values } });
    let rule = json!([{ "c": [is_in("Country", &COUNTRIES), is_in("plan", &["pro"])], "p": half }]);
    let config = json!({
        "p": { "u": "https://test.invalid", "r": 0, "s": "salt" },
        "s": [],
        "f": {
            STATIC: { "t": 0, "v": { "b": true } },
            ROLLOUT: { "t": 0, "v": { "b": false }, "p": half },
            RULE: { "t": 0, "v": { "b": false }, "r": rule },
        },
    });
    let now = chrono::Utc::now().timestamp_millis();
    let client = configcat::Client::builder("PKDVCLf-Hq-h-kCzMp-L7Q/HhOWfwVtZ0mb30i9wi17GQ")
        .polling_mode(configcat::PollingMode::Manual)
        .offline(true)
        .cache(Box::new(Fetched(format!("{now}\ntag\n{config}"))))
        .build()
        .expect("the client starts");
    let user = configcat::User::new(USER).country("CH").custom("plan", "pro");
    Peer::new("configcat", move |key| {
        client.get_value(key, false, Some(user.clone())).now_or_never().unwrap_or(false)
    })
}

fn launch_darkly() -> Peer {
    use launchdarkly_server_sdk::{
        Client, ConfigBuilder, ContextBuilder, NullEventProcessorBuilder, TestData,
    };
    let half = json!({ "variations": [{ "variation": 0, "weight": 50000 }, { "variation": 1, "weight": 50000 }] });
    let is_in = |name: &str, values: &[&str]| json!({ "contextKind": "user", "attribute": name, "op": "in", "values": values, "negate": false });
    let flag = |key: &str, rules: Value, fallthrough: Value| {
        json!({
            "key": key, "version": 1, "on": true, "targets": [], "rules": rules, "prerequisites": [],
            "fallthrough": fallthrough, "offVariation": 1, "variations": [true, false],
            "clientSide": false, "salt": "s", "trackEvents": false, "trackEventsFallthrough": false,
        })
    };
    let rule = json!([{
        "id": "r", "trackEvents": false, "rollout": half,
        "clauses": [is_in("country", &COUNTRIES), is_in("plan", &["pro"])],
    }]);
    let data = TestData::new();
    for flag in [
        flag(STATIC, json!([]), json!({ "variation": 0 })),
        flag(ROLLOUT, json!([]), json!({ "rollout": half })),
        flag(RULE, rule, json!({ "variation": 1 })),
    ] {
        data.use_preconfigured_flag(serde_json::from_value(flag).expect("the flag is good"));
    }
    let config = ConfigBuilder::new("sdk-key")
        .data_source(&data)
        .event_processor(&NullEventProcessorBuilder::new())
        .build();
    let client = Client::build(config.expect("the configuration is good"));
    let client = client.expect("the client starts");
    client.start_with_default_executor();
    let context = ContextBuilder::new(USER)
        .set_string("country", "CH")
        .set_string("plan", "pro")
        .build()
        .expect("the context is good");
    Peer::new("launchdarkly-server-sdk", move |key| client.bool_variation(&context, key, false))
}

fn flagd(runtime: &tokio::runtime::Runtime) -> Peer {
    use open_feature::{EvaluationContext, provider::FeatureProvider};
    use open_feature_flagd::{FlagdOptions, FlagdProvider, ResolverType};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flags.json");
    std::fs::write(&path, crate::document::flagd(10)).expect("written");
    let options = FlagdOptions {
        resolver_type: ResolverType::File,
        source_configuration: Some(path.display().to_string()),
        ..FlagdOptions::default()
    };
    let provider = runtime.block_on(FlagdProvider::new(options)).expect("the provider starts");
    let context = EvaluationContext::default()
        .with_targeting_key(USER)
        .with_custom_field("country", "CH")
        .with_custom_field("plan", "pro");
    let runtime = runtime.handle().clone();
    Peer::new("open-feature-flagd", move |key| {
        let answer = runtime.block_on(provider.resolve_bool_value(key, &context));
        answer.is_ok_and(|answer| answer.value)
    })
}
