"""Whether the page fits: with a parent, a promoted checkpoint beside it, and names that are as long as tags get."""

import pytest

from booru_pipeline.evaluation.evaluate import evaluate
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.model.provenance import EarlierCheckpoint
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline_tests.evaluation import evaluated
from booru_pipeline_tests.evaluation.layout import TELEPHONE, assert_fits

LONG = [
    "kaguya-sama_wa_kokurasetai_~tensai-tachi_no_renai_zunousen~_(extra_long)",
    "a_name_of_a_series_that_never_ends_and_has_no_place_where_a_line_could_be_broken_at_all",
    "M" * 60,
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluated, "GENERAL", [*evaluated.GENERAL, *LONG])
        patch.setattr(evaluated, "CHARACTERS", {**evaluated.CHARACTERS, f"usada_pekora_({LONG[0]})": LONG[1:]})
        patch.setattr(evaluated, "CATEGORIES", ("usada_pekora", f"usada_pekora_({LONG[0]})"), raising=False)
        world = evaluated.make_world(folder)
    earlier = {
        name: EarlierCheckpoint(release, f"key of {release}", world.checkpoint, None)
        for name, release in (("parent", "2021a"), ("promoted", "manual_walfie@a-trial-of-a-higher-rate"))
    }
    evaluate(
        world.checkpoint,
        world.dataset,
        world.vocabulary,
        folder / "2021b",
        EvaluationOptions(test_posts=100, bootstrap_samples=100, change_support=5),
        release="2021b",
        relations=Relations({}, {"usada_pekora": frozenset({"rabbit_ears"})}, "the test"),
        **earlier,
    )
    return folder / "2021b" / "report.html"


def test_no_column_is_cut_off_and_a_telephone_scrolls_within_tables_and_says_so(browser, page):
    text = page.read_text()
    assert "Beside the promoted checkpoint" in text
    assert all(name in text for name in LONG)
    assert_fits(browser, page)


def test_the_lead_over_the_best_baseline_is_in_sight_on_a_telephone(browser, page, screenshots):
    context = browser.new_context(viewport={"width": TELEPHONE, "height": 844}, is_mobile=True, has_touch=True)
    window = context.new_page()
    window.goto(page.as_uri())
    for section, heading in (("recovery", "model less this"), ("categories", "model less best baseline")):
        table = window.locator(f"#{section} table").first
        head = table.locator("thead th:nth-child(2)")
        assert head.inner_text().replace("\n", " ").startswith(heading)
        box = head.bounding_box()
        assert box["x"] + box["width"] <= TELEPHONE
        table.scroll_into_view_if_needed()
        window.screenshot(path=screenshots / f"telephone-{section}.png")
    context.close()
