"""Headless Chromium, and the web UI as a user goes through it: by roles and by what is written there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, TimeoutError, expect, sync_playwright

from booru_pipeline.defs.assets.common import GRAPH
from booru_pipeline_tests.running import Server, eventually

DESK = {"width": 1440, "height": 900}
_PATIENCE_MS = 300_000  # a release takes a minute, or several on a busy machine


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    """A browser that is closed at the end."""
    with sync_playwright() as running:
        # As root, which is what a container's user is, Chromium has no sandbox.
        opened = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


class Ui:
    """A window on the web UI of a server.

    Attributes:
        page: The page that is open.
        address: The address of the UI.
        complaints: Errors on the consoles and in the scripts of this page and of all that it opened, with their page.
    """

    def __init__(self, browser: Browser, server: Server, screenshots: Path) -> None:
        self._server = server
        self.address = server.ui
        self._screenshots = screenshots
        self.complaints: list[str] = []
        context = browser.new_context(viewport=DESK)
        context.set_default_timeout(_PATIENCE_MS)
        context.on("console", self._listen)
        context.on("weberror", lambda error: self.complaints.append(f"{error.page and error.page.url}: {error.error}"))
        self.page: Page = context.new_page()
        expect.set_options(timeout=_PATIENCE_MS)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.page and message.page.url}: {message.text} {message.location}")

    def open(self) -> None:
        """Wait for the server, and go to the graph as a first visitor sees it."""
        eventually(lambda: urlopen(f"{self._server.ui}/server_info", timeout=30).read(), self._server.log.read_text)
        self.page.goto(f"{self._server.ui}{GRAPH}")

    def section(self, name: str) -> None:
        """Go to a section by the navigation at the left."""
        self.page.get_by_role("navigation").get_by_text(name, exact=True).click()

    def graph(self) -> None:
        """Go to the graph, and unfold its groups by the menu of its background."""
        self.section("Lineage")
        self.page.get_by_role("img", name=re.compile("unfold_(more|less)")).first.wait_for()
        self.page.mouse.click(DESK["width"] * 0.6, DESK["height"] * 0.75, button="right")
        self.page.get_by_role("menuitem", name=re.compile("(Expand|Collapse) all groups")).wait_for()
        expand = self.page.get_by_role("menuitem", name="Expand all groups")  # the UI remembers what was unfolded
        if expand.is_visible():
            expand.click()
        else:
            self.page.keyboard.press("Escape")

    def node(self, asset: str) -> Locator:
        """An asset of the unfolded graph."""
        return self.page.get_by_text(asset, exact=True).first

    def asset(self, name: str) -> None:
        """Go to an asset's page, by way of the graph."""
        self.graph()
        self.node(name).click()
        self.page.get_by_role("link", name="View in Asset Catalog").click()
        self.tab("Overview").wait_for()

    def tab(self, name: str) -> Locator:
        """A tab of an asset's page."""
        return self.page.get_by_role("tab", name=name, exact=True).first

    def materialize(self, release: str, config: str = "", *, new: bool = False) -> None:
        """Materialize a release or trial of what is selected, and go to the run.

        Args:
            release: The partition.
            config: What is typed into the launchpad's config, in one line of YAML.
            new: Whether the partition has to be added first.
        """
        self.page.get_by_role("button", name="Materialize").first.click()
        dialog = self.page.get_by_role("dialog")
        selected = dialog.get_by_text("1 partition")
        if new:
            dialog.get_by_text("Add a partition").click()
            self.page.get_by_role("dialog").last.get_by_role("textbox").fill(release)
            self.page.get_by_role("button", name="Save").click()
            with suppress(TimeoutError):  # on a busy machine the list may come after the name, and drop it as unknown
                selected.wait_for(timeout=_PATIENCE_MS / 5)
            if not selected.is_visible():  # what a person does then
                self.page.reload()
                self.page.get_by_role("button", name="Materialize").first.click()
        if not selected.is_visible():
            dialog.get_by_text("Select a partition").click()
            self.page.get_by_role("menuitem", name=release).click()
            self.page.keyboard.press("Escape")  # the list of partitions
        if config:
            dialog.get_by_text("Config", exact=True).click()
            dialog.get_by_role("button", name="Add config").click()
            # Focus, not a click: while the dialog still settles, a bar of it may lie over the middle of the editor.
            self.page.locator(".CodeMirror textarea").last.focus()
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(config)
            self.page.get_by_text("No errors", exact=True).wait_for()
            self.screenshot("config")
            self.page.get_by_role("button", name="Save config").click()
        self.screenshot("launch")
        dialog.get_by_role("button", name="Launch 1 run").click()
        self.page.get_by_role("link", name="View", exact=True).first.click()

    def job(self, name: str) -> None:
        """Go to a job's page."""
        link = self.page.get_by_role("link", name=re.compile(f"{name}$"))  # an icon's name comes first

        for _ in range(9):
            self.section("Jobs")
            with suppress(TimeoutError):
                link.click(timeout=_PATIENCE_MS / 10)
                break
            self.page.reload()  # on a busy machine the page may come before what it lists, and a person reloads it
        self.tab("Overview").wait_for()

    def wait_for_tick(self, sensor: str, saying: str) -> None:
        """Go to a sensor's page, and look at its newest tick until it gives that reason to ask for nothing."""
        self.section("Automation")
        self.page.get_by_role("link", name=sensor).first.click()

        def says() -> bool:
            self.page.get_by_role("button", name="0 runs requested").first.click()
            dialog = self.page.get_by_role("dialog")
            text = dialog.inner_text()
            if saying not in text:
                dialog.get_by_role("button", name="Close").click()
                dialog.wait_for(state="detached")
            return saying in text

        eventually(says)

    def reports(self) -> Page:
        """Follow the link to the reports, on the asset's page, in a tab of its own."""
        with self.page.context.expect_page() as opened:
            self.page.get_by_role("link", name="All reports").click(modifiers=["Control"])
        opened.value.wait_for_load_state()
        return opened.value

    def report(self, release: str) -> Page:
        """Go to a release's report by way of the list of all."""
        page = self.reports()
        page.get_by_role("link", name=f"reports/{release}/report.html").click()
        page.wait_for_load_state()
        return page

    def screenshot(self, name: str, page: Page | None = None) -> None:
        """Keep a picture of what is in the window."""
        (page or self.page).screenshot(path=self._screenshots / f"{name}.png", animations="disabled")
