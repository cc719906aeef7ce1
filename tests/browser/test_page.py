#!/usr/bin/env python3
"""The page at `/`, driven by real key events in a headless Chromium against the real service.

    .venv/bin/python tests/browser/test_page.py     # needs chromium, chromedriver and target/debug/foretype

FORETYPE_BINARY names another binary, FORETYPE_URL a service that runs already. Screenshots go to target/browser/.
"""

from __future__ import annotations

import os
import re
import time
import unittest
from pathlib import Path

from foretype import PageTest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

DRAFT = "Thanks for calling, I can he"
COUNT_PENDING = """
window.pending = 0;
const {fetch} = window;
window.fetch = (...request) => { window.pending += 1; return fetch(...request).finally(() => { window.pending -= 1; }); };
// Of the drafts sent over the WebSocket the last is answered, or all are.
let asked = 0, answered = 0;
const {send} = WebSocket.prototype;
WebSocket.prototype.send = function (text) {
  window.socket = this;
  const {type, seq} = JSON.parse(text);
  if (!this.watched) this.addEventListener("message", ({data}) => {
    const said = JSON.parse(data);
    if (said.seq === asked && (said.final || said.type === "error")) answered = said.seq;
  });
  this.watched = true;
  if (type === "edit") asked = seq;
  return send.call(this, text);
};
window.isAnswered = () => asked === answered;
"""
WRAPPING = (Path(__file__).parent / "wrapping.js").read_text()


