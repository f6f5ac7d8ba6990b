"""Options of the hydration experiment. No heavy import: the Dagster definitions inherit from it."""

from typing import Final, Literal

from pydantic import BaseModel, Field, field_validator

PROBLEM_FILE: Final = "problem.txt"  # beside a training's job file: why it failed


class HydrationOptions(BaseModel, frozen=True, extra="forbid"):
    """Arms' budget, the shares of the data they get, and what is measured. Everything here is the same for all arms."""

    base_model: str = Field(
        "t5-small",
        description="The pre-trained T5 that is asked: t5-small, t5-v1_1-small, t5-v1_1-base, flan-t5-base, a folder "
        "made by save_pretrained, or a hub name. Not tiny, which has no pre-trained weights.",
    )
    encoding: Literal["labels", "pieces"] = Field(
        "labels",
        description="Where the text enters. labels: each label's row starts as the mean of its pieces' rows. pieces: "
        "captions are the pieces themselves, which costs several times as much.",
    )
    shares: list[float] = Field(
        [0.01, 0.1, 1.0],
        min_length=1,
        description="Shares of the train posts that arms are trained on, each part of the next, chosen by hash.",
    )
    seeds: int = Field(
        1, ge=1, description="Trainings of each arm with each share; with several, the spread between them is reported."
    )
    steps: int = Field(1000, ge=0, description="Optimizer steps of an arm at most; 0 = no limit.")
    epochs: float = Field(
        20.0,
        ge=0,
        description="Passes over an arm's posts at most, so that small shares do not over-fit; 0 = no limit.",
    )
    time_limit_s: float = Field(0.0, ge=0, description="Seconds of training of an arm at most; 0 = no limit.")
    batch_size: int = Field(64, ge=1, description="Posts of a step; fewer if a share has fewer.")
    learning_rate: float | None = Field(
        None, gt=0, description="Highest learning rate. Default: that of fine-tuning a pre-trained T5."
    )
    warmup_steps: int = Field(50, ge=0, description="Steps over which the learning rate rises.")
    threads: int = Field(0, ge=0, description="CPU threads of a training; 0 = as many as there are idle cores.")
    held_out_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Share of the general labels that no arm ever sees, evenly over frequencies, chosen by hash.",
    )
    min_positives: int = Field(
        5, ge=1, description="Test posts that a label must have, and be missing from, to be held out and ranked by AUC."
    )
    test_posts: int = Field(4000, ge=1, description="Test posts that every arm is measured on, at most.")
    bootstrap_samples: int = Field(1000, ge=1, description="Resamples behind each 95 % interval.")
    seed: int = Field(
        0, ge=0, description="Of which labels are held out, which posts a share has, what is hidden, and all starts."
    )
    keep_checkpoints: bool = Field(False, description="Keep each arm's model; else its measures and log alone.")

    @field_validator("shares")
    @classmethod
    def _are_shares(cls, value: list[float]) -> list[float]:
        if any(not 0 < share <= 1 for share in value) or len(set(value)) < len(value):
            raise ValueError("shares must be different numbers above 0 and up to 1, such as [0.01, 0.1, 1.0]")
        return sorted(value)
