"""The options of training, and what each base model trains with if nothing is set."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.errors import BooruError

OPTIMIZERS: Final = ("adamw", "adamw_rms", "adafactor")
SCHEDULES: Final = ("linear", "cosine", "inverse_sqrt", "constant")

# Why other values of an option make nothing stale: see `pipeline.stages.Recipe`.
_SPEED: Final[JsonDict] = {"makes_nothing_stale": "It costs time or memory; what is learned is the same."}
_SAID: Final[JsonDict] = {"makes_nothing_stale": "It decides what is said on the way."}
_KEPT: Final[JsonDict] = {"makes_nothing_stale": "It decides what is kept on the way."}


class TrainingOptions(MaskingOptions, frozen=True, extra="forbid"):
    """How long and how a T5 is fine-tuned. A field that is not set takes the base model's own default."""

    objective: Literal["auto", "present", "set", "sequence", "span"] = Field(
        "auto",
        description="present: the first decoder step says of each label by itself how likely the picture has it. set: "
        "it says which label is next (both for captions of one token a label only). sequence: hidden labels one after "
        "another, in random order. span: T5's sentinels. auto: present for labels, sequence for pieces.",
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
        None,
        ge=0,
        description="Seconds of training, set-up and final evaluation not counted; 0 = no limit.",
        json_schema_extra={"makes_nothing_stale": "It says when to stop: `booru run --retrain` trains again."},
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
        json_schema_extra={"enum": [*OPTIMIZERS]},
        description="adamw, adamw_rms (AdamW with steps in proportion to each weight's size) or adafactor (the same "
        "with less memory).",
    )
    learning_rate: float | None = Field(
        None, gt=0, description="Highest learning rate; of adamw_rms and adafactor in proportion to a weight's size."
    )
    schedule: str | None = Field(
        None,
        json_schema_extra={"enum": [*SCHEDULES]},
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
    adapter: Literal["none", "lora"] = Field(
        "none",
        description="lora: of a pre-trained base only small matrices beside its own are trained, and embedding and "
        "output layer; they are added to the base in the checkpoint. Less memory for a large base. Needs peft "
        "(`pip install 'booru-pipeline[lora]'`).",
    )
    adapter_rank: int = Field(16, ge=1, description="lora: rank of the matrices; more can say more.")
    candidates: int | None = Field(
        None,
        ge=0,
        description="present with adamw_rms, in one process: labels that a step looks at beside those that its posts "
        "hide; what the others would say is estimated without bias. 0 = all labels. Not set: 2,048 on a CPU with more "
        "than 16,384 labels, else all.",
    )
    seed: int = Field(0, ge=0, description="Of the random weights, of the order of posts, and of what is hidden.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto (bf16 on a GPU that has it, else fp32), fp32 or bf16. fp16 overflows in T5."
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Compute activations twice rather than keep them: about a third slower, far less memory.",
        json_schema_extra=_SPEED,
    )
    compile: bool = Field(
        False,
        description="torch.compile: minutes at the start, then faster steps on a GPU.",
        json_schema_extra=_SPEED,
    )
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of all processes; 0 = as many as there are idle cores at the start.",
        json_schema_extra=_SPEED,
    )
    evaluations: int = Field(
        4,
        ge=1,
        description="How often the validation loss is taken, the end included.",
        json_schema_extra=_SAID,
    )
    log_interval_s: float = Field(
        5.0,
        gt=0,
        description="Seconds between two progress lines.",
        json_schema_extra=_SAID,
    )
    log_interval_steps: int = Field(
        0,
        ge=0,
        description="Steps between two progress lines; 0 = by seconds alone.",
        json_schema_extra=_SAID,
    )
    state_interval_s: float = Field(
        120.0,
        gt=0,
        description="Seconds between two training states, from which a training that was killed goes on.",
        json_schema_extra=_KEPT,
    )
    state_interval_steps: int = Field(
        0,
        ge=0,
        description="Steps between two training states; 0 = by seconds alone.",
        json_schema_extra=_KEPT,
    )
    states_kept: int = Field(
        2,
        ge=0,
        description="How many training states are kept, the newest ones; 0 = none.",
        json_schema_extra=_KEPT,
    )
    wandb_project: str = Field(
        "booru-pipeline",
        description="wandb project. Runs are kept offline unless WANDB_API_KEY is set; '' = no wandb.",
        json_schema_extra=_SAID,
    )
    wandb_artifact: bool = Field(
        False,
        description="Whether wandb keeps the checkpoint too, as an artifact.",
        json_schema_extra=_SAID,
    )

    @field_validator("optimizer", "schedule")
    @classmethod
    def _is_known(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = OPTIMIZERS if info.field_name == "optimizer" else SCHEDULES  # Dagster has no optional Literal
        if value not in (None, *known):
            raise ValueError(f"{info.field_name} {value!r} is unknown: use one of {', '.join(known)}")
        return value

    @field_validator("precision", mode="before")
    @classmethod
    def _is_no_fp16(cls, value: Any) -> Any:
        if value == "fp16":
            raise ValueError(
                "fp16 overflows in T5's feed-forward layers and the loss becomes NaN (transformers #5651): "
                "use bf16 or fp32"
            )
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


def _rates(learning_rate: float, embedding_factor: float) -> dict[str, Any]:
    """An optimizer's rates, as fields of a plan."""
    return {"learning_rate": learning_rate, "embedding_learning_rate_factor": embedding_factor}


# What each default was measured with is in benchmarks/RESULTS.md, "Training options".
_TINY_RATES: Final = {
    "adamw": _rates(2e-3, 8),  # rows start at a scale of 1, the other weights far below; twice the rate goes wrong
    "adamw_rms": _rates(0.02, 1),  # in proportion to the weights
    "adafactor": _rates(0.04, 0.5),
}
TINY_PLAN: Final = Plan(
    time_limit_s=60,  # over 200,000 posts on two idle cores
    max_steps=0,
    epochs=20,  # a small corpus over-fits beyond; larger ones reach the time limit first
    batch_size=64,  # half of it takes twice the steps, twice of it learns less from as many posts
    optimizer="adamw_rms",  # better than AdamW on many posts, and its step takes a fifth of Adafactor's time
    schedule="linear",  # the best by little
    **_TINY_RATES["adamw_rms"],
    warmup_steps=50,
    dropout=0.0,  # costs more than it saves until some 50 passes; set it for long runs on little data
    width=128,  # wider pays on long runs over many labels only
)

# Not measured here, where no pre-trained weights can be had: the usual range for T5 with AdamW, and what T5 itself was
# fine-tuned with (Adafactor, 1e-3; Raffel et al. 2020), with faster rows, since the labels' are new.
_PRETRAINED_RATES: Final = {
    "adamw": _rates(5e-4, 8),
    "adamw_rms": _rates(1e-3, 8),
    "adafactor": _rates(1e-3, 8),
}
PRETRAINED_PLAN: Final = Plan(
    time_limit_s=0,
    max_steps=0,
    epochs=3,
    batch_size=64,
    optimizer="adamw",
    schedule="linear",
    **_PRETRAINED_RATES["adamw"],
    warmup_steps=200,
    dropout=0.1,
    width=0,  # the base's own
)


def plan_defaults(optimizer: str | None, *, pretrained: bool) -> dict[str, Any]:
    """What a base model trains with where nothing is set, by option; rates go with the optimizer."""
    plan, rates = (PRETRAINED_PLAN, _PRETRAINED_RATES) if pretrained else (TINY_PLAN, _TINY_RATES)
    return {**asdict(plan), **rates.get(optimizer or plan.optimizer, {})}


def resolve(options: TrainingOptions, *, pretrained: bool) -> Plan:
    """Fill what is not set with the base model's defaults.

    Raises:
        BooruError: Training would never end: no limit of time, steps or epochs; or a pre-trained base is given a
            width, or `tiny` an adapter.
    """
    if pretrained and options.width:
        raise BooruError("width is for tiny: a pre-trained base has its own, so leave it out.")
    if not pretrained and options.adapter != "none":
        raise BooruError("adapter is for a pre-trained base: tiny starts from random weights, so leave it out.")
    given = {field.name: getattr(options, field.name) for field in fields(Plan)}
    given = {name: value for name, value in given.items() if value is not None}
    plan = Plan(**{**plan_defaults(options.optimizer, pretrained=pretrained), **given})
    if not (plan.time_limit_s or plan.max_steps or plan.epochs):
        raise BooruError("training would never end: set time_limit_s, max_steps or epochs.")
    return plan
