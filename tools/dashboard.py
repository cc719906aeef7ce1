#!/usr/bin/env python3
"""Writes deploy/grafana/dashboard.json from the list of metrics (standard library only).

    foretype metrics --json | python3 tools/dashboard.py > deploy/grafana/dashboard.json

Above what matters at a glance; below it a panel for each metric, in the order and with the words of the list. Quantities
that mean something only beside each other share a panel.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

Metric = dict[str, Any]
Panel = dict[str, Any]

UNITS = {"seconds": "s", "bytes": "bytes", "ratio": "percentunit"}
# Shown in the panel of the one named first.
BESIDE = {
    "foretype_kv_limit_bytes": "foretype_kv_bytes",
    "foretype_sessions_open": "foretype_streams_open",
    "foretype_kv_sessions": "foretype_streams_open",
    "foretype_door_room_ratio": "foretype_busy_ratio",
    "foretype_neural_shares_total": "foretype_neural_runs_total",
    "foretype_writer_evictions_total": "foretype_writer_loads_total",
    "process_max_fds": "process_open_fds",
    "process_virtual_memory_bytes": "process_resident_memory_bytes",
}
# At a glance: title, unit, expression, and from where on it is yellow and red.
GLANCE = [
    ("Answers a second", "short", "sum(rate(foretype_complete_seconds_count{S}[R]))", None),
    ("Late answers", "percentunit", "sum(rate(foretype_over_budget_total{S}[R])) / sum(rate(foretype_complete_seconds_count{S}[R]))", (0.0005, 0.001)),
    ("Answer, p99", "s", "histogram_quantile(0.99, sum by (le) (rate(foretype_complete_seconds_bucket{S}[R])))", (0.0155, 0.021)),
    ("Fast tier, p99", "s", "histogram_quantile(0.99, sum by (le) (rate(foretype_fast_tier_seconds_bucket{S}[R])))", (0.00075, 0.001)),
    ("Answers with the GPT-2", "percentunit", 'sum(rate(foretype_predictors_total{S,predictor="gpt2",status="used"}[R])) / (sum(rate(foretype_sources_total{S,source="models"}[R])) - sum(rate(foretype_predictors_total{S,predictor="gpt2",status="held_out"}[R])))', None),
    ("Suggestions taken", "percentunit", 'sum(rate(foretype_outcomes_total{S,outcome=~"accepted|partial"}[1h])) / sum(rate(foretype_suggestions_total{S}[1h]))', None),
    ("Keystrokes saved", "percentunit", "sum(rate(foretype_sent_saved_keystrokes_total{S}[1h])) / sum(rate(foretype_sent_characters_total{S}[1h]))", None),
    ("Characters a minute", "short", '60 * sum(rate(foretype_typed_characters_total{S,group="others"}[1h])) / sum(rate(foretype_typing_seconds_total{S,group="others"}[1h]))', None),
    ("Memory", "bytes", "sum(process_resident_memory_bytes{S})", None),
    ("Cores in use", "short", "sum(rate(process_cpu_seconds_total{S}[R]))", None),
    ("Drafts open", "short", "sum(foretype_sessions_open{S})", None),
    ("Alerts that fire", "short", 'count(ALERTS{alertname=~"Foretype.+",alertstate="firing"}) or vector(0)', (0.5, 1)),
]  # fmt: skip
WIDTH, HEIGHT, COLUMNS = 8, 7, 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def selected(expression: str) -> str:
    """The expression over the instances that are chosen, at the rate the resolution allows."""
    expression = expression.replace("{S,", '{instance=~"$instance",').replace("{S}", '{instance=~"$instance"}')
    return expression.replace("[R]", "[$__rate_interval]")


def expressions(metric: Metric) -> Iterator[tuple[str, str]]:
    """What is drawn of a metric, and what its lines are called."""
    name, labels = metric["name"], [label["name"] for label in metric["labels"]]
    by, legend = ", ".join(labels), " ".join(f"{{{{{label}}}}}" for label in labels)
    if metric["type"] == "histogram":
        for quantile in (0.5, 0.9, 0.99):
            yield f"histogram_quantile({quantile}, sum by (le) (rate({name}_bucket{{S}}[R])))", f"p{quantile * 100:g}"
    elif metric["type"] == "counter" and labels:
        yield f"sum by ({by}) (rate({name}{{S}}[R]))", legend
    elif metric["type"] == "counter":
        yield f"sum(rate({name}{{S}}[R]))", name
    elif metric["unit"] == "info":
        yield f"count by ({by}) ({name}{{S}})", legend
    elif labels:
        yield f"sum by ({by}) ({name}{{S}})", legend
    elif name == "process_start_time_seconds":
        yield f"time() - {name}{{S}}", "{{instance}}"
    else:
        yield f"{name}{{S}}", f"{name} {{{{instance}}}}"


def unit(metric: Metric) -> str:
    if metric["name"] == "process_cpu_seconds_total":
        return "short"
    if metric["type"] == "counter":
        return "cps"
    return UNITS.get(metric["unit"], "short")


def targets(lines: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": selected(expression), "legendFormat": legend, "range": True}
        for at, (expression, legend) in enumerate(lines)
    ]


def series(metrics: list[Metric]) -> Panel:
    """A panel of one metric, or of several that belong together."""
    first = metrics[0]
    title = "How long the process runs." if first["name"] == "process_start_time_seconds" else first["help"]
    names = "\n\n".join(f"`{metric['name']}`: {metric['help']} {metric['reading']}" for metric in metrics)
    return {
        "type": "timeseries",
        "title": title.removesuffix("."),
        "description": names,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": unit(first), "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": targets(line for metric in metrics for line in expressions(metric)),
    }


def glance(title: str, unit: str, expression: str, limits: tuple[float, float] | None) -> Panel:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if limits:
        steps += [{"color": "yellow", "value": limits[0]}, {"color": "red", "value": limits[1]}]
    return {
        "type": "stat",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
        "options": {
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        },
        "targets": targets([(expression, "")]),
    }


def panels(metrics: list[Metric]) -> Iterator[Panel]:
    """All panels, placed from top to bottom."""
    names = {metric["name"] for metric in metrics}
    unknown = (BESIDE.keys() | BESIDE.values()) - names
    if unknown:
        sys.exit(f"BESIDE names metrics that are not in the list: {', '.join(sorted(unknown))}")
    per_row = 6
    width = COLUMNS // per_row
    for at, chosen in enumerate(GLANCE):
        row, column = divmod(at, per_row)
        yield glance(*chosen) | {"gridPos": {"x": column * width, "y": row * 4, "w": width, "h": 4}}
    y = -(-len(GLANCE) // per_row) * 4
    for group in dict.fromkeys(metric["group"] for metric in metrics):
        yield {"type": "row", "title": group, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}}
        y += 1
        leads = [metric for metric in metrics if metric["group"] == group and metric["name"] not in BESIDE]
        for at, lead in enumerate(leads):
            others = [metric for metric in metrics if BESIDE.get(metric["name"]) == lead["name"]]
            row, column = divmod(at, COLUMNS // WIDTH)
            place = {"x": column * WIDTH, "y": y + row * HEIGHT, "w": WIDTH, "h": HEIGHT}
            yield series([lead, *others]) | {"gridPos": place}
        y += -(-len(leads) // (COLUMNS // WIDTH)) * HEIGHT


def dashboard(metrics: list[Metric]) -> dict[str, Any]:
    instances = "label_values(foretype_build_info, instance)"
    return {
        "uid": "foretype",
        "title": "Foretype",
        "description": "Autocomplete for people who write all day. Every metric of the service, with what it tells.",
        "tags": ["foretype"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {
            "list": [
                {
                    "name": "Restarts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "orange",
                    "expr": selected("changes(process_start_time_seconds{S}[1m]) > 0"),
                    "titleFormat": "{{instance}} restarted",
                }
            ]
        },
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
                {
                    "name": "instance",
                    "label": "Instance",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": {"query": instances, "refId": "instances"},
                    "definition": instances,
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".+",
                    "current": {"text": ["All"], "value": ["$__all"]},
                },
            ]
        },
        "panels": [panel | {"id": at + 1} for at, panel in enumerate(panels(metrics))],
    }


if __name__ == "__main__":
    json.dump(dashboard(json.load(sys.stdin)), sys.stdout, indent=1)
    print()
