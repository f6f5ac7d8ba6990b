"""The page of `booru serve` in a real browser, as somebody uses it with keyboard, mouse and phone."""

import re
import subprocess
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from booru_pipeline_tests.running import BOORU, eventually, free_port


@pytest.fixture(scope="module")
def address(settings):
    """Of a server on a home with the checkpoints of two releases."""
    port = free_port()
    command = [BOORU, "serve", "--raw", settings.raw, "--home", settings.home, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    eventually(lambda: b'"ok"' in urlopen(f"http://127.0.0.1:{port}/api/health", timeout=30).read())
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(30)


class Window:
    """A window on the page. `complaints` are what its console and its scripts said."""

    def __init__(self, browser, address, **options):
        self.complaints = []
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.field = self.page.get_by_role("combobox", name="Tags that the picture has")

    def give(self, *tags):
        for tag in tags:
            self.field.fill(tag)
            self.field.press("Enter")
        expect(self.page.locator(".answer").first).to_be_visible()

    @property
    def chips(self):
        return [text.split()[0] for text in self.page.locator(".field .chip").all_inner_texts()]


@pytest.fixture
def window(browser, address):
    expect.set_options(timeout=60_000)
    opened = Window(browser, address, viewport={"width": 1280, "height": 860})
    yield opened
    opened.page.context.close()
    assert not opened.complaints


def test_a_tag_is_completed_with_the_keyboard_by_its_alias(window, screenshots):
    window.field.type("bunny")
    expect(window.page.get_by_role("option").first).to_contain_text("rabbit")
    window.page.screenshot(path=screenshots / "ask_completion.png")
    window.field.press("ArrowDown")
    chosen = window.page.get_by_role("listbox", name="Names").get_by_role("option", selected=True)
    expect(window.field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id"))
    window.field.press("Escape")
    expect(chosen).to_be_hidden()
    window.field.press("ArrowDown")
    window.field.press("Enter")
    expect(window.page.locator(".chip")).to_contain_text("rabbit_")
    window.field.type("animal_e")
    expect(window.page.get_by_role("option").first).to_contain_text("animal_ears")
    window.field.press("Tab")
    window.field.type("Long Hair,")
    expect(window.page.locator(".chip").nth(2)).to_contain_text("long_hair")
    for left in (2, 1, 0):
        window.field.press("Backspace")
        expect(window.page.locator(".chip")).to_have_count(left)


def test_a_pasted_prompt_becomes_the_tags_that_are_understood(window):
    paste = "(field, text) => { const data = new DataTransfer(); data.setData('text', text); field.dispatchEvent("
    paste += "new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }"
    window.field.evaluate(paste, "masterpiece, (Long Hair:1.2)\n1girl")
    expect(window.page.locator(".chip.left")).to_have_text(re.compile("masterpiece"))
    assert "tag=long_hair&tag=1girl&tag=masterpiece" in window.page.url


def test_suggestions_are_added_by_click_explained_and_taken_back(window, screenshots):
    window.give("usada pekora")
    row = window.page.locator(".row").filter(has=window.page.get_by_text("animal_ears", exact=True)).first
    row.get_by_text("why").click()
    expect(row.get_by_text("most from usada_pekora")).to_be_visible()
    window.page.screenshot(path=screenshots / "ask.png")
    expect(row).to_contain_text(re.compile(r"seen \d+.% \(\d+ of \d+\) T5 "))
    row.get_by_role("button").click()
    window.page.get_by_role("button", name="remove animal_ears").click()
    expect(window.page.locator(".chip")).to_have_count(1)
    window.page.go_back()  # each step is a link
    expect(row).to_have_count(0)
    window.page.locator(".add").first.press("Enter")
    expect(window.page.locator(".chip")).to_have_count(3)
    expect(window.page.locator(".add:focus")).to_be_visible()  # who came by keyboard goes on from the next one


def test_what_contradicts_itself_and_what_is_unknown_is_said(window):
    window.give("1girl", "multiple_girls", "no_such_tag")
    expect(window.page.locator(".chip.apart")).to_have_count(2)
    expect(window.page.locator(".warn")).to_have_text(re.compile("^Contradiction 1girl and multiple_girls: 0 of"))
    expect(window.page.get_by_text("no label is called no_such_tag")).to_be_visible()


def test_a_question_without_a_label_is_an_error_in_words_and_hostile_text_is_text(browser, address):
    window = Window(browser, address)
    window.field.fill("<img src=x onerror=alert(1)>")
    window.field.press("Enter")
    expect(window.page.get_by_role("status").get_by_text("<img")).to_be_visible()
    assert window.page.locator("img").count() == 0
    hostile = {"tag": "<script>alert(1)</script>", "category": "general", "posts": 1, "alias": "<b>"}
    window.page.route("**/api/tags?*", lambda route: route.fulfill(json=[hostile]))
    window.field.type("s")
    expect(window.page.get_by_role("option").first).to_contain_text("<b> → <script>alert(1)</script>")
    # The browser itself notes that an answer was a refusal; nothing else is said.
    assert all("422" in line for line in window.complaints)


def test_the_prompt_is_copied_as_it_is_wanted(browser, address):
    window = Window(browser, address, permissions=["clipboard-read", "clipboard-write"])
    window.give("long hair", "usada_pekora_(1st_costume)")
    window.page.get_by_role("button", name="Copy as a prompt").click()
    expect(window.page.get_by_text("copied")).to_be_visible()
    copied = "navigator.clipboard.readText()"
    assert window.page.evaluate(copied) == r"long hair, usada pekora \(1st costume\)"
    window.page.get_by_label("spaces").uncheck()
    window.page.get_by_label("escaped parentheses").uncheck()
    window.page.get_by_role("button", name="Copy as a prompt").click()
    assert eventually(lambda: window.page.evaluate(copied) == "long_hair, usada_pekora_(1st_costume)")
    window.page.reload()
    assert not window.page.get_by_label("escaped parentheses").is_checked()  # a choice is remembered


def test_what_passes_is_said_and_asked_again(browser, address):
    window = Window(browser, f"{address}/#tag=1girl")
    window.page.route("**/api/suggest", lambda route: route.fulfill(status=503, json={"error": "too many at once."}))
    window.page.reload()
    expect(window.page.get_by_role("status").get_by_text("too many at once")).to_be_visible()
    window.page.unroute("**/api/suggest")
    expect(window.page.locator(".answer")).to_be_visible()
    assert all("503" in line for line in window.complaints)


def test_a_whole_set_is_drawn_and_taken(window):
    window.give("usada_pekora")
    window.page.get_by_role("button", name="Fill up").click()
    drawn = window.page.locator(".set li")
    expect(drawn.filter(has_text="usada_pekora").first).to_be_visible()
    expect(window.page.get_by_role("status").get_by_text("seed")).to_be_visible()
    number = drawn.count()
    window.page.get_by_role("button", name="Take all").click()
    expect(window.page.locator(".field .chip")).to_have_count(number)


def test_two_checkpoints_stand_side_by_side_under_a_link(window, browser, address):
    window.give("1girl")
    window.page.get_by_label("checkpoint").select_option("2021a")
    window.page.get_by_label("beside").select_option("2021b")
    expect(window.page.locator(".answer h2")).to_have_text([re.compile("^2021a"), re.compile("^2021b")])
    expect(window.page.locator(".differs").get_by_text(re.compile("points|only here")).first).to_be_visible()
    shared = Window(browser, window.page.url)
    expect(shared.page.locator(".answer h2")).to_have_text([re.compile("^2021a"), re.compile("^2021b")])
    assert shared.chips == ["1girl"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_everybody_can_use_it(browser, address, scheme, screenshots):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the package axe-playwright-python")
    window = Window(browser, address, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    window.give("usada_pekora", "1girl", "multiple_girls")
    window.page.get_by_label("beside").select_option("2021a")
    expect(window.page.locator(".columns:not(.busy) .answer")).to_have_count(2)
    page = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (page == "rgb(16, 16, 16)") == (scheme == "dark")
    window.page.locator("summary").first.click()
    window.page.screenshot(path=screenshots / f"ask_{scheme}.png")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    for text in ("", "hair"):
        window.field.type(text)
        expect(window.page.get_by_role("listbox", name="Names")).to_be_visible(visible=text != "")
        assert (found := axe.Axe().run(window.page)).violations_count == 0, found.generate_report()
    assert window.complaints == []
