"""Options that contradict each other, within a stage or across stages: known before anything is made."""

from booru_pipeline.errors import BooruError
from booru_pipeline.model.objective_name import objective_name
from booru_pipeline.pipeline.stages import Recipe
from booru_pipeline.training.options import resolve
from booru_pipeline.vocabulary.base_model import TINY, resolve_base_model


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be followed to its end.

    Raises:
        BooruError: The base model is unknown, training would never end, or options contradict each other.
    """
    resolve_base_model(recipe.preset)
    training = recipe.checkpoint
    resolve(training, pretrained=recipe.preset != TINY)
    objective = objective_name(training.objective, recipe.tokenized_dataset.encoding_name)
    if objective.names_labels_at_once and training.span_corruption:
        raise BooruError(
            f"checkpoint.span_corruption is {training.span_corruption:g}, and the {objective.value} objective corrupts "
            "no spans. Set it to 0, or choose objective = span or sequence."
        )
