"""What can be set about training, and what each base model trains with if nothing is set."""

from dataclasses import dataclass, fields, replace
from typing import Final, Literal, NamedTuple

from pydantic import Field, field_validator

from booru_pipeline.dataset.options import MaskingOptions

PRECISIONS: Final = ("auto", "fp32", "bf16")
OPTIMIZERS: Final = ("adamw", "adamw_rms", "adafactor")
SCHEDULES: Final = ("linear", "cosine", "inverse_sqrt", "constant")


class TrainingOptions(MaskingOptions, frozen=True, extra="forbid"):
    """How long and how a T5 is fine-tuned. A field that is not set takes the base model's own default."""

    objective: Literal["auto", "set", "sequence", "span"] = Field(
        "auto",
        description="set: the first decoder step is trained on all hidden labels at once (captions of one token a "
        "label only). sequence: hidden labels one after another, in random order. span: T5's sentinels. auto: set for "
        "labels, sequence for pieces.",
    )
    strategy: Literal["continue", "retrain"] = Field(
        "retrain",
        description="retrain: from the base model, on this and all earlier releases. continue: from the newest earlier "
        "checkpoint of the same base model, encoding and objective, on what it has not seen, and some that it has.",
    )
    replay_share: float = Field(
        0.5, ge=0, lt=1, description="continue: share of the posts that the earlier checkpoint was trained on already."
    )
    time_limit_s: float | None = Field(
        None, ge=0, description="Seconds of training, set-up and final evaluation not counted; 0 = no limit."
    )
    max_steps: int | None = Field(None, ge=0, description="Optimizer steps at most; 0 = no limit.")
    epochs: float | None = Field(None, ge=0, description="Passes over the train split at most; 0 = no limit.")
    batch_size: int | None = Field(
        None,
        ge=1,
        description="Posts that one process takes at a time; an optimizer step is batch_size x processes x "
        "gradient_accumulation posts.",
    )
    gradient_accumulation: int = Field(
        1,
        ge=1,
        description="Batches whose gradients are added up for one optimizer step: larger steps in the same memory.",
    )
    processes: int = Field(
        0, ge=0, description="Processes that share the training; 0 = one for each GPU, or one if there is none."
    )
    optimizer: str | None = Field(
        None,
        description="adamw, adamw_rms (AdamW with steps in proportion to each weight's size) or adafactor (the same "
        "with less memory).",
    )
    learning_rate: float | None = Field(
        None, gt=0, description="Highest learning rate; of adamw_rms and adafactor in proportion to a weight's size."
    )
    schedule: str | None = Field(
        None,
        description="How the learning rate goes on after the warm-up: linear or cosine (to 0 at the end), inverse_sqrt "
        "(with the square root of the steps) or constant.",
    )
    embedding_learning_rate_factor: float | None = Field(
        None, gt=0, description="Embedding rows and the output layer learn this many times as fast as the rest."
    )
    warmup_steps: int | None = Field(
        None, ge=0, description="Steps over which the learning rate rises; then it follows the schedule."
    )
    dropout: float | None = Field(None, ge=0, lt=1, description="Dropout of the model while it trains.")
    width: int | None = Field(
        None, ge=8, description="Numbers that stand for a label in tiny; a pre-trained base has its own and takes none."
    )
    seed: int = Field(0, ge=0, description="Of the random weights, of the order of posts, and of what is hidden.")
    precision: str = Field(
        "auto", description="auto (bf16 on a GPU that has it, else fp32), fp32 or bf16. fp16 overflows in T5."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice rather than keep them: about a third slower, far less memory."
    )
    compile: bool = Field(False, description="torch.compile: minutes at the start, then faster steps on a GPU.")
    threads: int = Field(
        0, ge=0, description="CPU threads of all processes; 0 = as many as there are idle cores at the start."
    )
    evaluations: int = Field(4, ge=1, description="How often the validation loss is taken, the end included.")
    log_interval_s: float = Field(5.0, gt=0, description="Seconds between two progress lines.")
    log_interval_steps: int = Field(0, ge=0, description="Steps between two progress lines; 0 = by seconds alone.")
    state_interval_s: float = Field(
        120.0, gt=0, description="Seconds between two training states, from which a training that was killed goes on."
    )
    state_interval_steps: int = Field(0, ge=0, description="Steps between two training states; 0 = by seconds alone.")
    states_kept: int = Field(2, ge=0, description="How many training states are kept, the newest ones; 0 = none.")
    wandb_project: str = Field(
        "booru-pipeline", description="wandb project. Runs are kept offline unless WANDB_API_KEY is set; '' = no wandb."
    )
    wandb_artifact: bool = Field(False, description="Whether wandb keeps the checkpoint too, as an artifact.")

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str | None) -> str | None:
        if value not in (None, *OPTIMIZERS):
            raise ValueError(f"optimizer {value!r} is unknown: use one of {', '.join(OPTIMIZERS)}")
        return value

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, value: str | None) -> str | None:
        if value not in (None, *SCHEDULES):
            raise ValueError(f"schedule {value!r} is unknown: use one of {', '.join(SCHEDULES)}")
        return value

    @field_validator("precision")
    @classmethod
    def _known_precision(cls, value: str) -> str:
        if value == "fp16":
            raise ValueError(
                "fp16 overflows in T5's feed-forward layers and the loss becomes NaN (transformers #5651): "
                "use bf16 or fp32"
            )
        if value not in PRECISIONS:
            raise ValueError(f"precision {value!r} is unknown: use one of {', '.join(PRECISIONS)}")
        return value


