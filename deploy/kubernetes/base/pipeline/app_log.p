# Log lines as JSON: {"ts": "2025-01-31T08:00:00Z", "level": "WARN", "service": "cart", "msg": "slow"}
# What is no JSON object stays a plain log line.
data = load_json(message)

if value_type(data) == "map" {
    # The cheapest record is the one that is not stored.
    if data["level"] == "TRACE" {
        drop()
        exit()
    }

    add_key(status, data["level"])
    service = data["service"]
    set_tag(service, service)

    # The time of the event, not of its arrival. The service takes it out of the fields.
    if data["ts"] != nil {
        add_key(time, data["ts"])
        default_time(time)
    }

    add_key(message, data["msg"])
}

# How long the line was and where it lay is seldom worth storing.
drop_key(message_len)
drop_key(offset)
drop_key(partition)
