#!/usr/bin/env python3
"""The operators' page at `/admin`, by keyboard, in a headless Chromium against the real service.

    .venv/bin/python tests/browser/test_admin.py     # needs chromium, chromedriver and target/debug/foretype

FORETYPE_BINARY names another binary. Screenshots go to target/browser/.
"""

from __future__ import annotations

import re
import time
import unittest
import urllib.error
import urllib.request

from foretype import PageTest, Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

DRAFT = "Thanks for calling, I can he"
WIDTHS = (1280, 400)
PAGES = ("#/", "#/day", "#/writers", "#/writers/default/ann")


class AdminTest(PageTest):
    """A service with some traffic; a fresh page for each test."""

    # A point of the hour's charts comes every ten seconds.
    SECONDS = 30

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write(cls.service, "ann")

    def setUp(self) -> None:
        self.open(self.service)

    def open(self, service: Service, page: str = "#/") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{service.admin}/admin{page}")
        self.until(lambda: self.text("connection") == "Live", "the page to be connected")

    def value(self, chart: str, label: str) -> str:
        """What a chart's legend says of one line."""
        for entry in self.driver.find_elements(By.CSS_SELECTOR, f"#chart-{chart} .legend li"):
            if entry.find_element(By.CLASS_NAME, "label").text == label:
                return entry.find_element(By.CLASS_NAME, "value").text
        return ""

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self, selector: str) -> None:
        self.driver.execute_script("document.querySelector(arguments[0]).focus()", selector)
        focused = self.driver.switch_to.active_element
        self.assertEqual(focused, self.driver.find_element(By.CSS_SELECTOR, selector), "it takes the focus")

    def holdout(self) -> float:
        script = "const done = arguments[0]; fetch('/admin/api/holdout').then((r) => r.json()).then(({share}) => done(share))"
        return self.driver.execute_async_script(script)

    def screen(self, width: int, scheme: str = "light") -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.setEmulatedMedia", {"features": []})

    def test_figures_appear_with_the_first_keystrokes(self) -> None:
        fresh = Service()
        self.addCleanup(fresh.stop)
        self.open(fresh)
        self.until(lambda: "Nothing asked yet" in self.text("answer-time"), "the empty state")
        self.assertTrue(self.find("first").is_displayed())
        self.screenshot("admin-empty")
        saved = write(fresh, "bea")
        self.until(lambda: re.search(r"\d %\nof keystrokes saved|[1-9]\d*\nkeystrokes saved", self.text("answer-helping")), "the saved")
        self.assertIn("Yes", self.text("answer-helping"))
        self.assertRegex(self.text("answer-time"), r"[\d.]+ %\nof answers within their budget, 500 ms if none was named")
        self.assertFalse(self.find("first").is_displayed())
        self.until(lambda: str(saved) in self.text("predictors"), "the keystrokes saved, by predictor")
        self.assertRegex(self.text("predictors"), r"(?m)^gpt2$")
        # The charts' sentences are of the history, not of the live stream.
        self.until(lambda: f"{saved} saved, most by" in self.text("chart-saved"), "a point of the chart")
        self.until(lambda: re.search(r"worst p99 was [\d.]+ ms, the budget is 500 ms", self.text("chart-latency")), "latencies")
        self.assertRegex(self.text("chart-learned"), r"^Messages learned a minute\n1 message learned")
        self.assertRegex(self.text("chart-memory"), r"\d+ MiB now")

    def test_the_range_is_switched_by_keyboard_and_stays(self) -> None:
        self.focus("#range input:checked")
        self.press(Keys.ARROW_RIGHT)
        self.until(lambda: self.driver.current_url.endswith("#/day"), "the address of the day")
        self.until(lambda: self.checked() == "day", "the day")
        self.press(Keys.ARROW_RIGHT)
        self.until(lambda: self.checked() == "month", "the month")
        self.driver.refresh()
        self.until(lambda: self.checked() == "month", "the month again")
        self.driver.back()
        self.until(lambda: self.checked() == "day", "the day, one step back")

    def checked(self) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, "#range input:checked").get_property("value")

    def test_arrow_keys_read_a_chart(self) -> None:
        self.until(lambda: self.value("memory", "whole process") not in ("", "–"), "a sample")
        self.focus("#chart-memory .plot")
        self.press(Keys.ARROW_LEFT)
        chart = self.find("chart-memory")
        self.assertRegex(chart.get_attribute("data-moment"), r"^\d\d:\d\d:\d\d$")
        spoken = chart.find_element(By.CSS_SELECTOR, "[aria-live]").get_property("textContent")
        self.assertRegex(spoken.replace("\u00a0", " "), r"^\d\d:\d\d:\d\d: whole process (\d+ MiB|–), KV caches")
        moments = {self.find(f"chart-{name}").get_attribute("data-moment") for name in ("memory", "latency", "saved")}
        self.assertEqual(len(moments), 1, "all charts show the same moment")
        self.press(Keys.ESCAPE)
        self.assertEqual(chart.get_attribute("data-moment"), "")
        self.focus("#chart-memory summary")
        self.press(Keys.ENTER)
        rows = self.until(lambda: chart.find_elements(By.CSS_SELECTOR, "tbody tr"), "the table")
        self.assertRegex(rows[0].text, r"^\d\d:\d\d:\d\d [\d.]+.MiB")

    def test_sessions_are_held_out_and_that_is_remembered(self) -> None:
        switch = "#holdout-on"
        self.focus(switch)
        self.press(Keys.SPACE)
        self.until(lambda: self.text("holdout-notice") == "5 % of sessions get no suggestions.", "the service to agree")
        self.assertEqual(self.holdout(), 0.05)
        self.driver.refresh()
        self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, switch).is_selected(), "it to be remembered")
        self.focus("#holdout-share")
        self.press("1", "0")
        self.press(Keys.TAB)
        self.until(lambda: self.holdout() == 0.1, "the share to be another")
        self.service.end()
        self.service.start()
        self.open(self.service)
        self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, switch).is_selected(), "it to outlive the service")
        self.assertEqual(self.find("holdout-share").get_property("value"), "0.1")
        self.until(lambda: re.search(r"(?m)^gpt2$", self.text("predictors")), "what was saved before")
        self.driver.get_log("browser")  # the stream that ended with the service
        self.focus(switch)
        self.press(Keys.SPACE)
        self.until(lambda: self.holdout() == 0, "it to be off")

    def test_degraded_answers_are_logged_without_a_word(self) -> None:
        for at in range(8):
            draft = f"The quarterly figures of desk {at} were delay"
            self.service.post("/v1/complete", {"text": draft, "writer": "ann", "session": f"late-{at}", "budget_ms": 1})
        rows = self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, "#log tbody tr"), "the log")
        self.assertRegex(rows[0].text.replace("\u2011", "-"), r"^\d\d:\d\d:\d\d (later than|left GPT-2 out).* 1.ms")
        source = self.driver.page_source
        self.assertNotIn("quarterly", source)
        self.assertNotIn("ann", self.text("log"))
        self.until(lambda: re.match(r"\d+ degraded answers?, the latest at", self.text("log-latest")), "it to be said")
        self.focus("#log-pause")
        self.press(Keys.ENTER)
        self.assertEqual(self.find("log-pause").get_attribute("aria-pressed"), "true")

    def test_a_writer_is_erased_once_the_name_is_typed(self) -> None:
        write(self.service, "zoe.77")
        self.focus("#to-writers")
        self.press(Keys.ENTER)
        self.until(lambda: self.driver.switch_to.active_element == self.find("writers-title"), "the page to take the focus")
        self.find("prefix").send_keys("zo")
        self.until(lambda: self.text("writers-list").startswith("zoe.77") and self.text("writers-notice") == "1 writer.", "her")
        self.focus("#writers-list a")
        self.press(Keys.ENTER)
        self.until(lambda: "messages\n1" in self.text("facts"), "what is stored")
        self.assertNotIn("Zebrafish", self.driver.page_source, "no word of hers is shown")
        self.assertRegex(self.text("weights"), r"gpt2\n")
        with urllib.request.urlopen(self.find("export").get_property("href"), timeout=5) as response:
            self.assertIn("attachment", response.headers["content-disposition"])
            self.assertIn("Zebrafish", response.read().decode())
        self.screenshot("admin-writer")

        self.find("word").send_keys("zebrafish", Keys.ENTER)
        self.until(lambda: self.text("forget-notice") == "Forgotten. It was in 1 message.", "the word to be gone")
        self.find("word").send_keys("two words", Keys.ENTER)
        self.until(lambda: "one word" in self.text("forget-notice"), "the reason")
        self.assertEqual(len(self.refused()), 1, "the refusal itself")

        self.focus("#erase")
        self.press(Keys.ENTER)
        self.press("zoe", Keys.ENTER)
        self.assertTrue(self.find("erase-dialog").is_displayed(), "a part of the name is not the name")
        self.assertFalse(self.find("erase-sure").is_enabled())
        self.press(Keys.ESCAPE)
        self.assertFalse(self.find("erase-dialog").is_displayed())
        self.assertEqual(self.service.get("/v1/writers/zoe.77")["writer"], "zoe.77", "she is still there")
        self.press(Keys.ENTER, "zoe.77", Keys.ENTER)
        self.until(lambda: self.text("writers-notice").startswith("zoe.77 is erased"), "her to be erased")
        with self.assertRaises(urllib.error.HTTPError) as gone:
            self.service.get("/v1/writers/zoe.77")
        self.addCleanup(gone.exception.close)
        self.assertEqual(gone.exception.code, 404)

    def refused(self) -> list[str]:
        """What the service refused, which the console tells; the log is empty after that."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "status of 4" in entry["message"]]

    def test_a_service_that_is_gone_is_named_until_it_is_back(self) -> None:
        self.service.end()
        self.until(lambda: self.text("connection") == "Not connected", "the loss")
        self.assertRegex(self.text("lost"), r"does not answer since \d\d:\d\d:\d\d.*known then")
        self.screenshot("admin-lost")
        self.service.start()
        self.until(lambda: self.text("connection") == "Live", "it to be back")
        self.assertFalse(self.find("lost").is_displayed())
        self.driver.get_log("browser")  # what could not be reached

    def test_a_dashboard_too_many_says_so_until_another_is_closed(self) -> None:
        fresh = Service()
        self.addCleanup(fresh.stop)
        others = [urllib.request.urlopen(f"{fresh.admin}/admin/api/live", timeout=5) for _ in range(16)]
        for other in others:
            self.addCleanup(other.close)
        self.driver.get(f"{fresh.admin}/admin")
        self.until(lambda: self.text("connection") == "Refused", "the refusal")
        self.assertIn("16 dashboards are open", self.text("lost"))
        self.screenshot("admin-full")
        self.assertTrue(all("503" in error["message"] for error in self.driver.get_log("browser")))
        others.pop().close()
        self.until(lambda: self.text("connection") == "Live", "a place")
        self.driver.get_log("browser")  # the refusals until then

    def test_every_page_fits_both_widths_in_both_schemes(self) -> None:
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                self.screen(width, scheme)
                for page in PAGES:
                    self.open(self.service, page)
                    self.until(lambda: self.text("about").startswith("Foretype "), "the version")
                    needed = self.driver.execute_script("return document.documentElement.scrollWidth")
                    self.assertLessEqual(needed, width, f"{page} at {width}")
                    name = re.sub(r"\W+", "-", page).strip("-") or "overview"
                    self.screenshot(f"admin-{name}-{width}-{scheme}")

    def test_every_control_has_a_name_and_tab_reaches_it(self) -> None:
        self.until(lambda: self.text("holdout-result"), "figures")
        wanted = self.driver.execute_script(
            """return [...document.querySelectorAll("#overview :is(a, button, input, select, summary, [tabindex='0'])")]
              .filter((node) => node.checkVisibility() && !(node.type === "radio" && !node.checked)).length"""
        )
        self.driver.execute_script("document.activeElement.blur()")
        reached = []
        for _ in range(wanted + 20):
            self.press(Keys.TAB)
            focused = self.driver.switch_to.active_element
            if not self.driver.execute_script("return arguments[0].closest('#overview') !== null", focused):
                continue
            if focused in reached:
                break
            self.assertTrue(focused.accessible_name, focused.get_attribute("outerHTML")[:200])
            reached.append(focused)
        self.assertEqual(len(reached), wanted)


def write(service: Service, writer: str) -> int:
    """Types as a writer does: a draft, its suggestion taken, the message sent. Returns the keystrokes saved."""
    session = f"{writer}-{time.time_ns()}"
    for end in range(len(DRAFT) - 3, len(DRAFT) + 1):
        answer = service.post("/v1/complete", {"text": DRAFT[:end], "writer": writer, "session": session})
    suggestion = answer["suggestions"][0]
    chars = len(suggestion["text"])
    service.post("/v1/feedback", {"id": answer["id"], "outcome": "accepted", "index": 0, "chars": chars})
    service.post("/v1/learn", {"writer": writer, "text": f"{DRAFT}{suggestion['text']} The Zebrafish is well."})
    return chars - 1


if __name__ == "__main__":
    unittest.main()
