"""LoRA's updates as the library `peft` keeps them: `adapter_config.json` and `adapter_model.safetensors`.

Beside the two matrices of each update, the file holds what else was trained: the head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertx.atomic import replacing, write_json
from bertx.bert.checkpoints.huggingface import (
    BIAS,
    TIED_BIAS,
    TIED_WEIGHT,
    WORD_EMBEDDINGS,
    parameters_by_name,
)
from bertx.bert.lora import Lora, LoraLinear, lora_layers
from bertx.errors import CheckpointError, ConfigError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

PREFIX = "base_model.model."
ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")
SIDES: Mapping[str, str] = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}

# Settings under which an update is computed in another way, and the only values that are read here.
SUPPORTED_ONLY: Mapping[str, object] = {
    "peft_type": "LORA",
    "bias": "none",
    "fan_in_fan_out": False,
    "use_dora": False,
    "use_rslora": False,
    "lora_bias": False,
    "rank_pattern": {},
    "alpha_pattern": {},
}


def write_adapter(module: nn.Module, folder: Path, *, base: str | None = None) -> None:
    """Writes the updates of an encoder, and all else of a module that is trained.

    Args:
        module: The encoder, or a model that has it as `bert`; `add_lora` gave it updates.
        folder: Made where it does not exist.
        base: The folder or hub name of the encoder without updates, for `peft`.

    Raises:
        ValueError: The module has no updates.
    """
    layer = next((layer for _, layer in lora_layers(module)), None)
    if layer is None:
        raise ValueError("the module has no updates to write; call add_lora first")
    by_name = _by_name(module)
    tensors = {name: value for name, value in by_name.items() if value.requires_grad}
    if (
        PREFIX + BIAS in tensors
    ):  # peft saves whole layers: beside the bias also the word embedding, tied to it
        tensors[PREFIX + TIED_BIAS] = tensors.pop(PREFIX + BIAS)
        tensors[PREFIX + TIED_WEIGHT] = by_name[f"{PREFIX}bert.{WORD_EMBEDDINGS}"]
    names = [name.removeprefix(PREFIX) for name in tensors]
    heads = sorted({name.rpartition(".")[0] for name in names if ".lora_" not in name})
    settings = {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS" if heads == ["classifier"] else None,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": layer.rank,
        "lora_alpha": layer.alpha,
        "lora_dropout": layer.dropout.p,
        "target_modules": [name.partition(".lora_A")[0] for name in names if ".lora_A" in name],
        "modules_to_save": heads or None,
        "bias": "none",
        "fan_in_fan_out": False,
    }
    write_json(folder / CONFIG_FILE, settings)
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary)


def load_adapter(module: nn.Module, folder: Path) -> None:
    """Gives a module the updates that `write_adapter` or `peft` wrote, and the head beside them, in place.

    As after `add_lora`, these alone are trainable.

    Args:
        module: The encoder, or a model that has it as `bert`; without updates.
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        CheckpointError: The files are damaged, ask for what is not computed here, or do not fit the module;
            then the module is as it was.
        ValueError: The module has updates.
    """
    if any(lora_layers(module)):
        raise ValueError("the module has updates already; merge_lora makes them part of its weights")
    lora = _read_config(folder / CONFIG_FILE)
    found = _read_weights(folder / WEIGHTS_FILE)
    linear = {
        id(layer.weight): name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)
    }
    updated: dict[str, LoraLinear] = {}
    wanted: dict[str, Tensor] = {}
    by_name = _by_name(module)
    _drop_tied(found, by_name)
    for name, parameter in by_name.items():
        stem = name.removesuffix("weight")
        if name in found:
            wanted[name] = parameter
        elif id(parameter) in linear and any(stem + side in found for side in SIDES.values()):
            place = linear[id(parameter)]
            updated[place] = LoraLinear(module.get_submodule(place), lora)  # type: ignore[arg-type]  # as above
            wanted |= {stem + side: getattr(updated[place], ours) for ours, side in SIDES.items()}
    _compare(folder / WEIGHTS_FILE, found, wanted)
    module.requires_grad_(False)
    for place, layer in updated.items():
        module.set_submodule(place, layer)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name]).requires_grad_()


def _by_name(module: nn.Module) -> dict[str, nn.Parameter]:
    """Returns each parameter by its name in files of `peft`."""
    inside = "bert." if hasattr(module, "bert") else ""
    named: dict[str, nn.Parameter] = {}
    for name, parameter in parameters_by_name(module).items():
        owner, _, kind = name.rpartition(".")
        prefix = PREFIX + inside if name.startswith(ENCODER_PARTS) else PREFIX
        named[f"{prefix}{owner}.{SIDES.get(kind, kind)}"] = parameter
    return named


def _drop_tied(found: dict[str, Tensor], by_name: Mapping[str, nn.Parameter]) -> None:
    """Drops the weight of an output layer that is the module's word embedding, too."""
    embedding = by_name.get(f"{PREFIX}bert.{WORD_EMBEDDINGS}")
    weight = found.get(PREFIX + TIED_WEIGHT)
    if embedding is not None and weight is not None and torch.equal(weight, embedding):
        del found[PREFIX + TIED_WEIGHT]


def _read_config(path: Path) -> Lora:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        lora = Lora(settings["r"], float(settings["lora_alpha"]), float(settings.get("lora_dropout") or 0))
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); expected what peft writes"
        ) from None
    except (ValueError, TypeError, KeyError, ConfigError) as error:
        raise CheckpointError(
            f"{path}: not the settings of LoRA ({error}); expected what peft writes"
        ) from None
    for key, wanted in SUPPORTED_ONLY.items():
        if (value := settings.get(key)) not in (wanted, None):
            raise CheckpointError(
                f"{path}: {key} is {json.dumps(value)}, which is not supported; expected {json.dumps(wanted)}"
            )
    return lora


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return {name.replace(TIED_BIAS, BIAS): tensor for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); fetch or save it again") from None


def _compare(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuses tensors that the module has no place for, halves of updates, and wrong shapes."""
    for problem, these, those in (("not the module's", found, wanted), ("missing", wanted, found)):
        names = sorted(these.keys() - those.keys())
        if names:
            raise CheckpointError(
                f"{path}: {len(names)} tensors {problem}, e.g. {names[0]}; "
                "expected the updates of an encoder of this size, and its head"
            )
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} is {tuple(found[name].shape)}, expected {tuple(tensor.shape)}; the updates "
                "belong to another encoder"
            )
