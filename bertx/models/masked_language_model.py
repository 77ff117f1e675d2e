"""Pretraining: BERT predicts word pieces that were hidden from it.

Source: Devlin et al. 2019, section 3.1, task 1. Which pieces are hidden is drawn by the data loader's
`masked_language_model` collator.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from bertx.bert.config import BertConfig
from bertx.bert.encoders import Encoders
from bertx.bert.heads import BertForMaskedLM
from bertx.bert.lora import Lora, add_lora
from bertx.config.registrable import Runtime
from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.metrics.metric import Statistic
from bertx.metrics.token_prediction import TokenPrediction
from bertx.models.initializers.applicator import Initialization, initialize_by
from bertx.models.model import Model, Output
from bertx.models.regularizers import Regularization


@Model.register("masked_language_model")
class MaskedLanguageModel(Model):
    """Predicts hidden word pieces with BERT and its pretraining head.

    Args:
        bert_model: A folder or hub name of a pretrained BERT to train further, or an object that describes a
            fresh one.
        index: The name of the token indexer whose ids are read.
        initializer: Initialises parameters of encoder and head.
        regularizer: The penalty that training adds to the loss.
        lora: Train small matrices beside BERT's, which are frozen, and the head; None: BERT and head.
        encoders: Finds the encoder; None: a new one that searches the working directory and the hub.
    """

    def __init__(
        self,
        bert_model: str | BertConfig,
        *,
        index: str = "bert",
        initializer: Initialization | None = None,
        regularizer: Regularization | None = None,
        lora: Lora | None = None,
        encoders: Runtime[Encoders | None] = None,
    ) -> None:
        super().__init__(regularizer)
        self.index = index
        self.masked_lm: BertForMaskedLM = (encoders or Encoders()).masked_lm(bert_model)
        initialize_by(initializer, self.masked_lm)
        if lora is not None:
            add_lora(self.masked_lm.bert, lora)
        self.prediction = TokenPrediction()

    def forward(self, tokens: dict[str, dict[str, Tensor]], target_ids: Tensor | None = None) -> Output:
        """Predicts the hidden pieces of a batch.

        Args:
            tokens: Under the name of the token indexer: `input_ids` int, `attention_mask` bool and
                `token_type_ids` int, each (batch, tokens).
            target_ids: int, (batch, tokens); the hidden piece, or -100 where nothing is to be predicted.

        Returns:
            `loss`, a scalar, the mean over hidden pieces (0 if there are none), and `num_targets`, an integer
            scalar, their number; without targets `logits`, float, (batch, tokens, vocab).

        Raises:
            ConfigError: In training, nothing was hidden.
        """
        if target_ids is None and self.training:
            raise ConfigError(
                "data_loader.collator: no pieces are hidden, so there is nothing to predict; "
                'model "masked_language_model" needs the collator "masked_language_model"'
            )
        hidden_states = self.masked_lm.bert(**tokens[self.index]).last_hidden_state  # (batch, tokens, hidden)
        if target_ids is None:
            return {"logits": self.masked_lm.head(hidden_states).float()}
        hidden = target_ids >= 0
        targets = target_ids[hidden]  # (n,)
        logits = self.masked_lm.head(hidden_states[hidden]).float()  # (n, vocab)
        loss_sum = F.cross_entropy(logits, targets, reduction="sum")
        correct = int((logits.argmax(dim=-1) == targets).sum())
        self.prediction.add(loss_sum=float(loss_sum.detach()), correct=correct, total=targets.numel())
        return {"loss": loss_sum / max(targets.numel(), 1), "num_targets": hidden.sum()}

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns `perplexity` and `accuracy` over hidden pieces."""
        return self.prediction.get_metric(reset)

    @property
    def statistics(self) -> list[Statistic]:
        """What `get_metrics` reports."""
        return [self.prediction]

    def decode(self, output: Output) -> dict[str, Tensor | list[JSON]]:
        """Returns `top_ids`: the likeliest piece's id at every position of each row."""
        best: list[JSON] = output["logits"].argmax(dim=-1).tolist()
        return {"top_ids": best}

    @property
    def encoder_configs(self) -> dict[str, BertConfig]:
        """The sizes of the encoder, by the token indexer that it reads."""
        return {self.index: self.masked_lm.bert.config}

    @property
    def adapted(self) -> nn.Module:
        """BERT and the head."""
        return self.masked_lm
