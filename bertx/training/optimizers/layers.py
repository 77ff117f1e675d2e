"""Which layer of an encoder a parameter belongs to, read off its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

# As bertx names them (`bert.layers.3.attention.query.weight`), and Hugging Face (`bert.encoder.layer.3...`).
LAYER = re.compile(r"(?P<stack>(?:.*?\.)?)layers?\.(?P<number>\d+)\.")
EMBEDDINGS = re.compile(r"(?P<encoder>(?:.*?\.)?)embeddings\.")


def depths(names: Sequence[str]) -> dict[str, int]:
    """Counts, for each parameter inside an encoder, the steps from the head down to it.

    The top layer is 1 step down, the lowest of n layers n steps, the embeddings n + 1. A stack of layers
    belongs to an encoder if there are embeddings beside or above it, so that layers of a head stay out.

    Args:
        names: All parameters of the model, frozen ones too; several encoders are counted each for itself.

    Returns:
        The parameters of layers and embeddings; what is missing (heads, poolers) is not inside.

    Example:
        bert.embeddings.word.weight, bert.layers.0.norm.bias, bert.layers.1.norm.bias, head.bias
        → 3, 2, 1, none
    """
    layers = {name: found for name in names if (found := LAYER.match(name))}
    embeddings = {
        name: found["encoder"]
        for name in names
        if name not in layers and (found := EMBEDDINGS.match(name)) is not None
    }
    heights: dict[str, int] = {}
    for found in layers.values():
        stack = found["stack"]
        if stack.startswith(tuple(embeddings.values())):
            heights[stack] = max(heights.get(stack, 0), int(found["number"]) + 1)
    result = {
        name: heights[found["stack"]] - int(found["number"])
        for name, found in layers.items()
        if found["stack"] in heights
    }
    for name, encoder in embeddings.items():
        above = [height for stack, height in heights.items() if stack.startswith(encoder)]
        result |= {name: max(above) + 1} if above else {}
    return result
