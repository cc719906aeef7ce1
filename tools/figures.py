#!/usr/bin/env python3
"""Measures the release binary with the typing simulator and prints the tables of README.md.

  tools/figures.py --kit DIR            the evaluation kit: DIR/eval/measure.py, DIR/data/dev, DIR/data/train
  tools/figures.py --kit DIR --only personal,gpt2 --limit 3

Every configuration runs against a service of its own with a fresh data folder. Rows are appended to target/figures.jsonl and
not measured again, so a run that was cut off goes on where it stopped (--fresh starts over).

The row "presage" is Presage trained on the baseline's text (Debian: presage libpresage1v5); without it the row is left out.
"""

from __future__ import annotations

import argparse
import ctypes.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "target" / "figures.jsonl"
SETS = ["support-chat", "customer-care", "finance-meetings", "engineer-notes", "expert-mail"]

# Name of the row: (predictors served, arguments of the measuring script).
EVERYTHING = ["--min-confidence", "0"]
CONFIGURATIONS = {
    "ensemble, personal": ("gpt2,personal,domain,charlm", EVERYTHING),
    "ensemble, personal, default threshold": ("gpt2,personal,domain,charlm", []),
    "ensemble, not personal": ("gpt2,personal,domain,charlm", [*EVERYTHING, "--no-personal"]),
    "gpt2 alone": ("gpt2", EVERYTHING),
    "personal alone": ("personal", EVERYTHING),
    "domain alone": ("domain", EVERYTHING),
    "charlm alone": ("charlm", EVERYTHING),
}
BASELINE = "baseline"
PRESAGE = "presage"
# What the baseline and Presage are trained on for each set.
BASELINE_TEXT = {
    "support-chat": ["sgd"],
    "customer-care": ["sgd"],
    "finance-meetings": ["fomc_1976_1993"],
    "engineer-notes": ["commits_openstack_nova", "commits_curl"],
    "expert-mail": ["commits_curl"],
}


def served(predictors: str, port: int) -> tuple[subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]]:
    """A service of these predictors on `port`, ready to answer, and its data folder."""
    data = tempfile.TemporaryDirectory()
    command = [
        ROOT / "target/release/foretype", "serve", "--predictors", predictors, "--data", data.name,
        "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{port + 1}", "--log", "warn",
    ]  # fmt: skip
    service = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(100):
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/readyz"):
                return service, data
        except OSError:
            continue
    service.kill()
    sys.exit("the service did not become ready in 10 s")


def presage_missing() -> list[str]:
    """What Presage needs and is not installed."""
    found = {"libpresage": ctypes.util.find_library("presage"), "text2ngram": shutil.which("text2ngram")}
    return [name for name, path in found.items() if not path]


def presage(texts: list[Path], port: int) -> subprocess.Popen[bytes]:
    """Presage trained on `texts` (once: its database is kept under target/), ready to answer on `port`."""
    folder = ROOT / "target/presage" / "+".join(text.name.split(".")[0] for text in texts)
    command = [sys.executable, ROOT / "tools/presage_server.py", "--train", *texts, "--data", folder, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    if not server.stdout.readline():
        sys.exit("tools/presage_server.py did not start")
    return server


def resident_mib(service: subprocess.Popen[bytes]) -> float:
    """The largest resident set the service has had, MiB."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def fast_tier_within(port: int, seconds: float) -> float:
    """The share of keystrokes whose fast tier took at most `seconds`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        lines = response.read().decode().splitlines()
    value = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("foretype_fast_tier")}
    within = value[f'foretype_fast_tier_seconds_bucket{{le="{seconds}"}}']
    return within / max(1.0, value["foretype_fast_tier_seconds_count"])


