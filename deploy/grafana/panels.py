"""The panels of the dashboard: what each asks, and how it is shown."""

WIDTH = 24


def of(labels=""):
    """The selector that every query has, with more labels."""
    return '{job=~"$job", instance=~"$instance"' + (f", {labels}" if labels else "") + "}"


TOPIC = 'topic=~"$topic"'


def rate(metric, labels=""):
    return f"rate({metric}{of(labels)}[$__rate_interval])"


def query(expr, legend):
    return {"expr": expr, "legendFormat": legend}


def panel(kind, title, about, queries, unit, width, height, options, defaults):
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": {"type": "prometheus", "uid": "${datasource}"}, **one}
            for number, one in enumerate(queries)
        ],
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": []},
        "options": options,
        "gridPos": {"w": width, "h": height},
    }


def graph(title, about, queries, unit="short", width=8, stacked=False, floor=0):
    custom = {"fillOpacity": 10, "showPoints": "never", "lineWidth": 1}
    if stacked:
        custom["stacking"] = {"mode": "normal"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, about, queries, unit, width, 8, options, {"min": floor, "custom": custom})


def stat(title, about, expr, unit="short", width=4, steps=None, mappings=None):
    """One figure. `steps` are its colours from a value on."""
    steps = steps or [("text", None)]
    defaults = {
        "thresholds": {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]},
        "mappings": mappings or [],
        # Unknown is not zero.
        "noValue": "unknown",
    }
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "none"}
    return panel("stat", title, about, [query(expr, "")], unit, width, 4, options, defaults)


def states(title, about, queries, names, width=12):
    """Bars of states over time. `names` are (value, word, colour)."""
    mappings = [
        {"type": "value", "options": {str(value): {"text": word, "color": colour} for value, word, colour in names}}
    ]
    options = {"showValue": "auto", "rowHeight": 0.8, "legend": {"displayMode": "list", "placement": "bottom"}}
    return panel("state-timeline", title, about, queries, "short", width, 8, options, {"mappings": mappings})


GOOD, BAD = "green", "red"
ZERO_IS_WELL = [(GOOD, None), (BAD, 1)]

