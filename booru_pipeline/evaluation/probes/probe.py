"""All probes of one checkpoint."""

from typing import Final

from pydantic import Field

from booru_pipeline.evaluation.finding import Finding
from booru_pipeline.evaluation.probes import calibration, characters, implications, one_tag, pairs
from booru_pipeline.evaluation.probes.calibration import VisibleCalibration, probe_calibration
from booru_pipeline.evaluation.probes.characters import CharacterFindings, probe_characters
from booru_pipeline.evaluation.probes.claims import CLOSE, LEARNED, YES_RANK, ClaimResult, probe_claims
from booru_pipeline.evaluation.probes.counts import Exam
from booru_pipeline.evaluation.probes.implications import ImplicationFindings, probe_implications
from booru_pipeline.evaluation.probes.one_tag import OneTagFindings, probe_one_tag
from booru_pipeline.evaluation.probes.pairs import PairFindings, probe_pairs

DEFINITIONS: Final = {
    "claim": (
        f"Given one label alone, a label that is expected is among the first {YES_RANK} guesses: yes. Aliases are "
        f"resolved. If it is not, but its probability agrees with its share of train posts (within {LEARNED}) and with "
        f"that of test posts (within {CLOSE}, or in its 95 % Wilson interval), it is as rare as in the posts, which is "
        "no failure. Else: no."
    ),
    **calibration.DEFINITIONS,
    **one_tag.DEFINITIONS,
    **characters.DEFINITIONS,
    **pairs.DEFINITIONS,
    **implications.DEFINITIONS,
}


class ProbeFindings(Finding):
    """Findings of all probes."""

    calibration: list[VisibleCalibration] = Field(
        description="Whether probabilities come true, by how many labels are visible; without the numbers that no test "
        "post is large enough for."
    )
    one_tag: OneTagFindings | None = Field(
        description="One tag alone: probabilities against held-out shares; null if no label is on enough test posts."
    )
    claims: list[ClaimResult] = Field(description="The README's claims and ours.")
    characters: CharacterFindings = Field(description="Characters alone.")
    pairs: PairFindings = Field(description="Characters with a costume or another look.")
    implications: ImplicationFindings | None = Field(
        description="The implication graph; null if no label implies another."
    )


def probe(exam: Exam) -> ProbeFindings:
    """Ask a checkpoint everything."""
    return ProbeFindings(
        calibration=probe_calibration(exam),
        one_tag=probe_one_tag(exam),
        claims=probe_claims(exam),
        characters=probe_characters(exam),
        pairs=probe_pairs(exam),
        implications=probe_implications(exam),
    )
