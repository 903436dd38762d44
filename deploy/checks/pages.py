#!/usr/bin/env python3
"""Checks what alerts, runbooks and documents say about each other and about the program.

    python3 deploy/checks/pages.py

* Each alert has one page in docs/runbooks, with its four parts, a line in the list, and a test in which it fires.
* Metrics that rules, tests and pages name exist in docs/metrics.md.
* Links of the pages lead somewhere.
* Whoever ends the program waits longer than it needs.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
PARTS = ["What it means", "How to see it", "What to do", "How it clears"]
# Closing clients, points of aggregation, the recorder, connections: what a stop takes beyond drain_timeout.
AFTER_DRAIN = 20
DRAIN = 10


def read(path):
    return (ROOT / path).read_text()


def alerts():
    text = read("deploy/prometheus/alerts.yml")
    names = re.findall(r"- alert: (\w+)", text)
    urls = re.findall(r"runbook_url: (\S+)", text)
    for name, url in zip(names, urls, strict=True):
        if url != f"docs/runbooks/{name}.md":
            yield f"alerts.yml: {name} links to {url}"
    pages = {path.stem for path in RUNBOOKS.glob("Kafkamq*.md")}
    for name in sorted(set(names) - pages):
        yield f"docs/runbooks: {name}.md is missing"
    for name in sorted(pages - set(names)):
        yield f"docs/runbooks: {name}.md is about no alert"
    index = read("docs/runbooks/README.md")
    severities = dict(zip(names, re.findall(r"severity: (\w+)", text), strict=True))
    for name in names:
        if f"| [{name}]({name}.md) | {severities[name]} |" not in index:
            yield f"docs/runbooks/README.md: no line for {name} ({severities[name]})"
        page = RUNBOOKS / f"{name}.md"
        if page.exists() and re.findall(r"^## (.*)$", page.read_text(), re.M) != PARTS:
            yield f"docs/runbooks/{name}.md does not have the parts {PARTS}"
    tests = read("deploy/prometheus/alerts_test.yml")
    fire = set(re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:", tests))
    for name in sorted(set(names) - fire):
        yield f"alerts_test.yml: there is no case in which {name} fires"


def metrics():
    known = set(re.findall(r"^\| `(\w+)` \|", read("docs/metrics.md"), re.M))
    files = ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts_test.yml", "deploy/README.md"]
    files += [str(path.relative_to(ROOT)) for path in RUNBOOKS.glob("*.md")]
    for path in files:
        for name in sorted(set(re.findall(r"\bkafkamq_[a-z_]+\b", read(path)))):
            if re.sub(r"_(bucket|sum|count)$", "", name) not in known:
                yield f"{path}: {name} is not in docs/metrics.md"


def links():
    for path in [ROOT / "deploy/README.md", *RUNBOOKS.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: {target} does not exist"


def grace():
    wanted = {
        "deploy/compose.yaml": r"stop_grace_period: (\d+)s",
        "deploy/kubernetes/base/statefulset.yaml": r"terminationGracePeriodSeconds: (\d+)",
        "deploy/systemd/kafkamq.service": r"TimeoutStopSec=(\d+)",
    }
    for path, pattern in wanted.items():
        found = re.search(pattern, read(path))
        if not found or int(found[1]) < DRAIN + AFTER_DRAIN:
            yield f"{path}: a stop may take {DRAIN + AFTER_DRAIN} s, and it is given {found and found[1]}"


def main():
    wrong = [one for check in (alerts, metrics, links, grace) for one in check()]
    print("\n".join(wrong) or "alerts, runbooks, tests and metrics agree")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