class DraftTest(PageTest):
    """A fresh page for each test."""

    def setUp(self) -> None:
        self.driver.get(self.service.url)
        self.driver.execute_script("localStorage.clear()")
        self.driver.refresh()
        self.driver.execute_script(COUNT_PENDING)
        self.box = self.find("draft")
        self.until(lambda: self.text("elapsed") != "–", "the first answer")

    def typed(self) -> str:
        return self.box.get_property("value")

    def ghost(self) -> str:
        return self.driver.execute_script("return document.querySelector('.ghost-text-suggestion').textContent")

    def wait_for_ghost(self) -> str:
        return self.until(self.ghost, f"ghost text after {self.typed()!r}")

    def settled(self) -> None:
        """Waits until the page has had nothing to ask for a while."""
        self.driver.execute_async_script(
            """const done = arguments[0]; let quiet = 0;
            const look = () => {
              quiet = window.pending === 0 && window.isAnswered() ? quiet + 1 : 0;
              if (quiet > 4) requestAnimationFrame(() => requestAnimationFrame(done));
              else setTimeout(look, 30);
            };
            look();"""
        )

    def requests(self, path: str) -> int:
        script = "return performance.getEntriesByType('resource').filter(({name}) => name.endsWith(arguments[0])).length"
        return self.driver.execute_script(script, path)

    def press(self, *keys: str) -> None:
        chain = ActionChains(self.driver)
        *modifiers, key = keys
        for modifier in modifiers:
            chain.key_down(modifier)
        chain.send_keys(key)
        for modifier in modifiers:
            chain.key_up(modifier)
        chain.perform()

    def test_tab_takes_the_whole_suggestion(self) -> None:
        self.box.send_keys(DRAFT)
        ghost = self.wait_for_ghost()
        self.settled()
        ghost = self.ghost()
        self.screenshot("suggestion")
        self.press(Keys.TAB)
        self.assertEqual(self.typed(), DRAFT + ghost)
        self.assertGreater(len(ghost), 1)
        self.until(lambda: int(self.text("saved")) == len(ghost) - 1, "the count of saved keystrokes")
        self.until(lambda: self.requests("/v1/feedback") == 1, "the outcome to be reported")
        self.press(Keys.CONTROL, "z")
        self.assertEqual(self.typed(), DRAFT, "undo takes the suggestion back")

    def test_tab_replaces_a_mistyped_word(self) -> None:
        self.box.send_keys("Could you please chekc")
        self.settled()
        ghost = self.wait_for_ghost()
        self.assertTrue(ghost.startswith(" → check"), ghost)
        self.box.send_keys(Keys.TAB)
        self.assertEqual(self.typed(), "Could you please " + ghost.removeprefix(" → "))

    def test_control_right_takes_one_word(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        word = re.match(r"\s*\S+ ?", self.ghost())[0]
        self.press(Keys.CONTROL, Keys.ARROW_RIGHT)
        self.assertEqual(self.typed(), DRAFT + word)

    def test_escape_dismisses_for_good(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        self.press(Keys.ESCAPE)
        self.assertEqual(self.ghost(), "")
        self.until(lambda: self.requests("/v1/feedback") == 1, "the rejection to be reported")
        self.box.send_keys("x", Keys.BACKSPACE)
        self.settled()
        self.assertEqual(self.typed(), DRAFT)
        self.assertEqual(self.ghost(), "", "it stays dismissed at this place")
        self.assertEqual(self.driver.switch_to.active_element, self.box)
        self.press(Keys.TAB)
        self.assertNotEqual(self.driver.switch_to.active_element, self.box, "without ghost text, Tab moves on")

    def test_typing_through_does_not_flicker(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        ghost = self.ghost()
        self.driver.execute_script(
            """const shown = document.querySelector(".ghost-text-suggestion");
            window.seen = [];
            new MutationObserver(() => seen.push(shown.textContent)).observe(shown, {childList: true, characterData: true, subtree: true});"""
        )
        through = max(1, len(ghost.split()[0]) - 1)
        self.box.send_keys(ghost[:through])
        self.settled()
        seen = self.driver.execute_script("return window.seen")
        self.assertEqual(seen[0], ghost[1:], "the page itself shortens it, at once")
        self.assertNotIn("", seen)
        # A later answer may know a better end; the word that is being typed stays.
        self.assertEqual(self.ghost().split()[0], ghost[through:].split()[0])

    def test_punctuation_swallows_the_space_of_a_taken_suggestion(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        for _ in range(len(self.ghost().split())):
            self.press(Keys.CONTROL, Keys.ARROW_RIGHT)
            if self.typed().endswith(" "):
                break
            self.settled()
        else:
            self.skipTest(f"no word of {self.typed()!r} came with a space")
        before = self.typed()
        self.box.send_keys(",")
        self.assertEqual(self.typed(), before[:-1] + ",")

    def test_other_suggestions_are_taken_by_number_or_click(self) -> None:
        # What is typed quickly may go on with a suggestion of before, which may be the only one: then another draft.
        for draft in ("The customer w", "I a", "It w", "The customer ", "Hello", "I c", "Have a g", "The customer w"):
            self.press(Keys.CONTROL, "a")
            self.box.send_keys(draft)
            self.settled()
            if len(self.others()) > 1:
                break
        else:
            self.fail("no draft had several suggestions")
        second = self.driver.find_elements(By.CSS_SELECTOR, "#suggestions .words")[1].text
        self.press(Keys.ALT, "2")
        self.assertEqual(self.typed().rstrip(), f"{draft}{second.replace('␣', ' ')}".rstrip())
        self.until(lambda: self.requests("/v1/feedback") == 1, "the outcome to be reported")

    def others(self) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, "#others button")

    def test_sending_teaches_the_writer(self) -> None:
        writer = f"ada-{time.time_ns()}"
        self.find("writer").send_keys(writer)
        message = "Quuxification of the ledger is complete."
        self.box.send_keys(message)
        self.press(Keys.CONTROL, Keys.ENTER)
        self.until(lambda: "learned" in self.text("notice"), "the message to be learned")
        self.assertEqual(self.typed(), "")
        self.assertIn(message, self.text("conversation"))
        self.assertEqual(self.service.get(f"/v1/writers/{writer}")["writer"], writer)
        self.driver.refresh()
        self.assertEqual(self.find("writer").get_property("value"), writer)

    def test_nothing_is_learned_without_a_name(self) -> None:
        self.box.send_keys("Hello.")
        self.press(Keys.CONTROL, Keys.ENTER)
        self.until(lambda: "Nothing was learned" in self.text("notice"), "the notice")
        self.assertEqual(self.requests("/v1/learn"), 0)

    def test_a_customers_line_joins_the_context(self) -> None:
        self.find("customer").send_keys("My card was charged twice.", Keys.ENTER)
        self.assertIn("My card was charged twice.", self.text("conversation"))
        self.box.send_keys("I am sorry ab")
        self.wait_for_ghost()
        self.screenshot("conversation")
        self.find("restart").click()
        self.assertEqual(self.text("conversation"), "")

    def test_the_panel_says_who_was_asked(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        rows = self.driver.find_elements(By.CSS_SELECTOR, "#predictors li")
        statuses = {row.get_attribute("data-predictor"): row.get_attribute("data-status") for row in rows}
        self.assertGreaterEqual(statuses.keys(), {"gpt2", "personal", "domain", "charlm"})
        self.assertIn("used", statuses.values())
        self.assertLessEqual(set(statuses.values()), {"used", "empty", "late", "skipped", "off"})
        self.assertRegex(self.text("elapsed"), r"^\d+(\.\d)? ms$")
        self.assertRegex(self.text("suggestions"), r"\d+ %")
        self.driver.find_element(By.CSS_SELECTOR, "#details summary").click()
        self.until(lambda: self.text("debug").startswith("{"), "the debug data")

    def compose(self, text: str) -> None:
        """What an input method holds is now this."""
        composition = {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        self.driver.execute_cdp_cmd("Input.imeSetComposition", composition)

    def touch(self) -> None:
        """The screen is one to touch, for the rest of the test."""
        enable, fingers = "Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1}
        self.driver.execute_cdp_cmd(enable, fingers)
        self.addCleanup(self.driver.execute_cdp_cmd, enable, {"enabled": False})

    def test_the_keyboard_of_a_touch_screen_composes_every_word(self) -> None:
        self.touch()
        words, _, begun = DRAFT.rpartition(" ")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": f"{words} "})
        for length in range(1, len(begun) + 1):
            self.compose(begun[:length])
        self.wait_for_ghost()
        self.settled()
        ghost = self.ghost()
        self.assertEqual(self.typed(), DRAFT)
        self.screenshot("composing")
        self.others()[0].click()
        self.assertEqual(self.typed(), DRAFT + ghost)
        self.assertEqual(self.driver.switch_to.active_element, self.box, "the keyboard stays")
        self.until(lambda: self.requests("/v1/feedback") == 1, "the outcome to be reported")
        self.compose("w")
        self.assertEqual(self.typed(), f"{DRAFT}{ghost}w", "it goes on behind what was taken")

    def test_syllables_are_composed_in_peace_on_a_touch_screen_too(self) -> None:
        self.touch()
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        for held in ("ｌ", "り"):
            self.compose(held)
            self.settled()
            self.assertEqual((self.typed(), self.ghost(), self.others()), (DRAFT + held, "", []))
        self.compose("")
        self.wait_for_ghost()
        self.assertEqual(self.typed(), DRAFT)

    def test_no_suggestion_while_an_input_method_composes(self) -> None:
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.settled()
        self.compose("l")
        self.settled()
        self.assertEqual(self.typed(), DRAFT + "l")
        self.assertEqual(self.ghost(), "")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": "l"})
        self.assertEqual(self.typed(), DRAFT + "l")
        self.wait_for_ghost()

    def test_in_the_middle_of_a_text_it_hangs_below(self) -> None:
        self.box.send_keys(f"{DRAFT} tomorrow.", *[Keys.ARROW_LEFT] * len(" tomorrow."))
        self.wait_for_ghost()
        self.settled()
        self.assertIn("floating", self.driver.find_element(By.CLASS_NAME, "ghost-text-suggestion").get_attribute("class"))
        self.screenshot("middle")
        ghost = self.ghost()
        self.press(Keys.TAB)
        self.assertEqual(self.typed(), f"{DRAFT}{ghost} tomorrow.")

    def test_ghost_text_starts_where_the_caret_is_however_the_text_wraps(self) -> None:
        report = self.driver.execute_async_script(WRAPPING)
        self.assertGreater(report["checked"], 300)
        self.assertGreater(report["wrapped"], 100, "the texts were meant to wrap")
        self.assertEqual(report["wrong"], [])

    def test_a_narrow_screen_shows_everything(self) -> None:
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        self.screenshot("narrow")
        width = self.driver.execute_script("return document.documentElement.scrollWidth")
        self.assertLessEqual(width, 360)

    def test_a_dark_screen(self) -> None:
        dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.setEmulatedMedia", {"features": []})
        self.box.send_keys(DRAFT)
        self.wait_for_ghost()
        colours = "const {backgroundColor, color} = getComputedStyle(document.body); return [backgroundColor, color]"
        ground, ink = self.driver.execute_script(colours)
        self.assertLess(brightness(ground), 60)
        self.assertGreater(brightness(ink), 200)
        time.sleep(0.2)  # the colours of buttons fade
        self.screenshot("dark")

    def test_a_service_that_does_not_answer_is_named(self) -> None:
        def offline(value: bool) -> None:
            conditions = {"offline": value, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
            self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

        self.addCleanup(offline, False)
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.box.send_keys("Thank")
        self.settled()
        offline(True)
        # What is connected stays connected when a browser plays at being offline.
        self.driver.execute_async_script("window.socket.onclose = arguments[0]; window.socket.close()")
        self.box.send_keys("s")
        self.until(lambda: "does not answer" in self.text("notice"), "the notice")
        self.driver.get_log("browser")  # the failed request itself
        offline(False)
        self.box.send_keys(" for")
        self.until(lambda: self.text("notice") == "", "the notice to go once it answers")


@unittest.skipIf("FORETYPE_URL" in os.environ, "a key would be needed ever after")
class KeyTest(PageTest):
    """A service that wants an API key."""

    def test_the_page_asks_for_a_key_and_is_its_writer(self) -> None:
        key = self.service.add_key("--writer", "ann")
        self.driver.get(self.service.url)
        self.until(lambda: "asks for an API key" in self.text("notice"), "the page to ask for a key")
        self.assertEqual(self.text("elapsed"), "–")
        field, box = self.find("key"), self.find("draft")
        self.screenshot("key")
        field.send_keys("ft_nobody_0000", Keys.TAB)
        self.until(lambda: "does not hold" in self.text("notice"), "a wrong key to be refused")
        self.driver.get_log("browser")  # what was refused
        field.clear()
        field.send_keys(key, Keys.TAB)
        self.until(lambda: self.text("elapsed") != "–", "the first answer")
        self.assertEqual(self.text("notice"), "")
        box.send_keys("The zentiva parcel is late.", Keys.CONTROL, Keys.ENTER)
        self.until(lambda: self.text("notice") == "Sent, and learned for the key's writer.", "it to be learned")
        self.driver.refresh()
        self.until(lambda: self.text("elapsed") != "–", "the tab to remember the key")
        self.assertTrue(self.find("key").is_displayed())
        self.assertEqual(self.find("key").get_attribute("type"), "password")


def brightness(colour: str) -> float:
    """The mean of red, green and blue of a computed `rgb(…)`, 0 to 255."""
    channels = [float(value) for value in re.findall(r"[\d.]+", colour)[:3]]
    return sum(channels) / 3


if __name__ == "__main__":
    unittest.main()
