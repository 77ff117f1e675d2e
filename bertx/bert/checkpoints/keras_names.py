"""What KerasHub's files call the tensors of BERT, and how their shapes differ from Hugging Face's.

Keras names a layer by its class and the number among layers of that class, and its variables by number; a
kernel is (inputs, outputs), and those of attention keep the heads apart: (hidden, heads, head_size).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bertx.errors import CheckpointError

# Hugging Face's names, without `bert.`; `#` stands for the number of a layer.
BACKBONE_NAMES: Mapping[str, str] = {
    "reversible_embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "embedding": "embeddings.token_type_embeddings",
    "layer_normalization": "embeddings.LayerNorm",
    "transformer_encoder_#/_self_attention_layer/query_dense": "encoder.layer.#.attention.self.query",
    "transformer_encoder_#/_self_attention_layer/key_dense": "encoder.layer.#.attention.self.key",
    "transformer_encoder_#/_self_attention_layer/value_dense": "encoder.layer.#.attention.self.value",
    "transformer_encoder_#/_self_attention_layer/output_dense": "encoder.layer.#.attention.output.dense",
    "transformer_encoder_#/_self_attention_layer_norm": "encoder.layer.#.attention.output.LayerNorm",
    "transformer_encoder_#/_feedforward_intermediate_dense": "encoder.layer.#.intermediate.dense",
    "transformer_encoder_#/_feedforward_output_dense": "encoder.layer.#.output.dense",
    "transformer_encoder_#/_feedforward_layer_norm": "encoder.layer.#.output.LayerNorm",
    "dense": "pooler.dense",
}
CLASSIFIER_NAMES: Mapping[str, str] = {"dense": "classifier"}
MASKED_LM_NAMES: Mapping[str, str] = {
    "masked_lm_head/_intermediate_dense": "cls.predictions.transform.dense",
    "masked_lm_head/_intermediate_layer_norm": "cls.predictions.transform.LayerNorm",
    "masked_lm_head": "cls.predictions",
}
KINDS = ("weight", "bias")  # variables 0 and 1
BACKBONE_IN_TASK = "layers/bert_backbone/"  # in files of a whole model, such as that of a `.keras` archive


def from_keras(
    path: Path, variables: Mapping[str, Tensor], num_heads: int, *, is_task: bool = False
) -> dict[str, Tensor]:
    """Renames and reshapes the variables of a file to the tensors of Hugging Face.

    Args:
        path: The file, for errors.
        variables: By their paths in the file.
        num_heads: The number of attention heads.
        is_task: Whether the file is `task.weights.h5`, which holds a head alone. A file that holds a
            backbone and a head is told by its names.

    Returns:
        Tensors by their names in files of Hugging Face, without `bert.`; a variable that BERT does not have
        keeps its path.

    Raises:
        CheckpointError: A kernel has no such shape, or another number of heads.
    """
    tensors: dict[str, Tensor] = {}
    is_task = is_task or any(name.startswith(BACKBONE_IN_TASK) for name in variables)
    for name, variable in variables.items():
        # Keras 2 called the list of layers otherwise.
        present = name.replace("_layer_checkpoint_dependencies/", "layers/")
        if not present.startswith("layers/"):
            continue  # the state of an optimizer
        in_backbone = present.removeprefix(BACKBONE_IN_TASK)
        names = (
            {**CLASSIFIER_NAMES, **MASKED_LM_NAMES} if is_task and in_backbone == present else BACKBONE_NAMES
        )
        owner, _, number = in_backbone.removeprefix("layers/").rpartition("/vars/")
        hub_name = _hub_name(owner, number, names)
        if hub_name is None:
            tensors[present] = variable
            continue
        reshaped = _from_keras_shape(owner, hub_name, variable, num_heads)
        if reshaped is None:
            raise CheckpointError(
                f"{path}: {name} is {tuple(variable.shape)}, which is no kernel of an encoder with "
                f"{num_heads} attention heads, as config.json describes it"
            )
        tensors[hub_name] = reshaped
    return tensors


def to_keras(tensors: Mapping[str, Tensor], num_heads: int, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Renames and reshapes tensors of Hugging Face to the variables of a file of Keras.

    Args:
        tensors: By their names in files of Hugging Face, without `bert.`.
        num_heads: The number of attention heads.
        names: Those of a backbone or of a head; tensors that they do not name are left out.
    """
    variables = {}
    for name, tensor in tensors.items():
        owner = keras_owner(name, names)
        if owner is not None:
            number = "0" if owner == "masked_lm_head" else str(KINDS.index(name.rpartition(".")[2]))
            variables[f"layers/{owner}/vars/{number}"] = _to_keras_shape(owner, name, tensor, num_heads)
    return variables


def keras_owner(name: str, names: Mapping[str, str]) -> str | None:
    """Finds the layer of Keras that has a tensor of Hugging Face; None: there is none."""
    hub_owner, _, kind = name.rpartition(".")
    layer = re.search(r"\d+", hub_owner)
    pattern = hub_owner.replace(layer[0], "#") if layer else hub_owner
    found = [owner for owner, candidate in names.items() if candidate == pattern]
    if not found or kind not in KINDS:
        return None
    return found[0].replace("_#", f"_{layer[0]}" if layer and layer[0] != "0" else "")


def _hub_name(owner: str, number: str, names: Mapping[str, str]) -> str | None:
    layer = re.match(r"transformer_encoder(?:_(\d+))?(?=/)", owner)
    if layer:
        owner = f"transformer_encoder_#{owner[layer.end() :]}"
    if owner == "masked_lm_head":
        number = "1" if number == "0" else ""  # its kernel is the word embedding's
    if owner not in names or number not in ("0", "1"):
        return None
    return f"{names[owner]}.{KINDS[int(number)]}".replace("#", layer[1] or "0" if layer else "")


def _from_keras_shape(owner: str, hub_name: str, variable: Tensor, num_heads: int) -> Tensor | None:
    """Returns None for a variable that cannot be what its name says."""
    if not owner.endswith("dense"):
        return variable
    heads = _heads_dimension(owner, hub_name)
    if heads is not None:
        if variable.dim() < heads + 2 or variable.shape[heads] != num_heads:
            return None
        variable = variable.flatten(heads, heads + 1)
    if hub_name.endswith(".bias"):
        return variable
    return variable.t().contiguous() if variable.dim() == 2 else None


def _to_keras_shape(owner: str, hub_name: str, tensor: Tensor, num_heads: int) -> Tensor:
    if not owner.endswith("dense"):
        return tensor
    if hub_name.endswith(".weight"):
        tensor = tensor.t().contiguous()
    heads = _heads_dimension(owner, hub_name)
    if heads is None:
        return tensor
    return tensor.reshape(*tensor.shape[:heads], num_heads, -1, *tensor.shape[heads + 1 :])


def _heads_dimension(owner: str, hub_name: str) -> int | None:
    """Returns which dimension of a variable counts the heads: the next is that of each head's vector."""
    if "/_self_attention_layer/" not in owner:
        return None
    if owner.endswith("/output_dense"):
        return 0 if hub_name.endswith(".weight") else None  # (heads, head_size, hidden) and (hidden,)
    return 1 if hub_name.endswith(".weight") else 0  # (hidden, heads, head_size) and (heads, head_size)
