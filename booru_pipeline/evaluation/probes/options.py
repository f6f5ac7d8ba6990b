"""What a person may choose about the probes. No heavy import: the Dagster definitions inherit from it."""

from pydantic import BaseModel, Field


class ProbeOptions(BaseModel, frozen=True, extra="forbid"):
    """How much is probed, and how much held-out data a probe needs."""

    seed: int = Field(default=0, description="Decides the bootstrap and which edges stand against implications.")
    bootstrap_samples: int = Field(default=1000, gt=0, description="Resamples behind each 95 % interval.")
    probe_characters: int = Field(
        default=50, ge=0, description="Characters, the most frequent on test posts, that are given alone."
    )
    probe_pairs: int = Field(
        default=20, ge=0, description="Pairs of a character and a general label, three a character at most."
    )
    probe_edges: int = Field(default=1000, ge=0, description="Implications between labels, drawn if there are more.")
    probe_min_support: int = Field(
        default=50,
        gt=0,
        description="Test posts that a character or a pair should be on. If fewer than five are, the best supported "
        "are probed all the same, and the report says so.",
    )