@dataclass(frozen=True)
class Plan:
    """The options that depend on the base model, all of them known; named and meant as in `TrainingOptions`."""

    time_limit_s: float
    max_steps: int
    epochs: float
    batch_size: int
    optimizer: str
    schedule: str
    learning_rate: float
    embedding_learning_rate_factor: float
    warmup_steps: int
    dropout: float
    width: int


class Rates(NamedTuple):
    """What an optimizer learns with.

    Attributes:
        learning_rate: The highest.
        embedding_factor: Embedding rows and the output layer learn this many times as fast.
    """

    learning_rate: float
    embedding_factor: float


# Measured on the sample world (2 x 1,500 posts, 946 labels; S) and the shared releases (76,274 posts, 6,209 labels; L),
# always after the same number of posts. Figures are validation loss in nats / recall@10 on the test split with half of
# the labels hidden, where popularity has 0.234 (S) and 0.258 (L), co-occurrence 0.353 and 0.320, EASE 0.550 and 0.405.
_TINY_RATES: Final = {
    # S: 5.07 / 0.512 after 60,000 posts, against 5.13 / 0.493 with 1e-3. L: 5.50 / 0.402 after 150,000, against 0.395.
    # 4e-3 goes wrong: S 5.19 / 0.461 after 150,000.
    # T5's random rows start at a scale of 1, the other weights far below. S: a factor of 4 gives 5.09 / 0.504.
    "adamw": Rates(2e-3, 8),
    # In proportion to the weights. L after 100,032 posts: 5.58, with (0.04, 0.5) 5.59. S after 60,000: 4.96 and 4.95.
    "adamw_rms": Rates(0.02, 1),
    # L: 5.566, with (0.04, 1) 5.568, with (0.02, 1) 5.570. S: 4.95 / 0.545, with (0.02, 1) 4.96 / 0.525.
    "adafactor": Rates(0.04, 0.5),
}
TINY_PLAN: Final = Plan(
    # 60,000 posts on busy cores, over 200,000 on two idle ones; S after 90,000: 4.88 / 0.541, after 200,000: 0.550.
    time_limit_s=60,
    max_steps=0,
    # Of 1,336 posts the 60 s are 112 passes, which over-fit: loss 5.00 after 15 s, 5.11 at the end, recall@10 0.489.
    # Fewer give 4.96 / 0.481 (20), 4.94 / 0.496 (30), 4.90 / 0.502 (40); of 2,666 posts 4.93 / 0.526, 4.85 / 0.543,
    # 4.89 / 0.551. Larger corpora reach the time limit first.
    epochs=40,
    # L: 5.52 / 0.395 after 150,000 posts, against 5.55 / 0.389 with 128. S: 32 takes twice the steps for 0.508 (0.493).
    batch_size=64,
    # L after 100,032 posts, here on the validation split: 5.58 / 0.407; AdamW 5.66 / 0.388, Adafactor 5.57 / 0.409, but
    # its step takes 14 ms where AdamW's takes 1.3 and this one 2.6, of about 30. S is better with AdamW: 4.89 / 0.549
    # after 60,000 posts and 4.87 / 0.544 after 160,000, against 4.96 / 0.534; Adafactor has 4.95 and 4.94.
    optimizer="adamw_rms",
    # L as above, with AdamW: 5.66 / 0.388; cosine 5.68 / 0.386, inverse_sqrt 5.67 / 0.382, constant 5.67 / 0.386.
    schedule="linear",
    learning_rate=_TINY_RATES["adamw_rms"].learning_rate,
    embedding_learning_rate_factor=_TINY_RATES["adamw_rms"].embedding_factor,
    warmup_steps=50,
    # L after 50,000 posts: 5.70 / 0.356, with 0.05 5.75 / 0.342, with 0.1 5.88 / 0.316. S after 90,000: 4.88, with 0.05
    # 4.96; it over-fits after 50 passes, and slowly: 4.87, then 4.88 after 75. Set it for long runs on little data.
    dropout=0.0,
    # 1.4 M weights with 6,200 labels, 2,100 posts/s on one core. L after 150,000 posts: validation loss 5.52, with 192
    # 5.60; S: 64 gives 5.43, not 5.39. Wider pays on long runs over many labels only, see benchmarks/RESULTS.md.
    width=128,
)

