"""The page in a real browser; skipped where none is installed."""

import dataclasses
import queue
import shutil

import numpy as np
import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

from streampca import StreamingPCA  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium with its driver: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # Containers run as root and have a small /dev/shm.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    def __init__(self, driver, port):
        self.driver, self.port = driver, port

    def open(self, fragment="", size=(1200, 900), **emulated):
        width, height = size
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        features = [{"name": name, "value": value} for name, value in emulated.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(f"http://localhost:{self.port}/{fragment}")
        self.until(lambda: self.text("live").startswith("Live"))

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def text(self, name):
        return self.find(name).text

    def until(self, holds):
        WebDriverWait(self.driver, 20, 0.1).until(lambda _: holds())

    def script(self, code, *arguments):
        return self.driver.execute_script(f"return {code}", *arguments)

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def page(chromium, port):
    return Page(chromium, port)


def test_it_loads_every_chart_and_complains_of_nothing(page, store, fill):
    fill(store, hours=5)
    page.open()
    for name in ("scree", "turned", "shares", "left-out", "angle"):
        svg = page.find(name).find_element(By.CSS_SELECTOR, "svg[role=img]")
        assert svg.find_element(By.TAG_NAME, "title").get_attribute("textContent")
        line = svg.find_element(By.CSS_SELECTOR, "path.line").get_attribute("d")
        assert line.count("L") >= 1
    assert "250 rows of 3 features; 2 components explain" in page.text("summary")
    names = page.find("loadings").find_elements(By.CSS_SELECTOR, "tbody th")
    assert [name.text for name in names] == ["oil", "air", "<b>load</b>"]  # text, not markup
    assert page.complaints() == []


def test_switching_the_key_shows_the_other_model(page, store, fill):
    fill(store, "press 4", hours=2)
    fill(store, 7, hours=3, seed=1)
    page.open("#key=press+4")
    assert "100 rows" in page.text("summary")
    Select(page.find("key")).select_by_visible_text("7")
    page.until(lambda: "150 rows" in page.text("summary"))
    page.until(lambda: "3 checkpoints" in page.text("live"))
    assert page.driver.current_url.endswith("#key=7")
    assert page.complaints() == []


def test_a_time_can_be_chosen_and_is_kept(page, store, fill):
    """By the keyboard alone; a screen reader is told what the slider stands for."""
    fill(store, hours=4)
    page.open()
    slider = page.find("time")
    assert page.text("time-text") == "1970-01-01 04:00 UTC, 4 of 4, latest as it comes"
    slider.send_keys(Keys.HOME)
    page.until(lambda: "50 rows" in page.text("summary"))
    slider.send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: "100 rows" in page.text("summary"))
    assert slider.get_attribute("aria-valuetext") == "1970-01-01 02:00 UTC, 2 of 4"
    fill(store, hours=1, start=4)
    page.until(lambda: "5 checkpoints" in page.text("live"))
    page.until(lambda: page.text("time-text") == "1970-01-01 02:00 UTC, 2 of 5")
    assert "100 rows" in page.text("summary")
    page.find("later").click()
    page.until(lambda: "150 rows" in page.text("summary"))
    page.find("latest").send_keys(Keys.ENTER)
    page.until(lambda: "250 rows" in page.text("summary"))
    assert page.find("latest").get_attribute("aria-pressed") == "true"
    assert page.complaints() == []


def test_every_checkpoint_can_be_reached(page, store, fill):
    """The first of more than any chart shows; the charts end where the slider stands."""
    fill(store, hours=130)
    page.open()
    slider = page.find("time")
    assert slider.get_attribute("max") == "129"
    slider.send_keys(Keys.HOME)
    page.until(lambda: "50 rows" in page.text("summary"))
    page.find("later").click()
    page.find("later").click()
    page.until(lambda: "150 rows" in page.text("summary"))
    page.find("shares").find_element(By.TAG_NAME, "summary").click()

    def windows():
        shown = page.find("shares").find_elements(By.CSS_SELECTOR, "tbody th")
        return [each.text for each in shown]

    # the table is drawn when it is opened, a moment after the click
    page.until(lambda: windows() == [f"1970-01-01 0{hour}:00" for hour in (3, 2, 1)])


def test_a_late_window_takes_its_place_among_the_times(page, store, fill):
    fill(store, hours=2, start=1)
    page.open()
    assert page.text("time-text") == "1970-01-01 03:00 UTC, 2 of 2, latest as it comes"
    fill(store, hours=1, start=0)
    page.until(lambda: "3 of 3" in page.text("time-text"))
    page.find("time").send_keys(Keys.HOME)
    page.until(lambda: "50 rows" in page.text("summary"))


