#!/usr/bin/env python3
"""Checks what deploy/ watches the service with, against the service (Debian's prometheus, and the packages of requirements.txt).

    cargo build --package foretype && .venv/bin/python tools/monitoring.py

Rules and their tests with promtool; names against the list of metrics; the dashboard against its generator and Grafana's own models; then the service with
some traffic before a real Prometheus, which is asked every expression of dashboard and rules: each must have an answer.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

sys.path.insert(0, str(Path(__file__).parent))
import dashboard

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
BINARY = ROOT / "target" / "debug" / "foretype"
RULES = DEPLOY / "prometheus" / "rules.yml"
# What Prometheus itself makes, beside what it scrapes.
ITS_OWN = {"up", "ALERTS"}
# What Grafana reads beside its models: the texts of annotations from Prometheus, and how a query of a variable is listed.
NOT_MODELLED = {"annotations.list.titleFormat", "templating.list.definition"}
# Without anything to tell on a healthy service: these are to be empty.
EMPTY_IS_WELL = re.compile(r"^changes\(process_start_time")


def fail(message: str) -> None:
    sys.exit(f"monitoring: {message}")


def metrics() -> list[dict[str, Any]]:
    """The list, as the binary says it."""
    listing = subprocess.run([BINARY, "metrics", "--json"], check=True, capture_output=True, text=True)
    return json.loads(listing.stdout)


def named(text: str) -> set[str]:
    """The metrics that expressions name, those that rules record left out."""
    names = re.findall(r"(?<![:\w])(?:foretype|process)_[a-z0-9_]+", text)
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def recorded() -> dict[str, str]:
    """The expressions of the rules by what they are called; the file is ours, so that its shape is known."""
    rules: dict[str, str] = {}
    for block in re.split(r"\n      - (?=record|alert)", RULES.read_text())[1:]:
        name = re.match(r"(?:record|alert): (\S+)", block)
        expression = re.search(r"\n        expr: (?:\|\n((?:          .*\n)+)|(.+))", block + "\n")
        if not name or not expression:
            fail(f"a rule without name or expression: {block.splitlines()[0]}")
        rules[name[1]] = " ".join((expression[1] or expression[2]).split())
    return rules


def consistent(listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Names, runbook and dashboard; returns the dashboard."""
    known = {metric["name"] for metric in listed}
    rules = recorded()
    for name, expression in rules.items():
        if unknown := named(expression) - known:
            fail(f"rule {name} reads what is not there: {unknown}")
    used = set(re.findall(r"instance:foretype_\w+:\w+", " ".join(rules.values())))
    if missing := used - rules.keys():
        fail(f"alerts read what no rule records: {missing}")
    text = RULES.read_text()
    tested = (DEPLOY / "prometheus" / "rules_test.yml").read_text()
    headings = set(re.findall(r"^## (\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), re.M))
    anchors = dict(zip(re.findall(r"- alert: (\w+)", text), re.findall(r"runbook: deploy/RUNBOOK\.md#(\w+)", text), strict=True))
    for alert, anchor in anchors.items():
        if anchor not in {heading.lower() for heading in headings}:
            fail(f"{alert} points at #{anchor}, which deploy/RUNBOOK.md does not have")
        if not re.search(rf"alertname: {alert}\n        exp_alerts:", tested):
            fail(f"{alert} has no test in which it fires")
    if orphans := headings - anchors.keys():
        fail(f"deploy/RUNBOOK.md has paragraphs of no alert: {orphans}")
    board = dashboard.dashboard(listed)
    if json.loads((DEPLOY / "grafana" / "dashboard.json").read_text()) != board:
        fail("deploy/grafana/dashboard.json is not of this release; tools/dashboard.py says how it is made")
    if missing := known - named(json.dumps([panel.get("targets") for panel in board["panels"]])):
        fail(f"no panel shows {missing}")
    return board


def lost(given: Any, read: Any, path: str = "") -> Iterator[str]:
    """Where `given` has something that `read` has not, or has otherwise."""
    if isinstance(given, dict) and isinstance(read, dict):
        for name, value in given.items():
            yield from lost(value, read.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for value, other in zip(given, read, strict=True):
            yield from lost(value, other, path)
    elif given != read:
        yield path


def understood(board: dict[str, Any]) -> None:
    """Grafana's models read the dashboard, panels and all, and say the same again: no field is misspelt or misplaced."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    if missing := set(lost(board, again)) - NOT_MODELLED:
        fail(f"Grafana does not know these of deploy/grafana/dashboard.json: {', '.join(sorted(missing))}")


def patient() -> None:
    """Each alert that waits has tests that notice if it did not wait, and if it waited a minute longer."""
    text = RULES.read_text()
    waiting = set(re.findall(r"- alert: (\w+)\n(?:(?!      - ).*\n)*?        for: ", text))
    longer = re.sub(r"(?m)^        for: (\d+)([mh])$", lambda wait: f"        for: {int(wait[1]) * {'m': 1, 'h': 60}[wait[2]] + 1}m", text)
    for how, rules in {"does not wait": re.sub(r"(?m)^        for: .*\n", "", text), "waits a minute longer": longer}.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "rules.yml").write_text(rules)
            tests = Path(folder) / "rules_test.yml"
            tests.write_text((DEPLOY / "prometheus" / "rules_test.yml").read_text())
            told = subprocess.run(["promtool", "test", "rules", tests], capture_output=True, text=True)
        noticed = set(re.findall(r"alertname: (\w+)", told.stdout + told.stderr))
        if missed := waiting - noticed:
            fail(f"no test notices that an alert {how}: {', '.join(sorted(missed))}")


@contextlib.contextmanager
def running(command: list[str | Path], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process, ended with the block."""
    with log.open("w") as errors:
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def addresses(service: subprocess.Popen[str]) -> tuple[str, str]:
    """Where the service says that it is, and where its operators' side is."""
    found: list[str] = []
    for line in service.stdout or []:
        found += re.findall(r"http://[^/\s]+", line)
        if "API" in line:
            return found[0], found[1]
    fail("the service did not start; target/monitoring/service.log says why")
    raise AssertionError


def type_some(url: str, round: int) -> None:
    """A message is typed, a suggestion taken, and it is sent twice: the client had timed out."""
    text = "Thanks for calling, I can help you with that."
    for end in range(1, len(text), 3):
        answer = json.loads(ask(f"{url}/v1/complete", {"text": text[:end], "writer": "ann", "session": f"s{round}"}))
        if answer["suggestions"]:
            ask(f"{url}/v1/feedback", {"id": answer["id"], "outcome": "accepted", "index": 0, "chars": 1})
    for _ in range(2):
        ask(f"{url}/v1/learn", {"writer": "ann", "text": text, "idempotency_key": f"k{round}"})


def answers(prometheus: str, expression: str) -> int:
    """How many series Prometheus answers with."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        answer = json.loads(ask(f"{prometheus}/api/v1/query?{query}"))
    except urllib.error.HTTPError as error:
        fail(f"Prometheus refuses {expression}: {error.read().decode()}")
        raise
    return len(answer["data"]["result"])


def live(board: dict[str, Any]) -> None:
    """The service with traffic before Prometheus."""
    folder = ROOT / "target" / "monitoring"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        serve = [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", f"{data}/foretype"]
        with running([*serve, "--predictors", "personal,domain,charlm"], folder / "service.log") as service:
            url, admin = addresses(service)
            type_some(url, 0)
            subprocess.run(["promtool", "check", "metrics"], input=ask(f"{admin}/metrics"), check=True)
            # As it stands, but for the ports and the pace.
            config = (DEPLOY / "prometheus" / "prometheus.yml").read_text().replace("15s", "1s")
            config = config.replace("127.0.0.1:8081", admin.removeprefix("http://"))
            (folder / "prometheus.yml").write_text(config)
            (folder / "rules.yml").write_text(RULES.read_text())
            prometheus = f"127.0.0.1:{free_port()}"
            watch = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}/tsdb", f"--web.listen-address={prometheus}"]
            with running([*watch], folder / "prometheus.log"):
                for round in range(1, 13):
                    type_some(url, round)
                    time.sleep(1)
                everything_answered(f"http://{prometheus}", board)


def everything_answered(prometheus: str, board: dict[str, Any]) -> None:
    expressions = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    expressions += [(note["name"], note["expr"]) for note in board["annotations"]["list"]]
    expressions = [
        (title, expression.replace("$__rate_interval", "10s").replace("$instance", ".+")) for title, expression in expressions
    ]
    rules = recorded()
    records = [(name, name) for name in rules if ":" in name]
    alerts = [(name, expression) for name, expression in rules.items() if ":" not in name]
    silent = [
        f"{title}: {expression}"
        for title, expression in expressions + records
        if answers(prometheus, expression) == 0 and not EMPTY_IS_WELL.match(expression)
    ]
    if silent:
        fail("Prometheus has no answer to\n  " + "\n  ".join(silent))
    if firing := [name for name, expression in alerts if answers(prometheus, expression)]:
        fail(f"a healthy service makes alerts fire: {firing}")
    print(f"{len(expressions)} expressions of the dashboard and {len(records)} rules have answers, {len(alerts)} alerts are quiet")


def main() -> None:
    subprocess.run(["promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml"], check=True)
    subprocess.run(["promtool", "test", "rules", DEPLOY / "prometheus" / "rules_test.yml"], check=True)
    patient()
    board = consistent(metrics())
    understood(board)
    live(board)


if __name__ == "__main__":
    main()
