//! Every key of the configuration takes effect when its table says it does.

use kafkamq_settings::keys::{
    CUSTOM, DEAD_LETTER, INPUT, JAEGER, Key, Kind, LIMITS, LOG, OTEL, OUTPUT, PIPELINE, RECORDER,
    REMOTE_HANDLE, SERVER, SKYWALKING, TOPIC, Table, TakesEffect,
};

use super::*;

/// A table with the text that its keys are put into.
const TABLES: &[(&Table, &str, &str)] = &[
    (&SERVER, "[server]", ""),
    (&PIPELINE, "[pipeline]", ""),
    (&DEAD_LETTER, "[dead_letter]", ""),
    (&RECORDER, "[recorder]", ""),
    (&LIMITS, "[limits]", ""),
    (&LOG, "[log]", ""),
    (
        &OUTPUT,
        "[output]",
        "endpoint = \"http://localhost:9529\"\nkind = \"influxdb\"",
    ),
    (
        &INPUT,
        "[[inputs.kafkamq]]",
        "name = \"shop\"\naddrs = [\"kafka:9092\"]\ngroup_id = \"shop\"",
    ),
    (
        &SKYWALKING,
        "[inputs.kafkamq.skywalking]",
        "dk_endpoint = \"http://localhost:9529\"\ntopics = [\"skywalking-segments\"]",
    ),
    (
        &JAEGER,
        "[inputs.kafkamq.jaeger]",
        "dk_endpoint = \"http://localhost:9529\"\ntopics = [\"jaeger-spans\"]\nencoding = \"auto\"",
    ),
    (
        &OTEL,
        "[inputs.kafkamq.otel]",
        "dk_endpoint = \"http://localhost:9529\"\ntrace_topics = [\"otlp-spans\"]\nmetric_topics = [\"otlp-metrics\"]\nlog_topics = [\"otlp-logs\"]\ntrace_encoding = \"auto\"\nmetric_encoding = \"auto\"\nlog_encoding = \"auto\"",
    ),
    (
        &CUSTOM,
        "[inputs.kafkamq.custom]",
        "log_topic_map = { \"app-logs\" = \"app.p\" }",
    ),
    (
        &REMOTE_HANDLE,
        "[inputs.kafkamq.remote_handle]",
        "endpoint = \"http://localhost:9529/handle\"\ntopics = [\"handled\"]",
    ),
    (&TOPIC, "[inputs.kafkamq.topics.\"app-logs\"]", ""),
];