def test_times_are_shown_in_the_zone_that_was_chosen(page, store, fill):
    fill(store, hours=3)
    page.open()
    Select(page.find("zone")).select_by_value("Asia/Tokyo")
    page.until(lambda: "1970-01-01 12:00 Asia/Tokyo (UTC+09:00)" in page.text("time-text"))
    assert "last 1970-01-01 12:00 Asia/Tokyo (UTC+09:00)" in page.text("live")
    assert page.text("summary").startswith("1970-01-01 12:00 Asia/Tokyo (UTC+09:00):")
    page.open()
    page.until(lambda: "12:00 Asia/Tokyo" in page.text("time-text"))  # it is remembered
    Select(page.find("zone")).select_by_value("UTC")
    page.until(lambda: "1970-01-01 03:00 UTC" in page.text("time-text"))
    assert page.complaints() == []


def test_one_of_a_thousand_keys_is_found_by_typing(page, store, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda number: None)  # nothing has to outlast this test
    checkpoint = StreamingPCA(1).fit(np.random.default_rng(0).normal(size=(9, 3))).checkpoint()
    for number in range(1000):
        store.write(dataclasses.replace(checkpoint, key=f"press {number:03}"))
    page.open()
    assert len(page.find("key").find_elements(By.TAG_NAME, "option")) == 1000
    page.find("find").send_keys("S 73")
    page.until(lambda: page.text("find-result") == "10 of 1000 keys.")
    page.find("find").send_keys("4", Keys.ENTER)
    page.until(lambda: page.driver.current_url.endswith("#key=press+734"))
    page.until(lambda: Select(page.find("key")).first_selected_option.text == "press 734")
    assert page.complaints() == []


def test_rows_are_shown_as_they_come(chromium, store, fill, start):
    """With limits, alarms, the feature behind each, and what cannot be used."""
    fill(store)
    given = queue.Queue()
    with start(rows=iter(given.get, None)) as port:
        page = Page(chromium, port)
        page.open()
        assert page.find("live-rows").is_displayed()
        for row in [[10, 10, 10]] * 3 + [{"oil": 10, "air": 10, "<b>load</b>": 60}]:
            given.put(row)
        page.until(lambda: page.text("live-said") == "Alarm: row 3, <b>load</b>.")
        for name in ("live-spe", "live-t2"):
            svg = page.find(name).find_element(By.CSS_SELECTOR, "svg[role=img]")
            assert svg.find_element(By.CSS_SELECTOR, "path.line").get_attribute("d").count("L") == 3
            assert "H" in svg.find_element(By.CSS_SELECTOR, "path.steps").get_attribute("d")
        row = page.find("live-alarms").find_element(By.CSS_SELECTOR, "tbody tr").text
        assert row.startswith("row 3 <b>load</b> SPE")
        summary = page.find("live-spe").find_element(By.TAG_NAME, "summary")
        summary.send_keys(Keys.ENTER)
        given.put([1, "x", 3])
        page.until(lambda: "could not be used: row 4" in page.text("live-said"))
        # What is open stays open, and the keyboard stays where it was, as rows come.
        given.put([10, 10, 10])
        page.until(lambda: "The last 5 rows" in page.text("live-spe"))
        assert page.script("document.activeElement.tagName") == "SUMMARY"
        lines = page.find("live-spe").find_elements(By.CSS_SELECTOR, "tbody tr")
        assert [line.text.split()[0] for line in lines] == ["5", "3", "2", "1", "0"]
        assert page.complaints() == []
        given.put(None)


def test_events_of_rows_open_to_the_sensors_behind_them(chromium, store, fill, start):
    fill(store)
    given = queue.Queue()
    with start(rows=iter(given.get, None)) as port:
        page = Page(chromium, port)
        page.open()
        for row in [[10, 10, 10]] * 3 + [[10, 10, 60]] * 4:
            given.put(row)
        page.until(lambda: "not over" in page.text("live-events"))
        summary = page.find("live-events").find_element(By.TAG_NAME, "summary")
        assert "from row 3 not over: <b>load</b>" in summary.text
        summary.send_keys(Keys.ENTER)
        lines = page.find("live-events").find_elements(By.CSS_SELECTOR, "tbody tr")
        assert lines[0].text.startswith("<b>load</b>")
        for row in [[10, 10, 10]] * 12:
            given.put(row)
        page.until(lambda: "to row 6, 4 rows" in page.text("live-events"))
        # what was open stays open, and the keyboard stays where it was
        assert page.find("live-events").find_element(By.TAG_NAME, "details").get_attribute("open")
        assert page.script("document.activeElement.tagName") == "SUMMARY"
        assert page.complaints() == []
        given.put(None)


