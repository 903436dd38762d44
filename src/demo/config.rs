//! The demonstration's configuration: a file as an operator would write it.

use std::path::Path;

use anyhow::Context as _;
use kafkamq_testbed::Addresses;

use kafkamq_settings::{self, Loaded, Sources};

/// Lines of level `debug` are not worth keeping.
const LOG_SCRIPT: &str = r#"doc = load_json(_)
level = doc["level"]
if level == "debug" {
    drop()
}
add_key(status, level)
service = doc["service"]
set_tag(service)
"#;

/// From `{"time":…,"dimensions":{…},"metrics":{…}}` to tags and fields.
const METRIC_SCRIPT: &str = r#"doc = load_json(_)
for name in doc["dimensions"] {
    pt_kvs_set(name, doc["dimensions"][name], true)
}
for name in doc["metrics"] {
    pt_kvs_set(name, doc["metrics"][name])
}
drop_key(message)
drop_key(message_len)
drop_key(offset)
drop_key(partition)
"#;

/// Writes the scripts below `folder` and loads the configuration.
pub(super) fn load(
    bootstrap: &str,
    receivers: &Addresses,
    folder: &Path,
) -> anyhow::Result<(Loaded, Sources)> {
    let metrics = folder.join("pipeline/metric");
    std::fs::create_dir_all(&metrics).context("the demonstration's scripts")?;
    std::fs::write(folder.join("pipeline/app-logs.p"), LOG_SCRIPT)?;
    std::fs::write(metrics.join("app-metrics.p"), METRIC_SCRIPT)?;
    let sources = Sources::new().text("demo", text(bootstrap, receivers, folder));
    let loaded = kafkamq_settings::load(&sources)
        .map_err(|found| anyhow::anyhow!("the demonstration's configuration:\n{found}"))?;
    Ok((loaded, sources))
}

fn text(bootstrap: &str, receivers: &Addresses, folder: &Path) -> String {
    let Addresses {
        datakit, handle, ..
    } = receivers;
    let folder = folder.display();
    format!(
        r#"
[server]
listen = "127.0.0.1:0"

[log]
level = "warn"

[pipeline]
path = "{folder}/pipeline"

[dead_letter]
path = "{folder}/dead-letters"

[output]
kind = "datakit"
endpoint = "http://{datakit}"

[[inputs.kafkamq]]
name = "demo"
addrs = ["{bootstrap}"]
group_id = "kafkamq-demo"
offsets = "oldest"

[inputs.kafkamq.skywalking]
dk_endpoint = "http://{datakit}"
topics = ["skywalking-segments", "skywalking-metrics", "skywalking-logging",
  "skywalking-managements", "skywalking-meters", "skywalking-profilings"]

[inputs.kafkamq.jaeger]
dk_endpoint = "http://{datakit}"
topics = ["jaeger-batches"]
encoding = "thrift"

[inputs.kafkamq.otel]
dk_endpoint = "http://{datakit}"
trace_topics = ["otlp_spans"]
metric_topics = ["otlp_metrics"]
log_topics = ["otlp_logs"]

[inputs.kafkamq.custom]
spilt_json_body = false
[inputs.kafkamq.custom.log_topic_map]
"app-logs" = "app-logs.p"
"app-log-batches" = "-"
[inputs.kafkamq.custom.metric_topic_map]
"app-metrics" = "app-metrics.p"
[inputs.kafkamq.custom.rum_topic_map]
"web-rum" = "-"
[inputs.kafkamq.custom.spilt_topic_map]
"app-log-batches" = true

[inputs.kafkamq.remote_handle]
endpoint = "http://{handle}/"
topics = ["device-frames"]
send_message_count = 100

[[inputs.kafkamq]]
name = "demo-jaeger-spans"
addrs = ["{bootstrap}"]
group_id = "kafkamq-demo-jaeger-spans"
offsets = "oldest"

[inputs.kafkamq.jaeger]
dk_endpoint = "http://{datakit}"
topics = ["jaeger-spans"]
encoding = "protobuf"

[[inputs.kafkamq]]
name = "demo-jaeger-json"
addrs = ["{bootstrap}"]
group_id = "kafkamq-demo-jaeger-json"
offsets = "oldest"

[inputs.kafkamq.jaeger]
dk_endpoint = "http://{datakit}"
topics = ["jaeger-spans-json"]
encoding = "json"

[[inputs.kafkamq]]
name = "demo-checked"
addrs = ["{bootstrap}"]
group_id = "kafkamq-demo-checked"
offsets = "oldest"

[inputs.kafkamq.remote_handle]
endpoint = "http://{handle}/"
topics = ["device-frames-checked"]
send_message_count = 100
header_check = true
"#
    )
}