def measure(kit: Path, name: str, stream: str, limit: int | None, port: int) -> dict[str, object]:
    """One row: a configuration on a set."""
    script = [sys.executable, kit / "eval/measure.py", kit / f"data/dev/{stream}.jsonl", "--k", "1"]
    script += ["--limit", str(limit)] if limit else []
    texts = [kit / f"data/train/{text}.jsonl.gz" for text in BASELINE_TEXT[stream]]
    url = f"http://127.0.0.1:{port}"
    if name == BASELINE:
        return json.loads(subprocess.run([*script, "--baseline", "--train", *texts], check=True, capture_output=True).stdout)
    if name == PRESAGE:
        server = presage(texts, port)
        try:
            return json.loads(subprocess.run([*script, "--url", url, *EVERYTHING], check=True, capture_output=True).stdout)
        finally:
            server.terminate()
            server.wait()
    predictors, arguments = CONFIGURATIONS[name]
    service, data = served(predictors, port)
    try:
        row = json.loads(subprocess.run([*script, "--url", url, *arguments], check=True, capture_output=True).stdout)
        row["resident_mib"] = round(resident_mib(service))
        row["fast_within_1ms"] = round(fast_tier_within(port + 1, 0.001), 4)
        return row
    finally:
        service.terminate()
        service.wait()
        data.cleanup()


def table(rows: dict[tuple[str, str], dict[str, object]]) -> str:
    """README.md's tables."""
    lines = ["| KSR, k = 1 | " + " | ".join(SETS) + " |", "|---|" + "---|" * len(SETS)]
    for name in [*CONFIGURATIONS, BASELINE, PRESAGE]:
        cells = [f"{rows[name, s]['KSR']:.3f}" if (name, s) in rows else "–" for s in SETS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| | " + " | ".join(SETS) + " |", "|---|" + "---|" * len(SETS)]
    shown, everything = "ensemble, personal, default threshold", "ensemble, personal"
    details = {
        "net, default threshold": (shown, lambda r: f"{r['net']:.3f}"),
        "precision, default threshold": (shown, lambda r: f"{r['precision']:.3f}"),
        "coverage, default threshold": (shown, lambda r: f"{r['coverage']:.2f}"),
        "ece": (everything, lambda r: f"{r['ece']:.3f}"),
        "server, ms p50 / p99 / max": (everything, lambda r: " / ".join(f"{r['server_ms'][q]:.1f}" for q in ("p50", "p99", "max"))),
        "answers from models that used gpt2": (everything, lambda r: f"{r['used']['gpt2']:.3f}"),
        "type-through": (everything, lambda r: f"{r['type_through']:.2f}"),
        "fast tier within 1 ms": (everything, lambda r: f"{r['fast_within_1ms']:.4f}"),
        "largest resident set, MiB": (everything, lambda r: f"{r['resident_mib']}"),
        "errors": (everything, lambda r: str(sum(r["errors"].values()))),
    }
    for label, (name, show) in details.items():
        cells = [show(rows[name, s]) if (name, s) in rows else "–" for s in SETS]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--only", default="", help="measure rows whose name contains one of these, comma-separated")
    options.add_argument("--limit", type=int, help="messages of each stream at most")
    options.add_argument("--port", type=int, default=18080, help="the service's port; the next one is its admin port")
    options.add_argument("--fresh", action="store_true", help="forget what was measured before")
    given = options.parse_args()
    if given.fresh:
        ROWS.unlink(missing_ok=True)
    ROWS.parent.mkdir(exist_ok=True)
    rows = {}
    for line in ROWS.read_text().splitlines() if ROWS.exists() else []:
        row = json.loads(line)
        if row.get("limit") == given.limit:
            rows[row["configuration"], row["set"]] = row
    wanted = [part.strip() for part in given.only.split(",") if part.strip()]
    for name in [*CONFIGURATIONS, BASELINE, PRESAGE]:
        if wanted and not any(part in name for part in wanted):
            continue
        if name == PRESAGE and (missing := presage_missing()):
            print(f"{name}: left out, not installed: {', '.join(missing)}", file=sys.stderr)
            continue
        for stream in SETS:
            if (name, stream) in rows:
                continue
            started = time.monotonic()
            row = measure(given.kit, name, stream, given.limit, given.port)
            rows[name, stream] = row | {"configuration": name, "limit": given.limit}
            with ROWS.open("a") as out:
                out.write(json.dumps(rows[name, stream]) + "\n")
            seconds = time.monotonic() - started
            print(f"{name}, {stream}: KSR {row['KSR']}, net {row['net']} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