def test_it_follows_a_job_that_writes(page, store, fill):
    page.open()
    assert page.find("empty").is_displayed()
    assert not page.find("panels").is_displayed()
    fill(store, "press 4", hours=1)
    page.until(lambda: "50 rows" in page.text("summary"))
    fill(store, "press 4", hours=3, start=1)
    page.until(lambda: "200 rows" in page.text("summary"))
    line = page.find("shares").find_element(By.CSS_SELECTOR, "svg[role=img] path.line")
    assert line.get_attribute("d").count("L") == 3
    fill(store, "press 5", hours=1)
    page.until(lambda: len(Select(page.find("key")).options) == 2)
    assert page.complaints() == []


def test_pasted_rows_are_judged_and_the_feature_named(page, store, fill):
    fill(store)
    page.open()
    assert not page.find("rows-charts").is_displayed()
    page.find("rows-text").send_keys("oil,air,<b>load</b>\n10,10,10\n10,10,40\n")
    page.find("rows").find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    page.until(lambda: page.text("rows-result") == "2 rows, 1 above a limit.")
    row = page.find("alarms").find_element(By.CSS_SELECTOR, "tbody tr").text
    assert row.startswith("row 1 SPE <b>load</b>")
    page.find("rows-text").send_keys("1,x,3\n")
    page.find("rows").find_element(By.TAG_NAME, "button").click()
    page.until(lambda: 'Row 2, feature air is "x"' in page.text("rows-result"))
    assert page.complaints() == []


def test_an_error_of_the_server_is_shown(page, store, fill):
    fill(store)
    page.open()
    page.find("rows-text").send_keys("1,2\n")
    page.find("rows").find_element(By.TAG_NAME, "button").click()
    page.until(lambda: "row 0 has 2 features, and the model has 3" in page.text("rows-result"))


@pytest.mark.parametrize("size", [(390, 844), (320, 600)])
def test_on_a_phone_nothing_sticks_out_and_text_keeps_its_size(page, store, fill, size):
    fill(store, hours=30)
    page.open(size=size)
    assert page.script("document.documentElement.scrollWidth") == size[0]
    small = page.script(
        "[...document.querySelectorAll('#panels > .grid svg')].map(svg =>"
        " svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
    )
    assert min(small) > 0.99  # one unit is a pixel: labels are 12 pixels high
    overlapping = page.script(
        "[...document.querySelectorAll('#shares svg[role=img]')].some(svg => {"
        " const boxes = [...svg.querySelectorAll('text:not([text-anchor=end])')]"
        ".map(text => text.getBoundingClientRect()).sort((a, b) => a.left - b.left);"
        " return boxes.some((box, i) => i && box.left < boxes[i - 1].right); })"
    )
    assert not overlapping


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(page, store, fill, scheme):
    fill(store)
    page.open(**{"prefers-color-scheme": scheme})
    pairs = page.script(
        "['body', '#live', '.note', 'summary', 'select'].map(name => {"
        " const of = getComputedStyle(document.querySelector(name));"
        " return [of.color, getComputedStyle(document.body).backgroundColor]; })"
    )
    cells = page.script(
        "[...document.querySelectorAll('.heat td')].map(cell => {"
        " const of = getComputedStyle(cell); return [of.color, of.backgroundColor]; })"
    )
    assert len(cells) == 6
    assert min(contrast(*pair) for pair in pairs + cells) >= 4.5
    dark = luminance(pairs[0][1]) < 0.2
    assert dark == (scheme == "dark")


def test_it_can_be_used_from_the_keyboard(page, store, fill):
    fill(store, "a")
    page.open()
    reached = []
    for _ in range(20):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.script("document.activeElement.id || document.activeElement.tagName"))
    assert reached[0] == "A"  # to skip what comes before the charts
    assert {"key", "zone", "time", "earlier", "SUMMARY", "rows-text", "BUTTON"} <= set(reached)
    labelled = page.script(
        "[...document.querySelectorAll('select, textarea, input')]"
        ".every(each => each.labels.length)"
    )
    assert labelled


def test_a_server_that_comes_back_is_found_again(chromium, store, fill, start):
    fill(store)
    with start() as port:
        page = Page(chromium, port)
        page.open()
    page.until(lambda: page.text("live").startswith("Not live"))
    fill(store, hours=1, start=3)
    with start(port):
        page.until(lambda: "200 rows" in page.text("summary"))
        assert page.text("live").startswith("Live: 4 checkpoints")


def luminance(colour):
    rgb = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
