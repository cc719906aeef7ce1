#!/usr/bin/env python3
"""Fetches ONNX Runtime's shared library into the git-ignored folder `.runtime/` (standard library only).

The library comes out of the wheel on PyPI, fetched by `pip download` so that mirrors and proxies of this machine are
honoured, and is checked against a pinned SHA-256. Nothing is done when `ORT_DYLIB_PATH` is set or the pinned version is
already there. Called by `make build`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# 1.24.4 runs the shipped graph faster than later releases do; measure again before raising it.
VERSION = "1.24.4"
FOLDER = Path(__file__).resolve().parent.parent / ".runtime"

# (system, machine) -> tag of the wheel, SHA-256 of the wheel, library inside it, name it gets here.
WHEELS = {
    ("Linux", "x86_64"): (
        "manylinux_2_27_x86_64",
        "0d640eb9f3782689b55cfa715094474cd5662f2f137be6a6f847a594b6e9705c",
        f"onnxruntime/capi/libonnxruntime.so.{VERSION}",
        "libonnxruntime.so",
    ),
    ("Linux", "aarch64"): (
        "manylinux_2_27_aarch64",
        "1a5c5a544b22f90859c88617ecb30e161ee3349fcc73878854f43d77f00558b5",
        f"onnxruntime/capi/libonnxruntime.so.{VERSION}",
        "libonnxruntime.so",
    ),
    ("Darwin", "arm64"): (
        "macosx_14_0_arm64",
        "cad1c2b3f455c55678ab2a8caa51fb420c25e6e3cf10f4c23653cdabedc8de78",
        f"onnxruntime/capi/libonnxruntime.{VERSION}.dylib",
        "libonnxruntime.dylib",
    ),
}
LICENCES = ("onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt")
WAY_OUT = (
    f"Install ONNX Runtime {VERSION} by other means and set ORT_DYLIB_PATH to its shared library, then run `make build` again."
)


class FetchError(Exception):
    """What went wrong, and what the reader can do about it."""


def download(tag: str, into: Path) -> Path:
    """The wheel for platform `tag`, fetched into `into`. The Python tag is the wheel's, not this interpreter's."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp", "--platform", tag,
        "--dest", str(into), f"onnxruntime=={VERSION}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = done.stderr.strip().splitlines()[-3:] or ["pip said nothing"]
        raise FetchError(
            f"could not fetch onnxruntime=={VERSION} ({tag}) from the package registry:\n  " + "\n  ".join(said) + f"\n{WAY_OUT}"
        )
    return wheels[0]


def check(wheel: Path, expected: str) -> None:
    """Refuses a wheel that is not the one this file was written for."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != expected:
        raise FetchError(f"{wheel.name} has SHA-256 {found}, expected {expected}: not used.\n{WAY_OUT}")


def unpack(wheel: Path, member: str, name: str, stamp: str) -> None:
    """Puts library, licences and stamp into `FOLDER`; a reader sees the old folder or the new one, never half of it."""
    with tempfile.TemporaryDirectory(prefix=".runtime-", dir=FOLDER.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for source, target in [(member, name)] + [(file, Path(file).name) for file in LICENCES]:
                with archive.open(source) as reader, open(new / target, "wb") as writer:
                    shutil.copyfileobj(reader, writer)
        (new / name).chmod(0o755)
        (new / "STAMP").write_text(stamp)
        if FOLDER.exists():
            FOLDER.rename(old)
        new.rename(FOLDER)


def main() -> int:
    """Exit status: 0 when the library is in place, 1 with a message otherwise."""
    if os.environ.get("ORT_DYLIB_PATH"):
        return 0
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    if platform.system() == "Darwin" and machine == "aarch64":
        machine = "arm64"
    try:
        if (platform.system(), machine) not in WHEELS:
            raise FetchError(f"no wheel of ONNX Runtime is pinned for {platform.system()} on {machine}.\n{WAY_OUT}")
        tag, digest, member, name = WHEELS[platform.system(), machine]
        stamp = f"onnxruntime {VERSION} {digest}\n"
        if (FOLDER / name).is_file() and (FOLDER / "STAMP").is_file() and (FOLDER / "STAMP").read_text() == stamp:
            return 0
        with tempfile.TemporaryDirectory() as scratch:
            wheel = download(tag, Path(scratch))
            check(wheel, digest)
            unpack(wheel, member, name, stamp)
    except (FetchError, OSError, zipfile.BadZipFile, KeyError) as error:
        print(f"fetch_runtime: {error}", file=sys.stderr)
        return 1
    print(f"ONNX Runtime {VERSION} is in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
