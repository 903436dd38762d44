use super::*;

mod keys;

use kafkamq_settings::{Sources, load};

const BASE: &str = r#"
[output]
endpoint = "http://localhost:9529"
[[inputs.kafkamq]]
name = "shop"
addrs = ["kafka:9092"]
group_id = "shop"
[inputs.kafkamq.skywalking]
dk_endpoint = "http://localhost:9529"
topics = ["skywalking-segments"]
[inputs.kafkamq.custom.log_topic_map]
"app-logs" = "app.p"
"#;

fn settings(text: &str) -> Settings {
    load(&Sources::new().text("test", text)).unwrap().settings
}

fn between(old: &str, new: &str) -> Plan {
    let (old, new) = (settings(old), settings(new));
    let before = RouteTable::compile(&old, 1).unwrap();
    let mut after = RouteTable::compile(&new, 2).unwrap();
    after.inherit(&before);
    Plan::between((&old, &before), (&new, &after), ScriptsPlan::default())
}

fn replaced(from: &str, to: &str) -> Plan {
    assert!(BASE.contains(from), "{from}");
    between(BASE, &BASE.replacen(from, to, 1))
}

#[test]
fn the_same_is_not_a_change() {
    let plan = between(BASE, BASE);
    assert!(plan.is_empty());
    assert_eq!(plan.summary, "nothing changes");
}

#[test]
fn each_kind_of_change_touches_what_it_must() {
    let limits = format!("{BASE}[limits]\nbatch_records = 5\n");
    let other = format!(
        "{BASE}[[inputs.kafkamq]]\naddrs = [\"kafka:9092\"]\ngroup_id = \"other\"\n\
         [inputs.kafkamq.otel]\ndk_endpoint = \"http://localhost:9529\"\ntrace_topics = [\"spans\"]\n"
    );
    let plans = [
        ("a script", replaced("\"app.p\"", "\"other.p\"")),
        ("limits", between(BASE, &limits)),
        (
            "sampling",
            replaced(
                "group_id = \"shop\"",
                "group_id = \"shop\"\nsampling_rate = 0.5",
            ),
        ),
        (
            "an address",
            replaced("http://localhost:9529\"\n[[", "http://datakit:9529\"\n[["),
        ),
        (
            "connections",
            replaced("[output]", "[output]\nconnect_timeout = \"1s\""),
        ),
        (
            "a batch size",
            replaced("[output]", "[output]\nbatch_points = 5"),
        ),
        (
            "lanes",
            replaced("topics = [\"sky", "thread = 4\ntopics = [\"sky"),
        ),
        (
            "a topic more",
            replaced("\"app-logs\"", "\"more-logs\" = \"-\"\n\"app-logs\""),
        ),
        (
            "a topic more, incrementally",
            between(
                &BASE.replace("group_id", "assignor = \"sticky\"\ngroup_id"),
                &BASE
                    .replace("group_id", "assignor = \"sticky\"\ngroup_id")
                    .replace("\"app-logs\"", "\"more-logs\" = \"-\"\n\"app-logs\""),
            ),
        ),
        ("brokers", replaced("kafka:9092", "kafka:9093")),
        ("an input more", between(BASE, &other)),
        ("an input less", between(&other, BASE)),
        (
            "the next start",
            between(BASE, &format!("{BASE}[server]\nlisten = \"127.0.0.1:1\"\n")),
        ),
    ];
    let text: String = plans
        .iter()
        .map(|(what, plan)| format!("{what}: {}\n", plan.summary))
        .collect();
    insta::assert_snapshot!(text);
    insta::assert_json_snapshot!("the_plan_of_an_address", plans[3].1);
    let settles = |at: usize| plans[at].1.routes.iter().any(|route| route.settles_first);
    assert!(
        settles(3) && settles(6),
        "what leads elsewhere is settled first"
    );
    assert!(
        !settles(0) && !settles(2) && !settles(4),
        "what goes the same way is not"
    );
}

#[test]
fn memory_is_credits_now_and_prefetch_with_the_next_client() {
    let with = |memory: &str, group: &str| {
        let text = BASE.replacen("group_id = \"shop\"", &format!("group_id = \"{group}\""), 1);
        format!("{text}[limits]\nmemory = \"{memory}\"\npartitions = 100\n")
    };
    let plan = between(&with("64MiB", "shop"), &with("128MiB", "shop"));
    assert_eq!(
        plan.in_place,
        ["limits.memory: credits of records in flight"]
    );
    assert_eq!(
        plan.at_next_start,
        ["shop: limits.memory: prefetch, with the next client"]
    );
    // A client that is made anew takes it up, and beyond its bounds the prefetch stays what it is.
    let plan = between(&with("64MiB", "shop"), &with("128MiB", "other"));
    assert_eq!(plan.at_next_start, [""; 0]);
    let plan = between(&with("1GiB", "shop"), &with("2GiB", "shop"));
    assert_eq!((plan.in_place.len(), plan.at_next_start.len()), (1, 0));
}

#[test]
fn what_waits_for_the_next_start_keeps_its_running_value() {
    let running = settings(BASE);
    let text = format!(
        "{BASE}[server]\nworkers = 9\nallow_changes = false\n[limits]\nbatch_records = 5\n"
    );
    let effective = deferred(&running, &settings(&text));
    assert_eq!(effective.server.workers, running.server.workers);
    assert!(!effective.server.allow_changes);
    assert_eq!(effective.limits.batch_records, 5);
}
