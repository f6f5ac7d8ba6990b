import re

import pytest
from pydantic import BaseModel

from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.report.render import render
from booru_pipeline.evaluation.results import HEADLINE
from booru_pipeline.model.provenance import LossCurve
from booru_pipeline_tests.evaluation.evaluated import NASTY
from booru_pipeline_tests.evaluation.page import Page

HOSTILE = [
    '"onmouseover="alert(1)',
    "'onfocus='alert(1)' autofocus",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "<!--",
    "{{ 7 * 7 }}",
    "$\\frac{1}{0}$ a$b$",
    "&lt;b&gt;",
    "]]>",
]


@pytest.fixture(scope="module")
def html(evaluated):
    return evaluated.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def spoilt(value, names):
    """The same findings with each label, picture site and description replaced by hostile text, in turn."""
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: spoilt(own, names) for name, own in value})
    if isinstance(value, list | tuple):
        return type(value)(spoilt(one, names) for one in value)
    return next(names) if isinstance(value, str) else value


def changed(value, **others):
    return value.model_copy(update=others)


def endless():
    while True:
        yield from HOSTILE


def test_the_page_needs_nothing_but_itself(page):
    assert not {"link", "img", "iframe", "object", "image", "base"} & set(page.elements)
    assert page.elements.count("script") == 1
    assert all(target.startswith("#") for target in page.fetched)
    assert "url(" not in page.style.replace("url(#", "")
    assert "@import" not in page.style
    assert "://" not in page.script


def test_each_link_within_the_page_leads_somewhere_and_no_id_is_used_twice(page):
    targets = {target.removeprefix("#") for target in page.fetched}
    assert {"recovery", "differences", "calibration", "claims", "examples", "method"} <= targets
    assert targets <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_each_plot_says_what_it_shows(html, page):
    described = re.findall(r'<svg role="img" aria-label="([^"]+)"', html)
    assert len(described) == len(set(described)) == page.elements.count("svg")
    # Two of all shares, five of each share, one of each number of visible labels that posts are large enough for, the
    # loss.
    assert len(described) == 2 + 5 * 4 + 3 + 1


def test_each_plot_says_what_its_axes_are(html):
    plots = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    axes = ("labels hidden, %", "number of guesses", "points", "recall@10", "probability, %", "optimizer steps")
    assert all(any(name in plot for name in axes) for plot in plots)


def test_labels_are_text_and_never_markup(page):
    # Twelve example posts have six labels of thirteen each: all of these turn up.
    assert [label for label in NASTY if label in page.text] == NASTY


def test_hostile_text_stays_text(evaluated):
    names = endless()
    found = evaluated.findings
    probes = found.probes
    characters = spoilt(probes.characters.characters, names)
    pairs = spoilt(probes.pairs.pairs, names)
    hostile = changed(
        found,
        release=HOSTILE[2],
        probes=changed(
            probes,
            claims=spoilt(probes.claims, names),
            characters=changed(probes.characters, characters=characters),
            pairs=changed(probes.pairs, pairs=pairs),
        ),
        examples=[changed(spoilt(example, names), kind=example.kind) for example in found.examples],
        methods=[changed(method, description=HOSTILE[0]) for method in found.methods],
    )
    clean, page = Page(render(found)), Page(render(hostile))
    assert page.elements == clean.elements
    assert page.fetched == clean.fetched
    assert page.style == clean.style
    assert page.script == clean.script
    for text in HOSTILE:
        assert text in page.text


def test_the_content_security_policy_lets_only_the_page_s_own_script_run(html, evaluated):
    import base64
    import hashlib

    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


def test_the_page_says_what_was_measured(page, evaluated):
    findings = evaluated.findings
    assert findings.verdict in page.text
    assert "100 held-out posts" in page.text
    assert "not in the vocabulary" in page.text  # gawr_gura is not in this world
    assert "optimizer step" in page.text
    for share, result in findings.results.items():
        assert f"{100 * share:.3g}\N{NO-BREAK SPACE}% hidden" in page.text
        for figures in result.methods.values():
            for metric in HEADLINE:
                assert f"{figures[metric]:.3f}" in page.text


