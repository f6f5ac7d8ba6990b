"""The page in a real browser, from its file, without a network."""

import re

import pytest

from booru_pipeline.evaluation.report.page.words import NOTHING

DESK = {"width": 1280, "height": 900}
TELEPHONE = {"width": 390, "height": 844}
METHODS = "#recovery table"


@pytest.fixture
def visit(browser, evaluated):
    """Opens the page with its options; whatever it complained of by the end of the test fails it."""
    complaints, asked = [], []

    def go(**options):
        context = browser.new_context(offline=True, **options)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(evaluated.page.as_uri())
        return page

    yield go
    assert complaints == []
    assert set(asked) == {evaluated.page.as_uri()}


def column(page, name):
    """A column of the methods' table at its first hidden share, from the top."""
    heads = page.locator(f"{METHODS} thead th").all_inner_texts()
    place = [head.strip() for head in heads].index(name) + 1
    return page.locator(f"{METHODS} tbody").first.locator(f"tr:not(.group) > :nth-child({place})").all_inner_texts()


def sorted_by(page, name):
    return page.locator(f"{METHODS} thead th", has_text=re.compile(f"^{name}$")).get_attribute("aria-sort")


def test_a_table_sorts_by_click_within_each_share(visit):
    page = visit(viewport=DESK)
    names, before = column(page, "method"), [float(value) for value in column(page, "recall@10")]
    assert before != sorted(before, reverse=True)
    groups = page.locator(f"{METHODS} tr.group").all_inner_texts()
    button = page.locator(f"{METHODS} thead button", has_text=re.compile("^recall@10$"))
    button.click()
    assert sorted_by(page, "recall@10") == "descending"
    assert [float(value) for value in column(page, "recall@10")] == sorted(before, reverse=True)
    assert page.locator(f"{METHODS} tr.group").all_inner_texts() == groups
    assert page.locator(f"{METHODS} tbody tr:first-child").all_inner_texts() == groups
    button.click()
    assert sorted_by(page, "recall@10") == "ascending"
    assert [float(value) for value in column(page, "recall@10")] == sorted(before)
    button.click()
    assert sorted_by(page, "recall@10") == "none"
    assert column(page, "method") == names


def test_a_table_sorts_by_keyboard(visit):
    page = visit(viewport=DESK)
    names = column(page, "method")
    page.locator(f"{METHODS} thead button").first.focus()
    page.keyboard.press("Enter")
    assert sorted_by(page, "method") == "ascending"
    assert column(page, "method") == sorted(names, key=str.casefold)
    for heading in ("model less this, recall@10 points", "recall@1"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == heading
    page.keyboard.press("Space")
    assert sorted_by(page, "method") == "none"
    assert sorted_by(page, "recall@1") == "descending"


def test_cells_without_a_figure_stay_last(visit):
    page = visit(viewport=DESK)
    table = page.locator("#claims table")
    for _ in range(2):
        table.locator("thead button", has_text="rank").first.click()
        ranks = table.locator("tbody td:nth-child(7)").all_inner_texts()
        assert ranks[-1] == NOTHING
        answered = [int(rank.replace(",", "")) for rank in ranks if rank != NOTHING]
        assert answered
        assert ranks[: len(answered)] == [rank for rank in ranks if rank != NOTHING]


def test_whether_probabilities_hold_is_shown_by_share_and_by_visible_labels(visit, evaluated):
    page = visit(viewport=DESK)
    section = page.locator("#calibration")
    assert section.locator("h2").inner_text() == "Do the probabilities hold?"
    errors = section.locator("table").first
    assert errors.locator("tr.group").all_inner_texts() == ["by hidden share", "by visible labels"]
    shown = errors.locator("tr:not(.group) > td:nth-child(2)").all_inner_texts()
    found = evaluated.findings
    exact = [result.calibration.error for result in found.results.values()]
    exact += [one.model.error for one in found.probes.calibration]
    assert shown == [f"{100 * error:.1f}" for error in exact]
    assert section.locator("svg").count() == len(exact)
    alone = section.locator("table", has_text="One tag alone").locator("tbody th").all_inner_texts()
    assert alone == ["model", "counts", "true shares, by chance"]
    assert "true shares would differ by" in section.inner_text()


def test_the_navigation_leads_to_each_section(visit):
    page = visit(viewport=DESK)
    for link in page.locator("nav a").all():
        target = link.get_attribute("href")
        link.click()
        page.wait_for_function(
            "target => document.querySelector(target).getBoundingClientRect().top < innerHeight", arg=target
        )


def test_light_and_dark_follow_the_system(visit, screenshots):
    page = visit(viewport=DESK)
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        style = "element => [getComputedStyle(document.body).backgroundColor, getComputedStyle(element).fill]"
        seen[scheme] = page.locator("svg text").first.evaluate(style)
        page.screenshot(path=screenshots / f"report-{scheme}.png", full_page=True)
    paper, ink = ({scheme: brightness(colours[place]) for scheme, colours in seen.items()} for place in (0, 1))
    assert paper["light"] > 200 > ink["light"]
    assert ink["dark"] > 100 > paper["dark"]


def brightness(colour):
    numbers = [float(value) for value in colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]]
    return sum(numbers) / 3


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_screen_scrolls_sideways_in_tables_only(visit, screenshots, width):
    page = visit(viewport={**TELEPHONE, "width": width}, is_mobile=width < 500, has_touch=True)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".scroll").first.evaluate("box => box.scrollWidth > box.clientWidth") or width > 500
    page.screenshot(path=screenshots / f"report-{width}.png", full_page=True)


def test_paper_is_light_and_shows_what_is_folded(visit, screenshots):
    page = visit(viewport=DESK, color_scheme="dark")
    page.pdf(path=screenshots / "report.pdf", format="A4")
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness(page.locator("h1").evaluate("element => getComputedStyle(element).color")) < 100
    assert not page.locator("nav").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0


def test_without_scripts_everything_is_there_but_sorting(visit):
    page = visit(viewport=DESK, java_script_enabled=False)
    assert page.locator(f"{METHODS} tbody tr.model").count() == 4
    assert page.locator("button").count() == 0