/// A configuration with every table, and `line` in the table `header`.
fn text(header: &str, line: &str) -> String {
    let name = line.split('=').next().unwrap_or_default().trim();
    let mut text = String::new();
    for (_, own, body) in TABLES {
        text.push_str(own);
        text.push('\n');
        let mine = *own == header;
        for given in body.lines() {
            let replaced = mine && given.split('=').next().unwrap_or_default().trim() == name;
            if !replaced {
                text.push_str(given);
                text.push('\n');
            }
        }
        if mine {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Keys that are not accepted alone, or that name files. Their tables say what their neighbours do.
const NEEDS_COMPANY: &[&str] = &[
    "ca_file",
    "client_ca",
    "client_cert",
    "client_key",
    "headers",
    "tls_cert",
    "tls_key",
    "encoding",
    "merge_records",
    "storage_index",
    "strict_error",
];

/// Another value than the default.
fn sample(key: &Key) -> String {
    let own = [
        ("heartbeat_interval", "\"2s\""),
        ("drain_timeout", "\"5s\""),
        ("offsets", "\"oldest\""),
        ("offset_out_of_range", "\"newest\""),
        ("connect_timeout", "\"1s\""),
        ("record_bytes", "\"1MiB\""),
        ("batch_bytes", "\"1MiB\""),
        ("level", "\"warn\""),
        ("listen", "\"127.0.0.1:1\""),
        ("name", "\"other\""),
        ("max_age_action", "\"drop\""),
        ("endpoint", "\"http://other:9529\""),
        ("dk_endpoint", "\"http://other:9529\""),
        ("topics", "[\"skywalking-metrics\"]"),
        ("tls_enable", "false"),
        ("kind", "\"none\""),
        ("backoff_min", "\"200ms\""),
        ("categories", "[\"metric\"]"),
        ("header_check", "\"strict\""),
        ("split_pointer", "\"/records\""),
        ("thread", "4"),
    ];
    if let Some((_, value)) = own.iter().find(|(name, _)| *name == key.name) {
        return (*value).to_owned();
    }
    let number = key.default.parse::<u64>().unwrap_or(6) + 1;
    match key.kind {
        Kind::Flag => (key.default != "true").to_string(),
        Kind::Integer => number.to_string(),
        Kind::Number => "0.25".to_owned(),
        Kind::Duration => "\"77s\"".to_owned(),
        Kind::Bytes => "\"77MiB\"".to_owned(),
        Kind::StatusList => "[418]".to_owned(),
        Kind::Choice(words) => {
            let default = key.default.trim_matches('"');
            let other = words.iter().rev().find(|word| **word != default);
            format!("\"{}\"", other.copied().unwrap_or_default())
        }
        Kind::FlagTable => "{ a = true }".to_owned(),
        _ if !key.example.is_empty() => key.example.to_owned(),
        _ => "\"other\"".to_owned(),
    }
}

/// When the plan says that the change takes effect; `None` if it says that nothing changes.
fn planned(plan: &Plan) -> Option<TakesEffect> {
    let client = |action| plan.inputs.iter().any(|input| input.action == action);
    let settles = plan.routes.iter().any(|route| route.settles_first);
    if client(InputAction::Recreate) || client(InputAction::Start) {
        Some(TakesEffect::NewClient)
    } else if !plan.in_place.is_empty() && plan.destinations.is_empty() && !settles {
        Some(TakesEffect::InPlace)
    } else if !plan.routes.is_empty()
        || !plan.destinations.is_empty()
        || client(InputAction::Subscribe)
    {
        Some(TakesEffect::Route)
    } else if plan
        .at_next_start
        .iter()
        .any(|key| key.starts_with("shop: "))
    {
        Some(TakesEffect::NextClient)
    } else if !plan.at_next_start.is_empty() {
        Some(TakesEffect::NextStart)
    } else {
        None
    }
}

/// Why the key does not take effect when its table says; `None` if it does or says nothing here.
fn wrong(table: &Table, header: &str, key: &Key) -> Option<String> {
    let output = header == OUTPUT.header && key.name == "kind";
    let value = if output {
        "\"stdout\"".to_owned()
    } else {
        sample(key)
    };
    let line = format!("{} = {value}", key.name);
    let loaded = match load(&Sources::new().text("test", text(header, &line))) {
        Ok(loaded) => loaded,
        Err(error) => return Some(format!("{header} {line}: {error}")),
    };
    let old = settings(&text("", ""));
    // Without the keys that it belongs to it says nothing to the service.
    if loaded.settings == old {
        return None;
    }
    let before = RouteTable::compile(&old, 1).unwrap();
    let mut after = RouteTable::compile(&loaded.settings, 2).unwrap();
    after.inherit(&before);
    let both = ((&old, &before), (&loaded.settings, &after));
    let plan = Plan::between(both.0, both.1, ScriptsPlan::default());
    let (planned, expected) = (planned(&plan), table.effect_of(key));
    let summary = &plan.summary;
    (planned != Some(expected))
        .then(|| format!("{header} {line}: {planned:?}, not {expected:?} ({summary})"))
}

#[test]
fn every_key_takes_effect_when_its_table_says() {
    let keys = TABLES.iter().flat_map(|(table, header, _)| {
        // The plan is given what becomes of the script engine.
        let engine = |key: &&Key| *header == "[pipeline]" && key.takes_effect.is_none();
        table
            .keys()
            .filter(move |key| !engine(key) && !NEEDS_COMPANY.contains(&key.name))
            .map(move |key| (*table, *header, key))
    });
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() > 200, "{} keys", keys.len());
    let found: Vec<String> = keys
        .into_iter()
        .filter_map(|(table, header, key)| wrong(table, header, key))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
