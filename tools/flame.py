#!/usr/bin/env python3
"""Draws where the service's time goes while writers type: a flame graph, as SVG.

  tools/flame.py --kit DIR                          the evaluation kit: DIR/data/dev; draws service/docs/flame.svg
  tools/flame.py --kit DIR --writers 300 --out flame.svg

Needs Linux' perf (Debian: linux-perf) and inferno (`cargo install --locked --root .tools inferno --no-default-features --features cli`).
The widths are shares of the time at work; the symbols are those of the release binary.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from figures import ROOT, SETS, served

PORT = 8594
# Samples a second, and the bytes of stack each has: enough for a call through axum, tokio and the engine.
RATE, STACK = "199", "32768"


def record(kit: Path, given: argparse.Namespace, data: Path) -> None:
    """Samples the service for as long as asked while the writers type."""
    service, folder = served("gpt2,personal,team,domain,charlm", PORT)
    with folder:
        typing = [
            ROOT / "target/release/loadtests", "type", *(kit / f"data/dev/{name}.jsonl" for name in SETS),
            "--url", f"http://127.0.0.1:{PORT}", "--writers", given.writers, "--for", given.seconds + 5,
        ]  # fmt: skip
        writers = subprocess.Popen([str(part) for part in typing], stdout=subprocess.DEVNULL)
        sampling = [
            "perf", "record", "--quiet", "-F", RATE, "--call-graph", f"dwarf,{STACK}", "-p", str(service.pid), "-o", str(data),
            "--delay", "5000", "--", "sleep", str(given.seconds + 5),
        ]  # fmt: skip
        try:
            subprocess.run(sampling, check=True)
        finally:
            writers.terminate()
            writers.wait()
            service.terminate()
            service.wait()


def draw(data: Path, title: str, out: Path) -> None:
    """The samples as a picture."""
    stacks = subprocess.run(["perf", "script", "-i", str(data)], capture_output=True, check=True).stdout
    folded = subprocess.run(["inferno-collapse-perf"], input=stacks, capture_output=True, check=True).stdout
    options = ["--title", title, "--minwidth", "0.4", "--hash", "--inverted", "--truncate-text-right"]
    picture = subprocess.run(["inferno-flamegraph", *options], input=folded, capture_output=True, check=True).stdout
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(picture)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kit", type=Path, required=True, help="folder of the evaluation kit")
    options.add_argument("--writers", type=int, default=50, help="who type meanwhile (default: 50)")
    options.add_argument("--for", dest="seconds", type=int, default=15, help="seconds to sample (default: 15)")
    options.add_argument("--out", type=Path, default=ROOT / "service/docs/flame.svg", help="(default: service/docs/flame.svg)")
    given = options.parse_args()
    os.environ["PATH"] = f"{ROOT / '.tools/bin'}:{os.environ['PATH']}"
    missing = [name for name in ("perf", "inferno-collapse-perf", "inferno-flamegraph") if not shutil.which(name)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; see --help")
    data = ROOT / "target/flame.data"
    record(given.kit, given, data)
    draw(data, f"foretype serve, {given.writers} writers", given.out)
    print(given.out)


if __name__ == "__main__":
    main()
