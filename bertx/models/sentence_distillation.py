"""Pretraining by a teacher: an encoder's pooled output learns to agree with a teacher's sentence vectors.

Source: Reimers & Gurevych 2020 (Making Monolingual Sentence Embeddings Multilingual using Knowledge
Distillation), section 2, whose student learns the teacher's vectors themselves; the similarities within a
batch are those of Fang et al. 2021 (SEED), section 3.2.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.initialization import initialize
from bertx.bert.lora import Lora, add_lora
from bertx.config.registrable import Runtime
from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.metrics.average import Average
from bertx.metrics.metric import Statistic
from bertx.models.model import Model, Output
from bertx.models.regularizers import Regularization


@Model.register("sentence_distillation")
class SentenceDistillation(Model):
    """Trains an encoder with its pooler so that texts are to each other what they are to a teacher.

    The loss is the cross-entropy between the similarities that teacher and student see within a batch, less
    what no student can avoid (the Kullback-Leibler divergence), and `vector_weight` times the cosine distance
    between the student's vector, taken to the teacher's size by a linear layer, and the teacher's. The
    teacher's vector of a text is the mean of its last hidden states.

    Args:
        bert_model: The student: a folder or hub name of a BERT to train further, or an object that describes
            a fresh one.
        teacher: A folder or hub name of the encoder to learn from, such as a sentence encoder; it is not
            trained, but saved with the run.
        index: The name of the token indexer whose ids the student reads.
        teacher_index: The name of the token indexer whose ids the teacher reads.
        temperature: Similarities are divided by it before they become a distribution; above 0.
        vector_weight: The weight of the cosine distance.
        remember: Whether to keep the teacher's vectors in memory, so that it reads each text once and not in
            every epoch: 2 bytes a number, such as 768 MB for a million texts and a teacher of size 384.
        regularizer: The penalty that training adds to the loss.
        lora: Train small matrices beside the student's, which are frozen; None: the student's own.
        encoders: Finds the encoders; None: a new one that searches the working directory and the hub.

    Raises:
        ConfigError: The temperature is not above 0, or both read the same token indexer.
    """

    def __init__(
        self,
        bert_model: str | BertConfig,
        teacher: str,
        *,
        index: str = "bert",
        teacher_index: str = "teacher",
        temperature: float = 0.05,
        vector_weight: float = 10.0,
        remember: bool = False,
        regularizer: Regularization | None = None,
        lora: Lora | None = None,
        encoders: Runtime[Encoders | None] = None,
    ) -> None:
        if temperature <= 0:
            raise ConfigError(f"model.temperature: {temperature}; expected more than 0, such as 0.05")
        if index == teacher_index:
            raise ConfigError(f'model.teacher_index: "{index}" is the student\'s index; name another indexer')
        super().__init__(regularizer)
        encoders = encoders or Encoders()
        self.index, self.teacher_index = index, teacher_index
        self.temperature, self.vector_weight = temperature, vector_weight
        self.bert = encoders.model(bert_model)
        if lora is not None:
            add_lora(self.bert, lora)
        self.teacher = encoders.model(teacher, add_pooling_layer=False).requires_grad_(False)
        self.projection = nn.Linear(self.bert.config.hidden_size, self.teacher.config.hidden_size)
        initialize(self.projection, self.bert.config)
        self.similarity = Average("similarity")
        # By the ids of a text. NumPy, since torch refuses to stack float16 where bf16 is computed.
        self._remembered: dict[bytes, npt.NDArray[np.float16]] | None = {} if remember else None

    def forward(self, tokens: dict[str, dict[str, Tensor]]) -> Output:
        """Compares the student's vectors with the teacher's.

        Args:
            tokens: Under the names of both token indexers: `input_ids` int, `attention_mask` bool and
                `token_type_ids` int, each (batch, tokens); the same texts.

        Returns:
            `vectors`, float, (batch, hidden): the student's pooled output; `loss`, a scalar.
        """
        wanted = self._wanted(tokens[self.teacher_index])  # (batch, teacher's hidden)
        pooled = self.bert(**tokens[self.index]).pooled
        found = F.normalize(self.projection(pooled).float(), dim=1)  # (batch, teacher's hidden)
        cosines = (found * wanted).sum(dim=1)  # (batch,)
        self.similarity.add(float(cosines.detach().sum()), len(cosines))
        loss = self._divergence(found, wanted) + self.vector_weight * (1 - cosines.mean())
        return {"vectors": pooled.float(), "loss": loss}

    @torch.no_grad()
    def _wanted(self, ids: dict[str, Tensor]) -> Tensor:
        """Returns the teacher's vectors, of length 1: float, (batch, teacher's hidden)."""
        known = self._remembered
        if known is None:
            return self._taught(ids)
        mask = ids["attention_mask"]  # (batch, tokens)
        keys = [row[real].cpu().numpy().tobytes() for row, real in zip(ids["input_ids"], mask, strict=True)]
        new = [row for row, key in enumerate(keys) if key not in known]
        if new:
            some = {name: ids[name][new] for name in ("input_ids", "attention_mask", "token_type_ids")}
            vectors = self._taught(some).cpu().numpy()
            known.update(zip([keys[row] for row in new], vectors.astype(np.float16), strict=True))
        remembered = np.stack([known[key] for key in keys]).astype(np.float32)
        return torch.from_numpy(remembered).to(mask.device)

    def _taught(self, ids: dict[str, Tensor]) -> Tensor:
        mask = ids["attention_mask"]  # (batch, tokens)
        states = self.teacher(**ids).last_hidden_state
        real = mask[..., None].to(states.dtype)
        means = (states * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)  # (batch, teacher's hidden)
        return F.normalize(means.float(), dim=1)

    def _divergence(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Compares, for each text, how likely student and teacher find the others of the batch."""
        ours = F.log_softmax(found @ found.T / self.temperature, dim=1)  # (batch, batch)
        theirs = F.log_softmax(wanted @ wanted.T / self.temperature, dim=1)
        return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)

    def train(self, mode: bool = True) -> Self:
        """Switches to training or evaluation; the teacher stays as it is, without dropout."""
        super().train(mode)
        self.teacher.eval()
        return self

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns `similarity`, the mean cosine between the student's vectors and the teacher's."""
        return self.similarity.get_metric(reset)

    @property
    def statistics(self) -> list[Statistic]:
        """What `get_metrics` reports."""
        return [self.similarity]

    def decode(self, output: Output) -> dict[str, Tensor | list[JSON]]:
        """Returns `vectors`, the pooled output of each row."""
        return {"vectors": output["vectors"]}

    @property
    def encoder_configs(self) -> dict[str, BertConfig]:
        """The sizes of student and teacher, by the token indexers that they read."""
        return {self.index: self.bert.config, self.teacher_index: self.teacher.config}

    @property
    def adapted(self) -> nn.Module:
        """The student."""
        return self.bert
