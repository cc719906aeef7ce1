#!/usr/bin/env python3
"""The gate behind `make test` (standard library only): every check, in order, stopping at the first that fails.

What a check needs and this machine can fetch is fetched into git-ignored folders. What it cannot have (a browser, say) is
skipped, and the last lines name it with the reason. With FORETYPE_GATE=strict, as in CI, a skip fails the gate.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
ASSETS = ROOT / "service" / "assets"
BROWSER_TESTS = ROOT / "tests" / "browser"
CLIENT_TESTS = ROOT / "tests" / "clients"
CARGO_DENY = "0.20.2"


class Skip(Exception):
    """This machine lacks what the check needs; the message says what."""


def run(*command: str | Path, **environment: str) -> None:
    """Runs a command in the repository's root and fails with it."""
    subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=True)


def tracked(*patterns: str) -> list[Path]:
    """The files of the checkout that match, those not yet added included, those git ignores left out."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [path for line in listing.splitlines() if (path := ROOT / line).exists()]


def has_cargo(subcommand: str) -> bool:
    """Whether `cargo SUBCOMMAND` is there."""
    return shutil.which(f"cargo-{subcommand}") is not None


def runtime() -> None:
    run(sys.executable, "models/fetch_runtime.py")


def rust_format() -> None:
    run("cargo", "fmt", "--all", "--check")


def rust_lints() -> None:
    # All targets: benches and examples are compiled here as well.
    run("cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings")


def rust_tests() -> None:
    if has_cargo("nextest"):
        run("cargo", "nextest", "run", "--workspace")
    else:
        run("cargo", "test", "--workspace", "--lib", "--bins", "--tests")


def rust_doctests() -> None:
    run("cargo", "test", "--workspace", "--doc", "--quiet")


def rust_documentation() -> None:
    run("cargo", "doc", "--workspace", "--no-deps", "--quiet", RUSTDOCFLAGS="-D warnings")


def dependencies() -> None:
    if not has_cargo("deny"):
        print(f"cargo-deny {CARGO_DENY} is compiled once into {TOOLS.relative_to(ROOT)}/; this takes some minutes", flush=True)
        # Unoptimised: it is asked once a run, and compiles in half the time.
        install = ["cargo", "install", "--quiet", "--locked", "--debug", "--root", TOOLS, f"cargo-deny@{CARGO_DENY}"]
        try:
            run(*install)
        except subprocess.CalledProcessError:
            raise Skip("cargo-deny is not on PATH and could not be installed") from None
    run("cargo", "deny", "check", "bans", "licenses", "sources")


def python() -> None:
    environment()
    files = tracked("*.py")
    run(VENV / "bin" / "python", "-m", "compileall", "-q", *files)
    run(VENV / "bin" / "ruff", "check", "--quiet", *files)
    command = [VENV / "bin" / "python", "-m", "unittest", "--quiet", "tests.test_corpus"]
    subprocess.run(command, cwd=ROOT / "models" / "train", check=True)


def environment() -> None:
    """The virtual environment with the pinned Python packages, made or completed."""
    wanted = [ROOT / "tools" / "requirements.txt", BROWSER_TESTS / "requirements.txt"]
    stamp = VENV / "installed.txt"
    contents = "".join(path.read_text() for path in wanted)
    if stamp.exists() and stamp.read_text() == contents:
        return
    try:
        run(sys.executable, "-m", "venv", VENV)
    except subprocess.CalledProcessError:
        raise Skip("Python's venv module is missing (on Debian: apt install python3-venv)") from None
    requirements = [argument for path in wanted for argument in ("-r", path)]
    try:
        run(VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", *requirements)
    except subprocess.CalledProcessError:
        raise Skip("the pinned Python packages could not be installed") from None
    stamp.write_text(contents)


def javascript() -> None:
    node = shutil.which("node")
    if node is None:
        raise Skip("node is not installed (on Debian: apt install nodejs)")
    for path in ASSETS.rglob("*.js"):
        run(node, "--check", path)
    run(node, "--test", *tracked("tests/browser/*.test.mjs"))


def browser() -> None:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        raise Skip(f"{' and '.join(missing)} not installed (on Debian: apt install chromium chromium-driver)")
    environment()
    run("cargo", "build", "--quiet", "--package", "foretype")
    for test in sorted(BROWSER_TESTS.glob("test_*.py")):
        run(VENV / "bin" / "python", test, "--verbose")


def clients() -> None:
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise Skip(f"{' and '.join(missing)} not installed (on Debian: apt install nodejs npm)")
    lock, stamp = CLIENT_TESTS / "package-lock.json", CLIENT_TESTS / "node_modules" / "installed.json"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        try:
            # The lock pins every package by its hash. None of their scripts is wanted.
            run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", CLIENT_TESTS)
        except subprocess.CalledProcessError:
            raise Skip("the pinned packages of npm could not be installed") from None
        stamp.write_text(lock.read_text())
    run("cargo", "build", "--quiet", "--package", "foretype")
    run("node", "--test", *tracked("tests/clients/*.test.mjs"))


def monitoring() -> None:
    missing = [name for name in ("promtool", "prometheus") if shutil.which(name) is None]
    if missing:
        raise Skip(f"{' and '.join(missing)} not installed (on Debian: apt install prometheus)")
    environment()
    run("cargo", "build", "--quiet", "--package", "foretype")
    run(VENV / "bin" / "python", "tools/monitoring.py")


CHECKS: list[tuple[str, Callable[[], None]]] = [
    ("Rust format", rust_format),
    ("ONNX Runtime library", runtime),
    ("Rust lints", rust_lints),
    ("Rust tests", rust_tests),
    ("Rust doctests", rust_doctests),
    ("Rust documentation", rust_documentation),
    ("Python", python),
    ("JavaScript", javascript),
    ("clients", clients),
    ("browser", browser),
    ("monitoring", monitoring),
    ("dependencies", dependencies),
]


def main() -> int:
    os.environ["PATH"] = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"
    passed = 0
    skipped: list[str] = []
    began = time.monotonic()
    for name, check in CHECKS:
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        try:
            check()
        except Skip as skip:
            skipped.append(f"{name}: {skip}")
            print(f"== {name} skipped: {skip}", flush=True)
        except subprocess.CalledProcessError as error:
            print(f"\n== {name} FAILED after {time.monotonic() - start:.0f} s (exit status {error.returncode})", flush=True)
            return 1
        else:
            passed += 1
            print(f"== {name} passed in {time.monotonic() - start:.0f} s", flush=True)

    print(f"\n{passed} of {len(CHECKS)} checks passed in {time.monotonic() - began:.0f} s")
    print("\n".join(["skipped:", *(f"  {line}" for line in skipped)]) if skipped else "nothing skipped")
    strict = os.environ.get("FORETYPE_GATE") == "strict"
    if skipped and strict:
        print("FORETYPE_GATE=strict: a skipped check fails the gate")
    return 1 if skipped and strict else 0


if __name__ == "__main__":
    sys.exit(main())