ROWS = [
    (
        "Is it well?",
        [
            stat("Members", "Members that Prometheus reaches.", f"sum(up{of()})", steps=[(BAD, None), (GOOD, 1)]),
            stat(
                "Records that wait",
                "Lag of all topics, where it is known.",
                f"sum(kafkamq_consumer_lag{of(TOPIC)})",
            ),
            stat(
                "Inputs outside their group",
                "They read nothing.",
                f"count(kafkamq_input_joined{of()}) - sum(kafkamq_input_joined{of()})",
                steps=ZERO_IS_WELL,
            ),
            stat(
                "Destinations in trouble",
                "Backing off or in alarm, counted for each member.",
                f"count(kafkamq_destination_state{of()} > 0) or 0 * count(kafkamq_destination_state{of()})",
                steps=ZERO_IS_WELL,
            ),
            stat(
                "Blocked partitions",
                "Not read for some seconds, or not committed.",
                f"sum(kafkamq_partition_blocked{of(TOPIC)}) or 0 * sum(up{of()})",
                steps=[(GOOD, None), ("orange", 1)],
            ),
            stat(
                "Dead letters in 24 h",
                "Records that could be neither processed nor delivered.",
                f'sum(increase(kafkamq_records_processed_total{of(TOPIC + ", outcome=" + chr(34) + "dead_lettered" + chr(34))}[24h]))',
                steps=[(GOOD, None), ("orange", 1)],
            ),
        ],
    ),
    (
        "Flow",
        [
            graph(
                "Records read",
                "From Kafka, by topic.",
                [query(f"sum by (topic) ({rate('kafkamq_records_received_total', TOPIC)})", "{{topic}}")],
                "cps",
            ),
            graph(
                "What became of them",
                "Every record that is settled has one outcome.",
                [query(f"sum by (outcome) ({rate('kafkamq_records_processed_total', TOPIC)})", "{{outcome}}")],
                "cps",
                stacked=True,
            ),
            graph(
                "Bytes read",
                "Keys and values.",
                [query(f"sum by (topic) ({rate('kafkamq_received_bytes_total', TOPIC)})", "{{topic}}")],
                "Bps",
            ),
            graph(
                "Lag by topic",
                "Records that wait in Kafka. No line where it is not known.",
                [query(f"sum by (topic) (kafkamq_consumer_lag{of(TOPIC)})", "{{topic}}")],
            ),
            graph(
                "Partitions with the most lag",
                "One that stands out has keys that are not spread, or is blocked.",
                [query(f"topk(10, kafkamq_consumer_lag{of(TOPIC)})", "{{topic}}/{{partition}}")],
            ),
            graph(
                "Partitions that are not read",
                "By cause. in_flight: the destination is the brake. No line: all are read.",
                [
                    query(
                        f"sum by (topic, cause) (kafkamq_partition_blocked{of(TOPIC)})",
                        "{{topic}}: {{cause}}",
                    )
                ],
                stacked=True,
            ),
            graph(
                "Waiting for credits",
                "Partitions that are not read because their records in flight are not settled.",
                [query(f"sum by (topic) ({rate('kafkamq_backpressure_seconds_total', TOPIC)})", "{{topic}}")],
                "short",
            ),
            graph(
                "Batches in flight",
                "Not settled yet.",
                [query(f"sum by (topic) (kafkamq_batches_in_flight{of(TOPIC)})", "{{topic}}")],
            ),
            graph(
                "Parts left out by a rule",
                "Elements and points whose record went on without them.",
                [
                    query(
                        f"sum by (topic, rule) ({rate('kafkamq_parts_left_out_total', TOPIC)})", "{{topic}}: {{rule}}"
                    )
                ],
                "cps",
            ),
        ],
    ),
    (
        "Destinations",
        [
            states(
                "State",
                "By destination and member.",
                [query(f"kafkamq_destination_state{of()}", "{{destination}} ({{instance}})")],
                [(0, "up", GOOD), (1, "backing off", "orange"), (2, "alarm", BAD)],
            ),
            graph(
                "Refusing for",
                "How long a destination, or its first suspect, has been refused.",
                [
                    query(
                        f"(time() - kafkamq_destination_refusing_since_seconds{of()})"
                        f" * (kafkamq_destination_refusing_since_seconds{of()} > bool 0)",
                        "{{destination}} ({{instance}})",
                    )
                ],
                "s",
                width=12,
            ),
            graph(
                "Points",
                "Delivered and refused for good.",
                [
                    query(
                        f"sum by (destination, outcome) ({rate('kafkamq_points_forwarded_total')})",
                        "{{destination}}: {{outcome}}",
                    )
                ],
                "cps",
            ),
            graph(
                "Requests by status",
                "HTTP status, or the layer that failed.",
                [
                    query(
                        f"sum by (destination, status) ({rate('kafkamq_requests_total')})",
                        "{{destination}}: {{status}}",
                    )
                ],
                "reqps",
            ),
            graph(
                "Time of a request",
                "From sending to the answer: median and 99 %.",
                [
                    query(
                        f"histogram_quantile({share}, sum by (destination, le) ({rate('kafkamq_delivery_seconds_bucket')}))",
                        f"{{{{destination}}}} {word}",
                    )
                    for share, word in ((0.5, "50 %"), (0.99, "99 %"))
                ],
                "s",
            ),
            graph(
                "Retries",
                "Requests sent again, by the class of the failure.",
                [
                    query(
                        f"sum by (destination, reason) ({rate('kafkamq_delivery_retries_total')})",
                        "{{destination}}: {{reason}}",
                    )
                ],
                "reqps",
            ),
            graph(
                "Items that wait",
                "Queued or in a request under way.",
                [query(f"sum by (destination) (kafkamq_destination_queued_items{of()})", "{{destination}}")],
            ),
            graph(
                "Requests at once",
                "As found out by answers.",
                [
                    query(
                        f"max by (destination, instance) (kafkamq_destination_concurrency{of()})",
                        "{{destination}} ({{instance}})",
                    )
                ],
            ),
            graph(
                "Suspects",
                "Requests that are refused time and again.",
                [query(f"sum by (destination) (kafkamq_destination_suspects{of()})", "{{destination}}")],
            ),
            graph(
                "Points dropped",
                "Of outputs that are not required, or of aggregation.",
                [
                    query(
                        f"sum by (destination, reason) ({rate('kafkamq_destination_dropped_total')})",
                        "{{destination}}: {{reason}}",
                    )
                ],
                "cps",
            ),
            graph(
                "Elements refused inside accepted requests",
                "Partial success of a receiver.",
                [query(f"sum by (destination) ({rate('kafkamq_partial_rejections_total')})", "{{destination}}")],
                "cps",
            ),
        ],
    ),
    (
        "Scripts and dead letters",
        [
            graph(
                "Dead letters",
                "By topic and the stage at which the record failed.",
                [query(f"sum by (topic, stage) ({rate('kafkamq_dead_letters_total', TOPIC)})", "{{topic}}: {{stage}}")],
                "cps",
            ),
            graph(
                "Dead letters that cannot be written",
                "Failed attempts a second, and letters that wait.",
                [
                    query(f"sum({rate('kafkamq_dead_letter_failures_total')})", "failures a second"),
                    query(f"sum(kafkamq_dead_letters_open{of()})", "open"),
                ],
            ),
            graph(
                "Script errors",
                "By script and code.",
                [query(f"sum by (script, code) ({rate('kafkamq_script_errors_total')})", "{{script}}: {{code}}")],
                "cps",
            ),
            graph(
                "Values that could not be split",
                "By topic.",
                [query(f"sum by (topic) ({rate('kafkamq_split_failures_total', TOPIC)})", "{{topic}}")],
                "cps",
            ),
            graph(
                "Kept by scripts",
                "Aggregation and caches, between runs.",
                [query(f"sum by (instance, kind) (kafkamq_script_kept_bytes{of()})", "{{instance}}: {{kind}}")],
                "bytes",
            ),
            graph(
                "Values refused by aggregation",
                "There was no room for a new group or field.",
                [query(f"sum by (instance) ({rate('kafkamq_script_refused_values_total')})", "{{instance}}")],
                "cps",
            ),
        ],
    ),
    (
        "Kafka",
        [
            states(
                "Member of its group",
                "By input and member.",
                [query(f"kafkamq_input_joined{of()}", "{{input}} ({{instance}})")],
                [(0, "outside", BAD), (1, "joined", GOOD)],
            ),
            graph(
                "Rebalances",
                "Changes of the assignment, in ten minutes.",
                [query(f"sum by (input, kind) (increase(kafkamq_rebalances_total{of()}[10m]))", "{{input}}: {{kind}}")],
                width=12,
            ),
            graph(
                "Commits",
                "By outcome.",
                [query(f"sum by (input, outcome) ({rate('kafkamq_commits_total')})", "{{input}}: {{outcome}}")],
                "cps",
            ),
            graph(
                "Errors of the client",
                "As the Kafka client reports them. No line: none.",
                [query(f"sum by (input) ({rate('kafkamq_kafka_errors_total')})", "{{input}}")],
                "cps",
            ),
            graph(
                "Offsets skipped",
                "Records that were gone before they were read.",
                [query(f"sum by (topic) (increase(kafkamq_offsets_skipped_total{of(TOPIC)}[10m]))", "{{topic}}")],
            ),
            graph(
                "New records in Kafka",
                "Growth of the log ends; beside it what is committed.",
                [
                    query(
                        f"sum by (topic) (deriv(kafkamq_high_watermark_offset{of(TOPIC)}[5m]))", "{{topic}}: produced"
                    ),
                    query(f"sum by (topic) (deriv(kafkamq_committed_offset{of(TOPIC)}[5m]))", "{{topic}}: committed"),
                ],
                "cps",
                width=12,
            ),
            graph(
                "Partitions folded",
                "1 where topics have one series instead of one for each partition.",
                [query(f"kafkamq_partition_series_folded{of()}", "{{instance}}")],
                width=12,
            ),
        ],
    ),
    (
        "Process",
        [
            graph(
                "Processor",
                "Processors in use.",
                [query(rate("process_cpu_seconds_total"), "{{instance}}")],
            ),
            graph(
                "Memory",
                "The process as a whole; what records in flight are charged; what clients have fetched.",
                [
                    query(f"process_resident_memory_bytes{of()}", "{{instance}}: process"),
                    query(f"kafkamq_memory_charged_bytes{of()}", "{{instance}}: charged"),
                    query(f"sum by (instance) (kafkamq_prefetched_bytes{of()})", "{{instance}}: fetched"),
                    query(f"sum by (instance) (kafkamq_in_flight_bytes{of()})", "{{instance}}: in flight"),
                ],
                "bytes",
            ),
            graph(
                "File descriptors",
                "Open, as a part of those allowed.",
                [query(f"process_open_fds{of()} / process_max_fds{of()}", "{{instance}}")],
                "percentunit",
            ),
            graph(
                "Threads",
                "Of the process.",
                [query(f"process_threads{of()}", "{{instance}}")],
            ),
            graph(
                "Crashes of parts",
                # The series begins with the first crash, which an increase would not see.
                "Parts that died and were started again, since the process began. No line: none.",
                [query(f"sum by (actor) (kafkamq_actor_restarts_total{of()})", "{{actor}}")],
            ),
            graph(
                "Up for",
                "A fall is a restart.",
                [query(f"time() - process_start_time_seconds{of()}", "{{instance}}")],
                "s",
            ),
        ],
    ),
    (
        "Configuration",
        [
            states(
                "Last change",
                "Whether it was accepted.",
                [query(f"kafkamq_config_last_reload_success{of()}", "{{instance}}")],
                [(0, "refused", BAD), (1, "in force", GOOD)],
            ),
            graph(
                "Revision",
                "Number of the configuration that runs.",
                [query(f"kafkamq_config_revision{of()}", "{{instance}}")],
                width=12,
            ),
            graph(
                "Changes",
                "Attempts since the process began, by origin and result. No line: none.",
                [
                    query(
                        f"sum by (origin, result) (kafkamq_config_reloads_total{of()})",
                        "{{origin}}: {{result}}",
                    )
                ],
            ),
            graph(
                "Time of a change",
                "From the request until it is in force, 99 %.",
                [
                    query(
                        f"histogram_quantile(0.99, sum by (le) (increase(kafkamq_config_reload_seconds_bucket{of()}[1h])))",
                        "99 %",
                    )
                ],
                "s",
            ),
            graph(
                "Versions",
                "Members by version.",
                [query(f"count by (version) (kafkamq_build_info{of()})", "{{version}}")],
                stacked=True,
            ),
            graph(
                "Recorder",
                "Copies of points; dropped ones are missing in its files.",
                [query(f"sum by (outcome) ({rate('kafkamq_recorder_points_total')})", "{{outcome}}")],
                "cps",
            ),
        ],
    ),
]
