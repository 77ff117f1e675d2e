"""Values that were trained elsewhere, for parameters picked by name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bertx.bert.encoders import Encoders
from bertx.bert.hub import unpacked
from bertx.config.registrable import Runtime
from bertx.errors import CheckpointError, ConfigError
from bertx.models.initializers.initializer import Initializer

BEST_WEIGHTS = "best/model.safetensors"  # in a run folder
SHOWN_NAMES = 5


@Initializer.register("pretrained")
class Pretrained(Initializer):
    """Copies a parameter from a file of weights.

    A run that was trained from such weights does not need them again: opened, it has its own.

    Args:
        weights_file_path: A `.safetensors` file, a run folder or its `model.tar.gz`; of the latter two the
            best weights are read.
        parameter_name_overrides: Names in the file by names of parameters, where they differ. A model's
            `initializer` may see a part of the model only, such as `bert_for_classification`'s last layer:
            its `weight` is `classifier.weight` in the file.
        encoders: Knows whether weights are read at all; None: they are.

    Raises:
        CheckpointError: The file is missing or damaged, or no safetensors file; pickled ones are refused.
    """

    def __init__(
        self,
        weights_file_path: Path,
        parameter_name_overrides: dict[str, str] | None = None,
        encoders: Runtime[Encoders | None] = None,
    ) -> None:
        self.path = weights_file_path
        self.overrides = parameter_name_overrides or {}
        self.is_idle = encoders is not None and not encoders.has_weights

    def __call__(self, tensor: Tensor, name: str = "") -> None:
        """Copies the values of a parameter.

        Raises:
            ConfigError: The file has no such tensor, or one of another shape.
        """
        if self.is_idle:
            return
        wanted = self.overrides.get(name, name)
        if wanted not in self.tensors:
            raise ConfigError(
                f'initializer: {self.path} has no tensor "{wanted}"; the nearest names are: '
                f"{', '.join(_nearest(wanted, self.tensors))}; give the one that is meant in "
                f'parameter_name_overrides: {{"{name}": ...}}'
            )
        found = self.tensors[wanted]
        if found.shape != tensor.shape:
            raise ConfigError(
                f"initializer: {wanted} has the shape {tuple(found.shape)} in {self.path}, but the parameter "
                f"{name} is {tuple(tensor.shape)}; take another file, or an expression that does not pick it"
            )
        tensor.copy_(found)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the file, by name, on the CPU."""
        file = unpacked(self.path)
        file = file / BEST_WEIGHTS if file.is_dir() else file
        if not file.is_file():
            raise CheckpointError(
                f"{self.path}: no weights here; expected a .safetensors file, a run folder or a model.tar.gz"
            )
        try:
            return load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{file}: not a readable safetensors file ({error}); PyTorch's .bin and .th files can run "
                "code of whoever made them, so convert them where you trust them"
            ) from None


def _nearest(name: str, names: Iterable[str]) -> list[str]:
    """Lists the names that are most likely meant: those that end with it first."""

    def rank(other: str) -> tuple[bool, float]:
        return not other.endswith(name), -SequenceMatcher(None, name, other, autojunk=False).ratio()

    return sorted(names, key=rank)[:SHOWN_NAMES]