def test_colours_follow_the_page_s_theme(html):
    used = set(re.findall(r"var\((--[a-z-]+)\)", html))
    assert {"--model", "--best", "--other", "--ink"} <= used
    for name in used - {"--tone", "--state", "--state-wash"}:
        assert re.search(rf"{name}: (light-dark|ui-)", html) or name == "--mono"
    assert not re.search(r"#0[1-7]0[1-7]0[1-7]\b", html)


def test_a_leak_takes_the_headline_s_place(evaluated):
    found = evaluated.findings
    leaky = changed(found, leaks=Leaks(groups=3, posts=2))
    html = render(leaky)
    heading = html[html.index("<h1>") : html.index("</h1>")]
    assert "Leak: do not trust these numbers" in heading
    assert html.index('role="alert"') < html.index('class="tile ')
    assert "3 pictures and 2 posts are on two sides of the split" in html
    assert 'role="alert"' not in render(found)


def test_what_there_is_none_of_is_left_out_or_said(evaluated):
    found = evaluated.findings
    poor = changed(
        found,
        loss=LossCurve(),
        examples=[],
        shares=[changed(share, derivable=None) for share in found.shares],
        probes=changed(
            found.probes,
            implications=None,
            characters=changed(found.probes.characters, characters=[], methods={}, within=None),
            pairs=changed(found.probes.pairs, pairs=[], methods={}),
            calibration=[],
            one_tag=None,
        ),
    )
    page = Page(render(poor))
    assert "By the share of hidden labels" in page.text
    assert "One tag alone" not in page.text
    assert "no training log" in page.text
    assert "No label of the vocabulary implies another" in page.text
    assert "examples" not in page.ids
    assert "#examples" not in page.fetched


def test_too_little_support_is_said(evaluated):
    found = evaluated.findings
    probes = changed(
        found.probes,
        characters=changed(found.probes.characters, supported=False, eligible=1),
        pairs=changed(found.probes.pairs, supported=True),
        one_tag=changed(found.probes.one_tag, supported=True),
    )
    text = Page(render(changed(found, probes=probes))).text
    assert text.count("Too little support") == 1
    assert "1 character has the 50 test posts that were asked for" in text


def test_what_the_t5_says_alone_stands_beside_the_answer(evaluated):
    found = evaluated.findings
    visible = found.probes.calibration
    beside = [changed(one, t5=changed(one.model, error=0.123)) for one in visible]
    one_tag = found.probes.one_tag
    methods = {**one_tag.methods, "T5 alone": changed(one_tag.methods["model"], error=0.234)}
    probes = changed(found.probes, calibration=beside, one_tag=changed(one_tag, methods=methods))
    html = render(changed(found, probes=probes))
    section = html[html.index('<section id="calibration">') : html.index('<section id="claims">')]
    assert section.count(">T5 alone</text>") == len(visible)  # in each plot's legend
    assert section.count("T5 alone 12.3 points") == len(visible)
    row = section.partition('<th scope="row">T5 alone</th>')[2].partition("</tr>")[0]
    assert '<td class="n" data-value="0.234">23.4</td>' in row
    assert "T5 alone</text>" not in render(found)


def test_one_share_is_enough(evaluated):
    found = evaluated.findings
    (share,) = [own for own in found.shares if own.hidden_share == 0.5]
    page = Page(render(changed(found, shares=[share])))
    assert "50\N{NO-BREAK SPACE}% hidden" in page.text
    assert "10\N{NO-BREAK SPACE}% hidden" not in page.text


def test_cells_are_sorted_by_what_they_show(html):
    shown = re.findall(r'data-value="(-?[\d.e-]+)">(?:<span[^>]*>)?([+\N{MINUS SIGN}]?[\d.]+)[ <]', html)
    assert len(shown) > 300
    for value, text in shown:
        number = float(text.replace("\N{MINUS SIGN}", "-"))
        near = (abs(number - float(value) * scale) <= 0.5 * step for scale, step in ((1, 0.01), (100, 1.02)))
        assert any(near), (value, text)
