#!/usr/bin/env python3
"""Writes the Grafana dashboard of kafkamq.

    python3 deploy/grafana/dashboard.py             # writes kafkamq.json beside this file
    python3 deploy/grafana/dashboard.py --check     # fails if kafkamq.json is not what it would write,
                                                    # or if a query names a metric or label that does not exist
    python3 deploy/grafana/dashboard.py --queries   # every query, one a line, without Grafana's variables
    python3 deploy/grafana/dashboard.py --ask URL   # asks a Prometheus every query and says what each gave

Nothing but Python's own library is needed.
"""

import json
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

# So that running it leaves nothing behind.
sys.dont_write_bytecode = True

from panels import ROWS, WIDTH, of

HERE = pathlib.Path(__file__).resolve().parent
FILE = HERE / "kafkamq.json"
METRICS = HERE / "../../docs/metrics.md"

# Of Prometheus itself and of the process, which the table of metrics does not list.
OTHERS = {
    "up": set(),
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
    "process_threads": set(),
    "process_start_time_seconds": set(),
}
SCRAPE_LABELS = {"job", "instance", "le"}


def variable(name, label, expr):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": expr, "refId": name},
        "definition": expr,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def placed():
    """All panels, each where it belongs."""
    panels, y = [], 0
    for title, members in ROWS:
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}}
        )
        y += 1
        x = height = 0
        for member in members:
            place = member["gridPos"]
            if x + place["w"] > WIDTH:
                x, y, height = 0, y + height, 0
            panels.append({**member, "gridPos": {"x": x, "y": y, **place}})
            x += place["w"]
            height = max(height, place["h"])
        y += height
    return [{"id": number, **one} for number, one in enumerate(panels, 1)]


def dashboard():
    jobs = "label_values(kafkamq_build_info, job)"
    return {
        "uid": "kafkamq",
        "title": "kafkamq",
        "description": "Written by deploy/grafana/dashboard.py: change that, not this.",
        "tags": ["kafkamq"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                variable("job", "Job", jobs),
                variable("instance", "Member", 'label_values(kafkamq_build_info{job=~"$job"}, instance)'),
                variable(
                    "topic",
                    "Topic",
                    'label_values(kafkamq_records_received_total{job=~"$job", instance=~"$instance"}, topic)',
                ),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Configuration changed",
                    "datasource": {"type": "prometheus", "uid": "${datasource}"},
                    "enable": True,
                    "iconColor": "blue",
                    "expr": f"changes(kafkamq_config_revision{of()}[1m]) > 0",
                    "titleFormat": "new revision on {{instance}}",
                }
            ]
        },
        "panels": placed(),
    }


def queries():
    """(title, expression) of every query, variables replaced by everything."""
    found = [
        (one["title"], target["expr"]) for _, members in ROWS for one in members for target in one["targets"]
    ]
    found += [(one["name"], one["expr"]) for one in dashboard()["annotations"]["list"]]
    plain = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$topic": ".*"}
    for title, expr in found:
        for name, value in plain.items():
            expr = expr.replace(name, value)
        yield title, expr


def known():
    """The metrics of docs/metrics.md with their labels."""
    metrics = dict(OTHERS)
    row = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|")
    for line in METRICS.read_text().splitlines():
        if match := row.match(line):
            name, kind, labels = match.groups()
            labels = set(re.findall(r"`(\w+)`", labels))
            for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                metrics[name + suffix] = labels
    return metrics


def mistakes():
    metrics = known()
    for title, expr in queries():
        names = set(re.findall(r"\b((?:kafkamq|datakit|process)_\w+|up)\b(?=\{)", expr))
        if not names:
            yield f"{title}: no metric in {expr}"
        for name in sorted(names - set(metrics)):
            yield f"{title}: {name} is not in docs/metrics.md"
        allowed = SCRAPE_LABELS.union(*(metrics.get(name, set()) for name in names))
        labels = set(re.findall(r"(\w+)\s*=~?\"", expr))
        for group in re.findall(r"\bby \(([^)]*)\)", expr):
            labels |= {label.strip() for label in group.split(",")}
        for label in sorted(labels - allowed):
            yield f"{title}: {label} is not a label of {', '.join(sorted(names))}"


def shown_nowhere():
    """Metrics of ours that no query asks for. That is allowed."""
    asked = {word for _, expr in queries() for word in re.findall(r"kafkamq_\w+", expr)}
    suffixes = ("", "_bucket", "_sum", "_count")
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known() if name.startswith("kafkamq_")}
    return sorted(name for name in names if not any(name + suffix in asked for suffix in suffixes))


def ask(prometheus):
    """Asks every query; returns whether none failed."""
    failed = 0
    for title, expr in queries():
        url = f"{prometheus.rstrip('/')}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                series = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            failed += 1
            print(f"error    {title}: {json.load(error).get('error')}: {expr}")
            continue
        print(f"{len(series):4} rows  {title}" if series else f"no data    {title}: {expr}")
    return failed == 0


def main():
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    match sys.argv[1:]:
        case []:
            FILE.write_text(text)
        case ["--check"]:
            wrong = list(mistakes())
            if FILE.read_text() != text:
                wrong.append("kafkamq.json is not what dashboard.py writes: run it")
            for name in shown_nowhere():
                print(f"note: {name} is on no panel")
            print("\n".join(wrong) or f"{sum(1 for _ in queries())} queries, every metric and label exists")
            return int(bool(wrong))
        case ["--queries"]:
            for title, expr in queries():
                print(f"{title}\t{expr}")
        case ["--ask", prometheus]:
            return int(not ask(prometheus))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
