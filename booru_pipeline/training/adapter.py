"""LoRA: a pre-trained base stays as it is, and small matrices beside its own are trained, then added to them.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", by the library peft. The rows of labels are new,
so embedding and output layer are trained whole.
"""

from typing import Any, Final

from booru_pipeline.errors import BooruError

_MATRICES: Final = ("q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo")  # all of T5's, gated or not
_SCALE: Final = 2  # of the product, over the rank


def add_adapter(model: Any, rank: int) -> None:
    """Put matrices of a rank beside a T5's own, and leave nothing else but embedding and output layer to be trained.

    Raises:
        BooruError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise BooruError(
            "adapter = lora needs the package peft: `pip install 'booru-pipeline[lora]'`. Or leave adapter out."
        ) from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=_SCALE * rank, target_modules=list(_MATRICES)), model)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight.requires_grad_(True)


def merge_adapter(model: Any) -> None:
    """Add what was trained beside a T5's matrices to them: it is a plain T5 afterwards, without peft.

    Raises:
        ValueError: It is no number.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, BaseTunerLayer):
                layer.merge(safe_merge=True)
                setattr(module, name, layer.get_base_layer())
    model.requires_grad_(True)
