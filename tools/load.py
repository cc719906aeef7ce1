#!/usr/bin/env python3
"""Measures the release binary under load and prints the table of README.md.

  tools/load.py --kit DIR                         the evaluation kit: DIR/data/dev
  tools/load.py --kit DIR --writers 100 --for 3600                 an hour
  tools/load.py --kit DIR --writers 3000 --for 300 --taught 0      far too many

Writers type the kit's messages at the rhythm of people (`loadtests type`), all on this machine, which therefore also pays for
them. Every row has a service of its own with a fresh data folder. What was measured goes to target/load.jsonl too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from figures import ROOT, SETS, fast_tier_within, served

PORT = 8590
ROWS = ROOT / "target" / "load.jsonl"
# By default: alone, as many as one small team is, and up to where it is too many.
WRITERS = [1, 50, 100, 200, 300]


# How long the service may take to be as it was, seconds.
PATIENCE = 60.0


def recovered(port: int) -> float | None:
    """Seconds until somebody new is answered with the GPT-2's help; `None`: not within `PATIENCE`."""
    began = time.monotonic()
    for number in range(round(PATIENCE / 0.05)):
        body = {"text": "Thanks for calling, I can he", "session": f"after-{number}", "learn": False}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/complete", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                if json.load(answer)["predictors"].get("gpt2") == "used":
                    return round(time.monotonic() - began, 3)
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(max(0.0, began + 0.05 * (number + 1) - time.monotonic()))
    return None


def measure(kit: Path, writers: int, given: argparse.Namespace) -> dict[str, object]:
    """One row: so many writers."""
    service, data = served("gpt2,personal,team,domain,charlm", PORT)
    with data, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [
            ROOT / "target/release/loadtests", "type", *(kit / f"data/dev/{name}.jsonl" for name in SETS),
            "--url", f"http://127.0.0.1:{PORT}", "--writers", writers, "--for", given.seconds, "--over", given.over,
            "--taught", given.taught, "--json", out,
        ]  # fmt: skip
        try:
            subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, check=True)
            again = recovered(PORT)
            report = json.loads(out.read_text()) | {"recovered_seconds": again}
            report["fast_within_1_ms"] = fast_tier_within(PORT + 1, 0.001)
        finally:
            service.terminate()
            service.wait()
    with ROWS.open("a") as rows:
        rows.write(json.dumps(report) + "\n")
    return report


def row(report: dict) -> list[str]:
    """The figures of a report as cells."""
    answers = max(1, report["answers"])
    gpt2 = report["predictors"].get("gpt2", {}).get("used", 0.0) * (1.0 - report["typed_through"])
    latency, first = report["server_ms"], report["first_ms"]
    return [
        str(report["writers"]),
        f"{report['saved']['net']:.3f}",
        f"{latency['p50']:.1f} / {latency['p99']:.1f}",
        f"{first['p50']:.1f} / {first['p99']:.1f}",
        f"{report['late'] / answers:.4f}",
        f"{gpt2:.2f}",
        f"{report['fast_within_1_ms']:.3f}",
        f"{report['service']['cores']:.2f}",
        f"{report['service']['resident_mib_most']:.0f}",
        f"{report['unavailable']} / {report['unavailable_open']}",
        str(sum(report["errors"].values()) - report["unavailable"]),
        f"{report['recovered_seconds']}",
    ]


HEADER = [
    "writers", "net", "server, ms p50 / p99", "first answer seen, ms p50 / p99", "late", "answers with gpt2", "fast tier within 1 ms",
    "cores", "MiB", "told to come back / in open drafts", "other errors", "as before after, s",
]  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--writers", type=int, nargs="*", default=WRITERS, help=f"rows (default: {WRITERS})")
    options.add_argument("--for", dest="seconds", type=int, default=60, help="seconds a row (default: 60)")
    options.add_argument("--over", choices=("stream", "rest"), default="stream", help="how keys reach the service (default: stream)")
    options.add_argument("--taught", type=int, default=20_000, help="characters each writer taught before (default: 20000)")
    given = options.parse_args()
    if not all((ROOT / "target/release" / name).exists() for name in ("foretype", "loadtests")):
        sys.exit("build first: make build && cargo build --release --package foretype-loadtests")
    ROWS.parent.mkdir(exist_ok=True)
    print(f"{given.over}, {given.seconds} s a row, {os.cpu_count()} cores\n")
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for writers in given.writers:
        print("| " + " | ".join(row(measure(given.kit, writers, given))) + " |", flush=True)


if __name__ == "__main__":
    main()
