"""The web UI in a real browser: `booru dev` as a user starts it, and gone through by clicking."""

import os
import re
import shutil

import pytest

pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
from playwright.sync_api import expect

from booru_pipeline.defs.assets.common import GRAPH
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.promoted import checkpoint_in_use
from booru_pipeline.pipeline.stages import RAW_RELEASE, Stage
from booru_pipeline.sample import generate
from booru_pipeline_tests.browser import DESK, Ui
from booru_pipeline_tests.cli.command import forked
from booru_pipeline_tests.running import QUICK, booru_dev

RELEASE = "2021a"


@pytest.fixture(scope="module")
def raw_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ui(browser, raw_folder, home, screenshots):
    """A window on an empty home; whatever its pages complained of by the end fails the test."""
    config = home / "booru.toml"
    config.write_text(QUICK)
    with booru_dev(raw_folder, home, config) as server:
        ui = Ui(browser, server, screenshots)
        ui.open()
        yield ui
        ui.page.context.close()


@pytest.fixture(autouse=True)
def _no_complaints(ui):
    yield
    assert ui.complaints == []


@pytest.fixture(scope="module")
def dropped(ui, raw_folder, tmp_path_factory):
    """A release that comes file by file while the sensor looks on."""
    downloads = tmp_path_factory.mktemp("downloads")
    generate(downloads, releases=[RELEASE], posts=300, seed=1)
    (folder,) = (path for path in downloads.iterdir() if path.is_dir())
    target = raw_folder / folder.name
    target.mkdir()
    files = sorted(folder.iterdir())
    for file in files:
        part = target / f"{file.name}.part"
        shutil.copyfile(file, part)
        if file == files[-1]:
            ui.wait_for_tick("new_releases", f"release {RELEASE} is still being downloaded")
            ui.screenshot("waiting")
            ui.page.get_by_role("button", name="Close").click()
        os.rename(part, target / file.name)
    return RELEASE


def test_a_first_visitor_sees_every_asset_and_no_invitation(browser, ui, screenshots):
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.goto(f"{ui.address}{GRAPH}")
    for asset in (RAW_RELEASE, *Stage):
        expect(page.get_by_text(asset, exact=True).first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.screenshot(path=screenshots / "first-visit.png")
    context.close()


def shows_its_headline(report):
    expect(report).to_have_title(f"Evaluation of {RELEASE}")
    expect(report.get_by_role("heading", level=1)).to_have_text(re.compile("baseline"))


def test_a_release_that_is_dropped_in_is_reported(ui, dropped):
    ui.section("Runs")
    ui.page.get_by_role("link", name="refresh_release").wait_for()  # the one run there is
    ui.page.get_by_text("Success", exact=True).wait_for()
    ui.screenshot("runs")
    ui.asset(Stage.EVALUATION_REPORT)
    report = ui.report(dropped)
    shows_its_headline(report)
    ui.screenshot("report", report)
    report.close()


def test_a_release_is_materialized_checked_and_reported_by_clicking(ui, dropped):
    ui.graph()
    for asset in (RAW_RELEASE, *Stage):
        expect(ui.node(asset)).to_be_visible()
    ui.screenshot("graph")
    ui.node(Stage.EVALUATION_REPORT).click()
    ui.materialize(dropped)
    ui.page.get_by_text("Success", exact=True).first.wait_for()
    ui.screenshot("run")

    ui.asset(Stage.EVALUATION_REPORT)
    ui.tab("Checks").click()
    for check in ("beats_the_baselines", "does_not_lose"):
        ui.page.get_by_text(check, exact=True).first.click()
        expect(ui.page.get_by_text("Latest execution")).to_be_visible()
        expect(ui.page.get_by_role("row", name="losses" if check == "does_not_lose" else "leaks")).to_be_visible()
        ui.screenshot(check)
    ui.tab("Overview").click()
    report = ui.report(dropped)
    shows_its_headline(report)
    report.close()


def booru(home, raw_folder, *arguments):
    more = ["--raw", raw_folder] if arguments[0] != "promote" else []
    done = forked(home, [*arguments, "--home", home, *more], os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bad_learning_rate_in_the_launchpad_leaves_the_promoted_checkpoint_answering(ui, dropped, home, raw_folder):
    lake = Lake(home)
    booru(home, raw_folder, "promote", dropped)
    question = ("suggest", "animal_ears", "--json")
    before = booru(home, raw_folder, *question)
    promoted = {path.name: path.read_bytes() for path in lake.checkpoint(dropped).iterdir() if path.is_file()}

    ui.job("retrain")
    ui.materialize(dropped, "resources: {training_options: {config: {learning_rate: 0.9, max_steps: 2}}}")
    ui.page.get_by_text("Success", exact=True).first.wait_for()
    ui.screenshot("retrained")
    assert lake.record(lake.checkpoint(dropped)).options["learning_rate"] == 0.9
    kept = lake.checkpoint(f"{dropped}@1")
    assert {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()} == promoted
    asked, problem = checkpoint_in_use(lake)
    assert problem == ""
    if asked == dropped:  # counting is in the answer of both, so that it may not have lost: going back is one command
        assert f"promoted: {dropped}@1" in booru(home, raw_folder, "promote", "--back")
    assert booru(home, raw_folder, *question) == before


def test_a_trial_is_made_in_the_launchpad_beside_what_is_there(ui, dropped, home, raw_folder):
    lake = Lake(home)
    before = lake.record(lake.checkpoint(dropped))
    ui.job("trial")
    ui.materialize(f"{dropped}@slow", "resources: {training_options: {config: {learning_rate: 0.0005}}}", new=True)
    ui.page.get_by_text("Success", exact=True).first.wait_for()
    assert lake.record(lake.checkpoint(f"{dropped}@slow")).options["learning_rate"] == 0.0005
    after = lake.record(lake.checkpoint(dropped))
    assert (after.key, after.made) == (before.key, before.made)
    ui.asset("trial_report")
    expect(ui.page.get_by_text("recall@10, 50 % hidden", exact=True).first).to_be_visible()
    ui.screenshot("trial")
    assert f"{dropped}@slow" in booru(home, raw_folder, "status", "--json")
