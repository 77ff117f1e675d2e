"""Writing text: the likeliest next word piece again and again, or a search among several beginnings.

Shapes:
    batch     texts that are written
    beams     beginnings of one text that are kept; 1 if there is no search
    rows      batch * beams, the beams of a text one after another
    tokens    word pieces so far
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

OUT = -1e9  # a score that no text has


@dataclass(frozen=True)
class Search:
    """Describes how texts are written.

    Args:
        max_new_tokens: The largest number of word pieces that are added.
        eos_token_ids: The word pieces that end a text.
        pad_token_id: What stands behind the end of a text that is shorter than others.
        num_beams: Beginnings of each text that are kept.
        length_penalty: The score of a text is its log probability divided by its length to this power; more
            than 0 prefers long texts.
        early_stopping: Whether a text is done when `num_beams` ends are found; if not, when no beginning
            looks better than them any more: at its present length, or with "never" at any length.
    """

    max_new_tokens: int = 20
    eos_token_ids: Sequence[int] = ()
    pad_token_id: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False


class Continuation(Protocol):
    """A model in the middle of some texts."""

    def next_logits(self, input_ids: Tensor) -> Tensor:
        """Returns float (rows, vocab), scores of what follows int (rows, tokens), whole texts."""

    def reorder(self, rows: Tensor) -> None:
        """Goes on with the texts of some rows, int (rows,), in place of those there were."""


@torch.no_grad()
def write(continuation: Continuation, input_ids: Tensor, search: Search) -> Tensor:
    """Continues texts.

    Args:
        continuation: Scores what follows; it has `num_beams` rows for each text.
        input_ids: int, (batch, tokens); the beginnings.
        search: How.

    Returns:
        int, (batch, tokens + added); the beginnings and what follows.
    """
    if search.num_beams == 1:
        return _greedy(continuation, input_ids, search)
    return _BeamSearch(input_ids, search).run(continuation)


def _greedy(continuation: Continuation, input_ids: Tensor, search: Search) -> Tensor:
    ends = torch.tensor(search.eos_token_ids, dtype=torch.long, device=input_ids.device)
    unfinished = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    for _ in range(search.max_new_tokens):
        likeliest = continuation.next_logits(input_ids).argmax(dim=-1)  # (batch,)
        tokens = likeliest.where(unfinished, torch.full_like(likeliest, search.pad_token_id))
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
        unfinished = unfinished & ~torch.isin(tokens, ends)
        if not unfinished.any():
            break
    return input_ids


class _BeamSearch:
    """The beginnings and the ends found so far.

    Source: the rules are those of Hugging Face's beam search: every beginning competes with all others of
    its text; only ends among the best `num_beams` candidates count; see also Wu et al. 2016, section 7.
    """

    def __init__(self, input_ids: Tensor, search: Search) -> None:
        batch, self.prompt = input_ids.shape
        self.search, self.device = search, input_ids.device
        length = self.prompt + search.max_new_tokens
        self.running = input_ids.new_full((batch, search.num_beams, length), search.pad_token_id)
        self.running[:, :, : self.prompt] = input_ids[:, None]
        self.running_scores = torch.full((batch, search.num_beams), OUT, device=self.device)
        self.running_scores[:, 0] = 0.0  # all beams of a text are equal so far: one is enough
        self.ended = self.running.clone()
        self.ended_scores = torch.full_like(self.running_scores, OUT)
        self.is_ended = torch.zeros_like(self.running_scores, dtype=torch.bool)
        self.ended_lengths = torch.zeros_like(self.running_scores, dtype=torch.long)
        self.improvable = torch.ones(batch, 1, dtype=torch.bool, device=self.device)

    def run(self, continuation: Continuation) -> Tensor:
        """Searches until nothing better is to be found; returns the best text of each row."""
        for length in range(self.prompt + 1, self.running.shape[2] + 1):
            logits = continuation.next_logits(self.running[:, :, : length - 1].flatten(0, 1))
            rows, no_more = self._step(logits.float().log_softmax(dim=-1), length)
            if no_more:
                break
            continuation.reorder(rows)
        added = int(self.ended_lengths[:, 0].max())
        return self.ended[:, 0, : self.prompt + added]

    def _step(self, log_probs: Tensor, length: int) -> tuple[Tensor, bool]:
        """Takes one more token; returns which rows go on, (rows,), and whether the search is over."""
        search, (batch, beams) = self.search, self.running_scores.shape
        scores = log_probs.view(batch, beams, -1) + self.running_scores[:, :, None]  # (batch, beams, vocab)
        # So many that at least `beams` candidates do not end here.
        wanted = max(2, 1 + len(search.eos_token_ids)) * beams
        scores_of_best, best = scores.flatten(1).topk(wanted)  # (batch, candidates)
        origin, tokens = best // scores.shape[2], best % scores.shape[2]
        candidates = _rows_of(self.running, origin)
        candidates[:, :, length - 1] = tokens
        ends = torch.tensor(search.eos_token_ids, dtype=torch.long, device=self.device)
        is_end = torch.isin(tokens, ends) | (length == self.running.shape[2])
        self._keep_ends(candidates, scores_of_best, is_end, length)
        going_on, places = (scores_of_best + is_end * OUT).topk(beams)
        self.running, self.running_scores = _rows_of(candidates, places), going_on
        self._look_ahead(length)
        offsets = torch.arange(batch, device=self.device)[:, None] * beams
        rows = (_rows_of(origin, places) + offsets).flatten()
        is_full = bool(self.is_ended.all()) and search.early_stopping is True
        return rows, bool(is_end.all()) or is_full or not bool(self.improvable.any())

    def _keep_ends(self, candidates: Tensor, scores: Tensor, is_end: Tensor, length: int) -> None:
        beams = self.running_scores.shape[1]
        is_new = is_end & (torch.arange(is_end.shape[1], device=self.device) < beams)
        scores = scores / (length - self.prompt) ** self.search.length_penalty
        is_full = self.is_ended.all(dim=1, keepdim=True) & (self.search.early_stopping is True)
        scores = scores + is_full * OUT + ~self.improvable * OUT + ~is_new * OUT
        lengths = torch.full_like(is_end, length - self.prompt, dtype=torch.long)
        self.ended_scores, places = torch.cat([self.ended_scores, scores], dim=1).topk(beams)
        self.ended = _rows_of(torch.cat([self.ended, candidates], dim=1), places)
        self.is_ended = _rows_of(torch.cat([self.is_ended, is_new], dim=1), places)
        self.ended_lengths = _rows_of(torch.cat([self.ended_lengths, lengths], dim=1), places)

    def _look_ahead(self, length: int) -> None:
        """Notes for which texts a beginning may still become better than the worst end that is kept."""
        search = self.search
        is_longest = search.early_stopping == "never" and search.length_penalty > 0
        reached = (self.running.shape[2] if is_longest else length) - self.prompt
        best = self.running_scores[:, :1] / reached**search.length_penalty  # (batch, 1)
        worst = self.ended_scores.min(dim=1, keepdim=True).values.where(
            self.is_ended, torch.tensor(OUT, device=self.device)
        )  # (batch, beams)
        self.improvable = self.improvable & (best > worst).any(dim=1, keepdim=True)


def _rows_of(tensor: Tensor, places: Tensor) -> Tensor:
    """Takes places, (batch, n), of the second dimension; returns (batch, n, ...)."""
    index = places.view(*places.shape, *(1 for _ in tensor.shape[2:]))
    return tensor.take_along_dim(index, dim=1)
