"""The `config.json` of an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from bertx.bert.config import BertConfig
from bertx.bert.json_config import misfit
from bertx.errors import ConfigError

HINTS: Mapping[str, object] = {
    "model_type": Literal["encoder-decoder"],
    "encoder": dict[str, object],
    "decoder": dict[str, object],
    "decoder_start_token_id": int | None,
    "pad_token_id": int | None,
    "eos_token_id": int | None,
}


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Describes an encoder and a decoder.

    Args:
        encoder: The encoder.
        decoder: The decoder, with cross-attention.
        decoder_start_token_id: What every written text starts with, usually `[CLS]`.
        pad_token_id: What is no part of a text; None: as the decoder's config says.
        eos_token_id: What ends a written text, usually `[SEP]`; None: as the decoder's config says.

    Attributes:
        extra: Other keys of the `config.json`; `to_dict` writes them back.

    Raises:
        ConfigError: The decoder has no cross-attention.
    """

    encoder: BertConfig
    decoder: BertConfig
    decoder_start_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | None = None
    extra: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.decoder.add_cross_attention:
            raise ConfigError("decoder.add_cross_attention is false; a decoder needs it to see the encoder")

    @classmethod
    def from_dict(cls, settings: Mapping[str, object]) -> EncoderDecoderConfig:
        """Reads the keys of a `config.json`.

        Raises:
            ConfigError: A key is missing or has a value of the wrong type.
        """
        problems = [misfit(name, settings.get(name), hint) for name, hint in HINTS.items()]
        if any(problems):
            raise ConfigError("\n".join(problem for problem in problems if problem))
        own = {name: settings.get(name) for name in HINTS if name != "model_type"}
        for part in ("encoder", "decoder"):
            own[part] = BertConfig.from_dict(cast(Mapping[str, object], settings[part]))
        other = sorted(settings.keys() - {*HINTS, "is_encoder_decoder"})
        own["extra"] = {name: settings[name] for name in other}
        return cls(**own)  # type: ignore[arg-type]  # misfit has compared each value with its type

    def to_dict(self) -> dict[str, object]:
        """Returns every key of a `config.json`, `extra` included."""
        own = {name: getattr(self, name) for name in HINTS if name != "model_type"}
        own |= {"encoder": self.encoder.to_dict(), "decoder": self.decoder.to_dict()}
        return self.extra | own | {"model_type": "encoder-decoder", "is_encoder_decoder": True}