# Not measured here, where no pre-trained weights can be had: the usual range for T5 with AdamW, and what T5 itself was
# fine-tuned with (Adafactor, 1e-3; Raffel et al. 2020), with faster rows, since the labels' are new.
_PRETRAINED_RATES: Final = {
    "adamw": Rates(5e-4, 8),
    "adamw_rms": Rates(1e-3, 8),
    "adafactor": Rates(1e-3, 8),
}
PRETRAINED_PLAN: Final = Plan(
    time_limit_s=0,
    max_steps=0,
    epochs=3,
    batch_size=64,
    optimizer="adamw",
    schedule="linear",
    learning_rate=_PRETRAINED_RATES["adamw"].learning_rate,
    embedding_learning_rate_factor=_PRETRAINED_RATES["adamw"].embedding_factor,
    warmup_steps=200,
    dropout=0.1,
    width=0,  # the base's own
)


def resolve(options: TrainingOptions, *, pretrained: bool) -> Plan:
    """Fill what is not set with the base model's defaults.

    Raises:
        ValueError: Training would never end: no limit of time, steps or epochs; or a pre-trained base is given a
            width.
    """
    if pretrained and options.width:
        raise ValueError("width is for tiny: a pre-trained base has its own, so leave it out")
    plan, rates = (PRETRAINED_PLAN, _PRETRAINED_RATES) if pretrained else (TINY_PLAN, _TINY_RATES)
    own = rates[options.optimizer or plan.optimizer]
    plan = replace(plan, learning_rate=own.learning_rate, embedding_learning_rate_factor=own.embedding_factor)
    given = {field.name: getattr(options, field.name) for field in fields(Plan)}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    if not (plan.time_limit_s or plan.max_steps or plan.epochs):
        raise ValueError("training would never end: set time_limit_s, max_steps or epochs")
    return plan
