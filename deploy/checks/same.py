#!/usr/bin/env python3
"""Compares what the chart and the kustomize folder say, so that neither is forgotten.

    python3 deploy/checks/same.py CHART KUSTOMIZE     # rendered: the chart with KEDA and the overlay `production`

Needs PyYAML, and ends with 77 where it is missing.
"""

import pathlib
import sys

try:
    import yaml
except ImportError:
    print("PyYAML is missing")
    sys.exit(77)

# What an example may choose for itself.
OWN = {"image", "resources", "env", "labels", "annotations", "metadata", "serviceAccountName", "labelSelector"}
OWN |= {"matchLabels", "selector", "name", "storage", "serviceName", "egress", "policyTypes", "from", "authenticationRef"}
OWN |= {"sasl", "tls", "tlsConfig", "scheme", "helm.sh/chart", "secret", "configMap", "terminationGracePeriodSeconds"}
KINDS = ["StatefulSet", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "ScaledObject"]
# Only one of the two has them, by its values or components.
VOLUMES = {"tls"}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in OWN}
    if isinstance(value, list):
        if all(isinstance(one, dict) and "name" in one for one in value):
            value = sorted((one for one in value if one["name"] not in VOLUMES), key=lambda one: one["name"])
        return [plain(one) for one in value]
    return value


def objects(path):
    found = {}
    for one in yaml.safe_load_all(pathlib.Path(path).read_text()):
        if one and one["kind"] in KINDS:
            found[one["kind"]] = plain(one)
            found[one["kind"]].pop("apiVersion")
    return found


def differences(path, chart, kustomize):
    if isinstance(chart, dict) and isinstance(kustomize, dict):
        for key in sorted(chart.keys() | kustomize.keys()):
            yield from differences(f"{path}.{key}", chart.get(key), kustomize.get(key))
    elif isinstance(chart, list) and isinstance(kustomize, list) and len(chart) == len(kustomize):
        for number, (one, other) in enumerate(zip(chart, kustomize)):
            yield from differences(f"{path}[{number}]", one, other)
    elif chart != kustomize:
        yield f"{path}: chart {chart!r}, kustomize {kustomize!r}"


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    chart, kustomize = map(objects, sys.argv[1:])
    wrong = [f"{kind} is missing" for kind in KINDS if kind not in chart or kind not in kustomize]
    for kind in sorted(chart.keys() & kustomize.keys()):
        wrong += differences(kind, chart[kind], kustomize[kind])
    print("\n".join(wrong) or f"{len(KINDS)} kinds say the same")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
