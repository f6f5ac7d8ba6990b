import numpy as np
import pytest

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.evaluation.audit.measure import AUDIT, COUNTING, IMPLICATIONS
from booru_pipeline.evaluation.audit.proposals import CONFIDENCE, LIFT, PROPOSED, measure_proposals
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline_tests.audit.made_posts import counts_of, vocabulary_of


def test_four_kinds_of_faults_are_looked_for_by_three_methods(evaluated):
    found = evaluated.findings.audit
    assert [question.question for question in found.questions] == [
        "missing",
        "missing, not implied",
        "wrong, by frequency",
        "wrong, by likeness",
    ]
    for question in found.questions:
        assert 90 <= question.faults <= 100
        assert list(question.methods) == [AUDIT, COUNTING, IMPLICATIONS]
        for figures in question.methods.values():
            for interval in figures.figures.values():
                assert 0 <= interval.low <= interval.mean <= interval.high <= 1
        assert all(interval.mean == 0 for interval in question.methods[AUDIT].behind.values())
    nothing = [found.questions[place].methods[IMPLICATIONS].average_precision.mean for place in (1, 2, 3)]
    assert nothing == [0, 0, 0]


def test_the_audit_finds_more_than_chance(evaluated):
    by_frequency = evaluated.findings.audit.questions[2]
    # A post has about seven labels, of which one is planted.
    assert by_frequency.methods[AUDIT].average_precision.mean > 0.2


def test_the_page_shows_it(evaluated):
    text = evaluated.page.read_text()
    assert 'id="audit"' in text
    assert "wrong, by likeness" in text
    assert "P@1,000" in text


@pytest.fixture(scope="module")
def proposals():
    """Ten tags that imply one each, seven of which do so on all posts; the consequents are with another tag as well."""
    random = np.random.default_rng(0)
    words = vocabulary_of({**{f"red_tag{n}": 0 for n in range(10)}, **{f"tag{n}": 0 for n in range(10)}, "solo": 0})
    posts = []
    for number in range(10):
        share = 1.0 if number < 7 else 0.5
        posts += [{f"red_tag{number}"} | ({f"tag{number}"} if random.random() < share else set()) for _ in range(100)]
        posts += [{f"tag{number}", "solo"} for _ in range(100)]
    known = {f"red_tag{n}": frozenset({f"tag{n}"}) for n in range(10)}
    return counts_of(posts, words), words, Relations({}, known, "the test")


def test_hidden_implications_are_found_among_the_proposed_ones(proposals):
    counts, words, relations = proposals
    found = measure_proposals(counts, words, relations, 0.95, 0)
    assert (found.known, found.supported) == (10, 10)
    assert set(found.methods[PROPOSED].precision_by_fifth) <= {0, 1}  # 0 where nothing is proposed
    assert found.methods[PROPOSED].recall == pytest.approx(0.7)  # three are not kept by the posts
    # The others list all pairs that are on a post, and find those too.
    assert found.methods[CONFIDENCE].recall == found.methods[LIFT].recall == 1
    assert found.methods[CONFIDENCE].precision < 0.2
    assert len(found.methods[PROPOSED].recall_by_fifth) == 5


def test_few_known_implications_measure_nothing(proposals):
    counts, words, _ = proposals
    few = Relations({}, {f"red_tag{n}": frozenset({f"tag{n}"}) for n in range(4)}, "the test")
    assert measure_proposals(counts, words, few, 0.95, 0) is None


def test_truncated_counts_do(proposals):
    counts, words, relations = proposals
    same = PostCounts(counts.posts, counts.together, counts.labels)  # without pages
    assert measure_proposals(same, words, relations, 0.95, 0) == measure_proposals(counts, words, relations, 0.95, 0)
