data = load_json(_)
tags = data["dimensions"]
for k in tags {
    pt_kvs_set(k, tags[k], as_tag=true)
}
metrics = data["metrics"]
for k in metrics {
    pt_kvs_set(k, metrics[k])
}
pt_kvs_set("time", data["time"])
drop_origin_data()
