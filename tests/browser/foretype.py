"""A running `foretype serve`, a headless Chromium, and what tests of a page do with them, for the tests beside this file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "target" / "browser"
BINARY = Path(os.environ.get("FORETYPE_BINARY", ROOT / "target" / "debug" / "foretype"))
START_SECONDS = 30
# The page is under test here, not the speed of a machine that also compiles.
BUDGET_MS = 500

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Service:
    """The real service on free ports with an empty data folder, or the one at `FORETYPE_URL`. `admin` is the operators' side."""

    def __init__(self) -> None:
        self.url = os.environ.get("FORETYPE_URL", "")
        self.admin = os.environ.get("FORETYPE_ADMIN_URL", "")
        self._process: subprocess.Popen[bytes] | None = None
        if not self.url:
            self._data = tempfile.TemporaryDirectory(prefix="foretype-browser-")
            self.url, self.admin = (f"http://127.0.0.1:{port}" for port in free_ports(2))
            self.start()

    def start(self) -> None:
        """Starts it, again if it was ended: on the same ports, with what it had stored."""
        log_path = Path(self._data.name) / "serve.log"
        listen, admin = (url.removeprefix("http://") for url in (self.url, self.admin))
        command = [BINARY, "serve", "--listen", listen, "--admin-listen", admin]
        command += ["--data", Path(self._data.name) / "data", "--budget-ms", str(BUDGET_MS)]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{self.admin}/readyz"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"{BINARY} did not become ready:\n{log_path.read_text()}")
            time.sleep(0.05)

    def add_key(self, *bounds: str) -> str:
        """A new API key; from now on one is needed."""
        command = [str(BINARY), "keys", "add", "--data", str(Path(self._data.name) / "data"), *bounds]
        key = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1]
        deadline = time.monotonic() + START_SECONDS
        while answers(f"{self.url}/v1/models"):
            if time.monotonic() > deadline:
                raise RuntimeError("the service asks for no key")
            time.sleep(0.05)
        return key

    def get(self, path: str) -> dict:
        """The JSON answer to a GET."""
        with urllib.request.urlopen(self.url + path, timeout=5) as response:
            return json.load(response)

    def post(self, path: str, body: dict) -> dict | None:
        """The JSON answer to a POST; `None` where there is none to read."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=15) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def end(self) -> None:
        """Asks it to stop, as a service manager would, and waits."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def stop(self) -> None:
        """Ends it and removes what it stored."""
        if self._process is None:
            return
        try:
            self.end()
        finally:
            self._data.cleanup()


def browser() -> webdriver.Chrome:
    """A Chromium with a fresh profile, its console recorded. The caller quits it."""
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", shutil.which("chromium") or "chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in CHROMIUM_FLAGS:
        options.add_argument(flag)
    # chromedriver makes and removes a fresh profile of its own for each session.
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_window_size(1200, 1000)
    return driver


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on. All are held until all are known, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


class PageTest(unittest.TestCase):
    """One service and one browser for all tests of a class. The console is to stay without errors."""

    # How long the page may take to show what is waited for.
    SECONDS = 10

    @classmethod
    def setUpClass(cls) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        cls.service = Service()
        cls.addClassCleanup(cls.service.stop)
        cls.driver = browser()
        cls.addClassCleanup(cls.driver.quit)

    def tearDown(self) -> None:
        # A violation of the content security policy is an error of the console as well.
        errors = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual(errors, [], "the console has errors")

    def until(self, condition: Callable[[], object], what: str) -> object:
        return WebDriverWait(self.driver, self.SECONDS, 0.02).until(lambda _: condition(), f"waited for {what}")

    def find(self, element: str) -> WebElement:
        return self.driver.find_element(By.ID, element)

    def text(self, element: str) -> str:
        # Spaces that do not break are spaces to the reader.
        return self.find(element).text.replace("\u00a0", " ").replace("\u2011", "-")

    def screenshot(self, name: str) -> None:
        self.assertTrue(self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png")))
