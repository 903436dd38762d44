# Metrics as JSON: {"time": 1666492218, "dimensions": {"ip": "10.0.0.7"}, "metrics": {"cpu_usage_pct": 0.01}}
data = load_json(message)

set_measurement("host")
ip = data["dimensions"]["ip"]
set_tag(ip, ip)

# Every metric becomes a field of its own name; texts cannot be fields of a metric.
for name in data["metrics"] {
    value = data["metrics"][name]
    if value_type(value) != "str" {
        pt_kvs_set(name, value)
    }
}

# The time of the measurement, in whatever unit it comes.
add_key(time, data["time"])
default_time(time)

drop_key(message)
drop_key(message_len)
drop_key(offset)
drop_key(partition)
