"""All probes of one checkpoint."""

from typing import Final

from pydantic import Field

from booru_pipeline.evaluation.finding import Finding
from booru_pipeline.evaluation.probes import characters, implications, pairs
from booru_pipeline.evaluation.probes.characters import CharacterFindings, probe_characters
from booru_pipeline.evaluation.probes.claims import YES_RANK, ClaimResult, probe_claims
from booru_pipeline.evaluation.probes.counts import Exam
from booru_pipeline.evaluation.probes.implications import ImplicationFindings, probe_implications
from booru_pipeline.evaluation.probes.pairs import PairFindings, probe_pairs

DEFINITIONS: Final = {
    "claim": (
        f"Given one label alone, a label that is expected is among the first {YES_RANK} guesses. Aliases are resolved."
    ),
    **characters.DEFINITIONS,
    **pairs.DEFINITIONS,
    **implications.DEFINITIONS,
}


class ProbeFindings(Finding):
    """Findings of all probes."""

    claims: list[ClaimResult] = Field(description="The README's claims and ours.")
    characters: CharacterFindings = Field(description="Characters alone.")
    pairs: PairFindings = Field(description="Characters with a costume or another look.")
    implications: ImplicationFindings | None = Field(
        description="The implication graph; null if no label implies another."
    )


def probe(exam: Exam) -> ProbeFindings:
    """Ask a checkpoint everything."""
    return ProbeFindings(
        claims=probe_claims(exam),
        characters=probe_characters(exam),
        pairs=probe_pairs(exam),
        implications=probe_implications(exam),
    )
