"""Two BERTs that turn one text into another: an encoder that reads, a decoder that writes.

Source: Rothe et al. 2020 (Leveraging Pre-trained Checkpoints for Sequence Generation Tasks), BERT2BERT.
Shapes are those of `bertx.bert.model`; `memory` are the encoder's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from torch import Tensor, nn

from bertx.bert.encoder_decoder_config import EncoderDecoderConfig
from bertx.bert.initialization import WithoutInitialization, initialize
from bertx.bert.json_config import read_settings
from bertx.bert.language_model import BertLMHeadModel
from bertx.bert.losses import IGNORED, class_loss
from bertx.bert.model import BertModel
from bertx.bert.outputs import BertOutput, Cache, EncoderDecoderOutput, Value, in_form
from bertx.bert.pretrained import Saved, load_into
from bertx.errors import CheckpointError, ConfigError


class EncoderDecoder(Saved):
    """Writes a text that depends on another one.

    Args:
        config: Both parts.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.architecture = "EncoderDecoderModel"
        self.encoder = BertModel(config.encoder)
        self.decoder = BertLMHeadModel(config.decoder)
        self.projection: nn.Linear | None = None
        if config.encoder.hidden_size != config.decoder.hidden_size:
            self.projection = nn.Linear(config.encoder.hidden_size, config.decoder.hidden_size)
            initialize(self.projection, config.decoder)

    @classmethod
    def from_encoder_decoder_pretrained(
        cls,
        encoder: str | Path,
        decoder: str | Path,
        *,
        decoder_start_token_id: int | None = None,
        eos_token_id: int | None = None,
    ) -> Self:
        """Starts from two pretrained BERTs; what is new is the decoder's cross-attention.

        Args:
            encoder: A folder, or a name on the hub; what it has of a decoder is left out.
            decoder: A folder, or a name on the hub.
            decoder_start_token_id: What every written text starts with, usually `[CLS]`.
            eos_token_id: What ends a written text, usually `[SEP]`.

        Raises:
            CheckpointError: A checkpoint is not found, or cannot be read.
        """
        # On use: what reads files imports the models.
        from bertx.bert.checkpoints.formats import read_config
        from bertx.bert.encoders import Encoders

        folders = [Encoders().folder(str(name)) for name in (encoder, decoder)]
        config = EncoderDecoderConfig(
            read_config(folders[0]).updated({"is_decoder": False, "add_cross_attention": False}),
            read_config(folders[1]).updated({"is_decoder": True, "add_cross_attention": True}),
            decoder_start_token_id=decoder_start_token_id,
            eos_token_id=eos_token_id,
        )
        model = cls(config)
        load_into(model.encoder, folders[0], config.encoder)
        load_into(model.decoder, folders[1], config.decoder)
        return model.eval()

    @classmethod
    def from_pretrained(cls, name: str | Path) -> Self:
        """Builds what `save_pretrained` or Hugging Face's EncoderDecoderModel wrote, in evaluation mode.

        Args:
            name: A folder, or a name on the hub.

        Raises:
            CheckpointError: The checkpoint is not found, or cannot be read.
        """
        from bertx.bert.encoders import Encoders

        folder = Encoders().folder(str(name))
        path = folder / "config.json"
        try:
            config = EncoderDecoderConfig.from_dict(read_settings(path))
        except ConfigError as error:
            raise CheckpointError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
        with WithoutInitialization():
            model = cls(config)
        load_into(model, folder, config.decoder)
        return model.eval()

    def settings(self) -> dict[str, object]:
        """Returns the keys of the model's `config.json`."""
        return replace(self.config, encoder=self.encoder.config, decoder=self.decoder.config).to_dict()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_outputs: BertOutput | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool = True,
    ) -> EncoderDecoderOutput | tuple[Value, ...]:
        """Reads a text and scores what follows each token of another.

        Args:
            input_ids: int, (batch, memory). This, `attention_mask`, `token_type_ids` and `inputs_embeds` are
                the encoder's: see `BertModel`.
            attention_mask: bool or 0/1, (batch, memory).
            token_type_ids: int, (batch, memory).
            inputs_embeds: float, (batch, memory, hidden).
            encoder_outputs: What the encoder returned for them, in place of running it.
            decoder_input_ids: int, (batch, tokens). This and all that follows are the decoder's: see
                `BertLMHeadModel`. None with labels: the labels, moved by one behind the start token.
            decoder_attention_mask: bool or 0/1, (batch, tokens).
            decoder_inputs_embeds: float, (batch, tokens, hidden).
            labels: int, (batch, tokens); the text to write, -100 where nothing is to be predicted. The label
                of a token is what follows it: here nothing is moved.
            past_key_values: What an earlier call returned.
            use_cache: Whether to return `past_key_values`.
            output_attentions: Whether to return the attention probabilities.
            output_hidden_states: Whether to return the hidden states of all layers.
            return_dict: Whether to return an object with names rather than a tuple.

        Returns:
            The decoder's logits, float (batch, tokens, vocab), and with labels the loss.
        """
        read = encoder_outputs or self.encoder(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self._moved(labels)
            if decoder_attention_mask is None:
                decoder_attention_mask = decoder_input_ids != self._pad_token_id()
        written = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            inputs_embeds=decoder_inputs_embeds,
            encoder_hidden_states=self._memory(read.last_hidden_state),
            encoder_attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        output = EncoderDecoderOutput(
            None if labels is None else class_loss(written.logits, labels),
            written.logits,
            past_key_values=written.past_key_values,
            decoder_hidden_states=written.hidden_states,
            decoder_attentions=written.attentions,
            cross_attentions=written.cross_attentions,
            encoder_last_hidden_state=read.last_hidden_state,
            encoder_hidden_states=read.hidden_states,
            encoder_attentions=read.attentions,
        )
        return in_form(output, return_dict)

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        max_new_tokens: int = 20,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool | Literal["never"] = False,
        eos_token_id: int | Sequence[int] | None = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Writes a text for each text; arguments are those of `BertLMHeadModel.generate`.

        Returns:
            int, (batch, 1 + added), from the start token on.
        """
        padding = self._pad_token_id()
        if attention_mask is None:
            attention_mask = input_ids != padding
        memory = self._memory(self.encoder(input_ids, attention_mask, return_dict=True).last_hidden_state)
        start = input_ids.new_full((len(input_ids), 1), self._start_token_id())
        return self.decoder.generate(
            start,
            start.new_ones(start.shape),
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
            eos_token_id=self.config.eos_token_id if eos_token_id is None else eos_token_id,
            pad_token_id=padding,
            use_cache=use_cache,
            encoder_hidden_states=memory,
            encoder_attention_mask=attention_mask,
        )

    def _memory(self, hidden_states: Tensor) -> Tensor:
        return hidden_states if self.projection is None else self.projection(hidden_states)

    def _moved(self, labels: Tensor) -> Tensor:
        """Returns what the decoder reads to predict the labels: the start token and all but the last."""
        moved = labels.roll(1, dims=1)
        moved[:, 0] = self._start_token_id()
        return moved.masked_fill(moved == IGNORED, self._pad_token_id())

    def _start_token_id(self) -> int:
        if self.config.decoder_start_token_id is None:
            raise ConfigError("decoder_start_token_id is not set; expected the id of [CLS] or the like")
        return self.config.decoder_start_token_id

    def _pad_token_id(self) -> int:
        own, of_decoder = self.config.pad_token_id, self.config.decoder.pad_token_id
        if own is None and of_decoder is None:
            raise ConfigError("pad_token_id is not set; expected the id of [PAD]")
        return own if own is not None else of_decoder or 0
