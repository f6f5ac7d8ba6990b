"""The README's pictures of the web UI, from a real run of the demo: `make screenshots`.

Makes the demo's world in /tmp, minutes on two cores, opens `booru dev` in headless Chromium, and writes docs/images/.
"""

import html
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import Browser, Page

from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.browser import Ui, chromium
from booru_pipeline_tests.running import BOORU, booru_dev

IMAGES = Path(__file__).with_name("images")
WORLD = Path(tempfile.gettempdir(), "booru")  # its name is in the pictures
WIDE = {"width": 2700, "height": 800}  # for the graph to say more than names
RELEASE = "2021b"
PAPER = """
body { font: 15px/1.5 sans-serif; max-width: 56em; margin: 1.5em auto; color: #222 }
pre, code { background: #f4f4f2; font-size: 13px } pre { padding: .8em; overflow: hidden }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .15em .6em; text-align: left }
"""


def main() -> None:
    """Make the world, and take the pictures."""
    executable = shutil.which("chromium")
    if executable is None:
        raise BooruError("needs Debian's package chromium: it is not on the PATH.")
    raw, home = WORLD / "booru_raw", WORLD / "booru_home"
    home.mkdir(parents=True)
    try:
        (config := WORLD / "booru.toml").touch()
        settings = {"BOORU_RAW": str(raw), "BOORU_HOME": str(home), "BOORU_CONFIG": str(config)}
        for command in (["sample", "--raw", raw], ["run"]):
            subprocess.run([BOORU, *command], env={**os.environ, **settings}, check=True)
        with booru_dev(raw, home, config) as server, chromium(executable) as browser:
            ui = Ui(browser, server, IMAGES)
            ui.open()
            take(ui)
            take_answers(browser, server.reports)
            take_papers(browser, ["--raw", raw, "--home", home, "--relations", raw])
            if ui.complaints:
                raise BooruError(f"the pages complained: {ui.complaints}. Mend that before the pictures are used.")
    finally:
        shutil.rmtree(WORLD)


def take(ui: Ui) -> None:
    """Every picture, each from a page that is gone to by clicking."""
    ui.page.set_viewport_size(WIDE)
    ui.graph()
    ui.page.get_by_text("2 partitions").nth(6).wait_for()
    two_rows(ui.page).save(IMAGES / "graph.png", optimize=True)

    ui.asset(Stage.CHECKPOINT)
    ui.page.set_viewport_size({"width": 1280, "height": 960})
    ui.page.get_by_text("open with", exact=True).wait_for()
    ui.screenshot("checkpoint")

    ui.page.set_viewport_size(WIDE)
    ui.asset(Stage.EVALUATION_REPORT)
    report = ui.report(RELEASE)
    report.set_viewport_size({"width": 1280, "height": 1500})
    ui.screenshot("report", report)
    report.close()

    ui.page.set_viewport_size({"width": 1440, "height": 900})
    ui.section("Runs")
    ui.page.get_by_role("link", name="View", exact=True).first.click()
    ui.page.get_by_text("RUN_SUCCESS", exact=True).wait_for()
    ui.page.get_by_role("button", name="gantt_flat").click()
    ui.page.get_by_role("button", name="expand_arrows").first.click()
    ui.page.get_by_text(Stage.EVALUATION_REPORT, exact=True).first.click(trial=True)  # when it has come to rest
    ui.screenshot("run")


def take_answers(browser: Browser, address: str) -> None:
    """The page that asks the model: on a desk with two checkpoints side by side, and on a phone in the dark."""
    for name, scheme, width, height in (("ask", "light", 1280, 900), ("ask_phone", "dark", 390, 844)):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        page.goto(address)
        field = page.get_by_role("combobox", name="Tags that the picture has")
        for tag in ("usada pekora", "blue hair", "pink hair"):
            field.fill(tag)
            field.press("Enter")
        page.locator(".answer").first.wait_for()
        if name == "ask":
            page.get_by_label("beside").select_option(RELEASE)
            page.locator(".answer").nth(1).wait_for()
        page.locator("summary", has_text="why").first.click()
        field.fill("bunny")
        page.get_by_role("option").first.wait_for()
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
        context.close()


def take_papers(browser: Browser, places: Sequence[str | Path]) -> None:
    """What is shared: the cards of a checkpoint and of a dataset; and the notebook, as the site has it."""
    reader = MarkdownIt().enable("table")
    with tempfile.TemporaryDirectory() as folder:
        for name, option in (("card", []), ("dataset_card", ["--dataset"])):
            target = Path(folder, name)
            command = [BOORU, "export", "hub", target, "--license", "cc-by-4.0", *option, *places]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            _, metadata, text = (target / "README.md").read_text(encoding="utf-8").split("---\n", 2)
            shown = f"<pre>{html.escape(metadata[:230])}…</pre>{reader.render(text)}"
            (target / "card.html").write_text(f"<meta charset=utf-8><style>{PAPER}</style>{shown}", encoding="utf-8")
            picture(browser, target / "card.html", name, 1350 if name == "card" else 1000)
        site = Path(folder, "site")
        subprocess.run([sys.executable, "-m", "sphinx", "-q", IMAGES.parent, site], check=True)
        picture(browser, site / "from_home_to_plot.html", "notebook", 2000)


def picture(browser: Browser, page: Path, name: str, height: int) -> None:
    """A file as a browser shows it, down to some height."""
    window = browser.new_page(viewport={"width": 1000, "height": height})
    window.goto(page.as_uri())
    window.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    window.close()


def two_rows(page: Page) -> Image.Image:
    """The graph, which is one long row, cut before its second group."""

    def place(asset: str) -> tuple[float, float]:
        box = page.get_by_text(asset, exact=True).first.bounding_box()
        if box is None:
            raise BooruError(f"{asset} is not in the window.")
        return box["x"], box["y"]

    left, top = place("raw_release")
    step = place(Stage.TAG_TABLE)[0] - left  # from an asset to the next one in its group
    cut = (place(Stage.TRAINING_SHARDS)[0] + 0.85 * step + place(Stage.VOCABULARY)[0] - 0.15 * step) / 2
    right, model = place(Stage.TAG_AUDIT)
    trials = place(TRIAL_CHECKPOINT)[1]  # below the model's group, and both beside the labels' one
    above, below = 0.35 * step, 0.65 * step
    parts = (
        (left - 0.15 * step, top - above, cut, top + below),
        (cut, min(top, model) - above, right + 0.9 * step, max(top, trials) + below),
    )
    whole = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    rows = [whole.crop((int(x0), int(y0), int(x1), int(y1))) for x0, y0, x1, y1 in parts]
    picture = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    picture.paste(rows[0], (0, 0))
    picture.paste(rows[1], (0, rows[0].height))
    return picture


if __name__ == "__main__":
    main()
