"""All probes of one checkpoint."""

from dataclasses import dataclass
from typing import Final

from booru_pipeline.dataset.posts import Posts, incidence
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes import characters, implications
from booru_pipeline.evaluation.probes import costumes as pairs
from booru_pipeline.evaluation.probes.characters import CharacterFindings, probe_characters
from booru_pipeline.evaluation.probes.claims import YES_RANK, ClaimResult, probe_claims
from booru_pipeline.evaluation.probes.costumes import PairFindings, probe_pairs
from booru_pipeline.evaluation.probes.counts import Split
from booru_pipeline.evaluation.probes.implications import ImplicationFindings, probe_implications
from booru_pipeline.evaluation.scorer import Model, Scorer
from booru_pipeline.evaluation.task import implied_matrix
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

DEFINITIONS: Final = {
    "claim": (
        f"Given one label alone, a label that is expected is among the first {YES_RANK} guesses. Aliases are resolved."
    ),
    **characters.DEFINITIONS,
    **pairs.DEFINITIONS,
    **implications.DEFINITIONS,
}


@dataclass(frozen=True)
class ProbeFindings:
    """What the probes found; `dataclasses.asdict` makes JSON of it.

    Attributes:
        claims: The README's claims and ours.
        characters: Characters alone.
        pairs: Characters with a costume or another look.
        implications: The implication graph; None if no label implies another.
    """

    claims: list[ClaimResult]
    characters: CharacterFindings
    pairs: PairFindings
    implications: ImplicationFindings | None


def probe(
    methods: dict[str, Scorer],
    model: Model,
    vocabulary: Vocabulary,
    train: Posts,
    test: Posts,
    relations: Relations,
    options: ProbeOptions,
) -> ProbeFindings:
    """Ask a checkpoint everything.

    Args:
        methods: Every scorer by name, the model first, in the order of the tables.
        model: The model itself, for its probabilities.
        vocabulary: The labels.
        train: The whole train split.
        test: The whole test split.
        relations: Aliases and implications.
        options: How much.
    """
    learned, held_out = (Split(incidence(posts.labels, len(vocabulary))) for posts in (train, test))
    implied = implied_matrix(vocabulary, relations)
    common = (methods, model, vocabulary, learned, held_out, implied, options)
    return ProbeFindings(
        claims=probe_claims(model, vocabulary, learned, held_out, relations),
        characters=probe_characters(*common),
        pairs=probe_pairs(*common),
        implications=probe_implications(methods, vocabulary, relations, implied, options),
    )
