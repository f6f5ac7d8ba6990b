"""What of a page is cut off in a window, and which of its tables say that there is more."""

from pathlib import Path
from typing import Any

DESKS = (1280, 1920)
TELEPHONE = 390
_MEASURE = """() => [...document.querySelectorAll("table, svg")].map((shown) => {
  const box = shown.closest(".scroll");
  const hint = box && getComputedStyle(box, "::before");
  return {
    name: box ? shown.tHead.innerText + (shown.caption?.innerText ?? "") : shown.ariaLabel,
    width: box?.clientWidth ?? 0,
    needed: box?.scrollWidth ?? 0,
    left: shown.getBoundingClientRect().left,
    right: shown.getBoundingClientRect().right,
    hinted: hint ? hint.maxHeight !== "0px" && hint.content !== "none" : false,
  };
})"""


def measure(browser, page: Path, width: int, scheme: str = "light") -> tuple[int, list[dict[str, Any]]]:
    """The document's width in a window of so many pixels, and its tables and plots, with all that is folded open."""
    context = browser.new_context(
        offline=True,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        is_mobile=width <= TELEPHONE,
        has_touch=width <= TELEPHONE,
    )
    window = context.new_page()
    window.goto(page.as_uri())
    window.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    window.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = window.evaluate("document.documentElement.scrollWidth"), window.evaluate(_MEASURE)
    context.close()
    return found


def assert_fits(browser, page: Path) -> None:
    """Nothing is cut off on a desk; on a telephone tables scroll, and say so, and the page does not."""
    for width in DESKS:
        for scheme in ("light", "dark"):
            document, shown = measure(browser, page, width, scheme)
            assert document <= width
            assert len(shown) > 2
            for one in shown:
                assert one["needed"] <= one["width"], (width, one)
                assert 0 <= one["left"] < one["right"] <= width, (width, one)
                assert not one["hinted"], (width, one)
    document, shown = measure(browser, page, TELEPHONE)
    assert document <= TELEPHONE
    assert any(one["needed"] > one["width"] for one in shown)
    for one in shown:
        assert one["hinted"] is (one["needed"] > one["width"]), one
        assert one["width"] or one["right"] <= TELEPHONE, one
