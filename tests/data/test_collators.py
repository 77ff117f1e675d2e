import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertx.data.batch import Inputs, padded_texts
from bertx.data.collators import MaskedLanguageModelCollator, PaddingCollator
from bertx.data.encoding import encode_instances
from bertx.errors import ConfigError
from tests.data.small import instance

WORDS = ["a", "b", "cx", "dxy", "e", "q"]  # q is unknown: [UNK]


@pytest.fixture(scope="session")
def inputs(indexer) -> Inputs:
    """400 rows of 200 words, about 325 tokens each."""
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, 200)) for _ in range(400)]
    dataset = encode_instances([instance(text) for text in texts], {"bert": indexer})
    return padded_texts(dataset, np.arange(400))


def masked(inputs: Inputs, indexer, *, seed: int = 3, **settings):
    collator = MaskedLanguageModelCollator(**settings)
    output = collator.collate(inputs, np.random.default_rng(seed), {"bert": indexer})
    before, after = inputs["tokens"]["bert"]["input_ids"], output["tokens"]["bert"]["input_ids"]
    return before.numpy(), after.numpy(), output["target_ids"].numpy()


def within_four_sigma(count: int, trials: int, probability: float) -> bool:
    return abs(count - trials * probability) < 4 * np.sqrt(trials * probability * (1 - probability))


def test_fifteen_percent_of_the_tokens_are_chosen(inputs, indexer):
    before, _, target_ids = masked(inputs, indexer)
    assert within_four_sigma((target_ids != -100).sum(), (before >= 5).sum(), 0.15)


def test_of_the_chosen_80_percent_are_masked_10_random_10_kept(inputs, indexer):
    before, after, target_ids = masked(inputs, indexer)
    chosen = target_ids != -100
    assert within_four_sigma((after[chosen] == 4).sum(), chosen.sum(), 0.8)
    # A random piece is one of 8, so that it is the original in 1 of 8 cases.
    assert within_four_sigma((after[chosen] == before[chosen]).sum(), chosen.sum(), 0.1 + 0.1 / 8)


def test_targets_are_the_original_ids_and_other_tokens_stay(inputs, indexer):
    before, after, target_ids = masked(inputs, indexer)
    chosen = target_ids != -100
    assert (target_ids[chosen] == before[chosen]).all()
    assert (after[~chosen] == before[~chosen]).all()


@pytest.mark.parametrize("whole_words", [False, True])
def test_special_tokens_and_padding_are_never_chosen_nor_drawn(inputs, indexer, whole_words):
    settings = {"mlm_probability": 1.0, "mask_probability": 0.0, "random_probability": 1.0}
    before, after, target_ids = masked(inputs, indexer, whole_words=whole_words, **settings)
    assert ((target_ids == -100) == (before < 5)).all()
    assert set(after[before >= 5].tolist()) == set(range(5, 13))


def test_whole_words_are_chosen_with_all_their_pieces(inputs, indexer):
    before, _, target_ids = masked(inputs, indexer, whole_words=True)
    chosen = target_ids != -100
    continues = before >= 10
    assert (chosen[:, 1:] == chosen[:, :-1])[continues[:, 1:]].all()
    words = (before >= 5) & ~continues
    assert within_four_sigma(chosen[words].sum(), words.sum(), 0.15)


def test_single_pieces_are_chosen_apart(inputs, indexer):
    before, _, target_ids = masked(inputs, indexer)
    chosen = target_ids != -100
    assert not (chosen[:, 1:] == chosen[:, :-1])[before[:, 1:] >= 10].all()


def test_continuations_after_an_unknown_word_are_chosen_together(indexer):
    ids = torch.tensor([[2, 1, 10, 11, 3]] * 200)
    inputs: Inputs = {"tokens": {"bert": {"input_ids": ids, "attention_mask": torch.ones_like(ids).bool()}}}
    _, _, target_ids = masked(inputs, indexer, whole_words=True)
    assert (target_ids == np.array([-100, -100, 10, 11, -100])).all()


@given(seed=st.integers(0, 1000), whole_words=st.booleans())
def test_each_row_has_something_to_predict(indexer, seed, whole_words):
    dataset = encode_instances([instance(text) for text in ("a", "a b", "q b", "dxy")], {"bert": indexer})
    inputs = padded_texts(dataset, np.arange(4))
    _, _, target_ids = masked(inputs, indexer, seed=seed, whole_words=whole_words, mlm_probability=0.01)
    assert (target_ids != -100).any(axis=1).all()


def test_a_row_of_special_tokens_has_nothing_to_predict(indexer):
    dataset = encode_instances([instance(""), instance("q")], {"bert": indexer})
    _, after, target_ids = masked(padded_texts(dataset, np.arange(2)), indexer)
    assert after.tolist() == [[2, 3, 0], [2, 1, 3]]
    assert (target_ids == -100).all()


def test_masks_depend_on_the_generator_alone(inputs, indexer):
    first, again, other = (masked(inputs, indexer, seed=seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_the_given_inputs_stay_as_they_are(inputs, indexer):
    before = inputs["tokens"]["bert"]["input_ids"].clone()
    masked(inputs, indexer, mlm_probability=1.0)
    assert torch.equal(inputs["tokens"]["bert"]["input_ids"], before)
    assert "target_ids" not in inputs


def test_padding_leaves_the_batch_as_it_is(inputs, indexer):
    assert PaddingCollator().collate(inputs, np.random.default_rng(0), {"bert": indexer}) is inputs


def test_an_absent_field_is_named_with_those_there_are(inputs, indexer):
    message = (
        r"^field_name, index: the data has no text field 'text' with indexer 'bert'; it has the fields "
        r"tokens and the indexers bert$"
    )
    with pytest.raises(ConfigError, match=message):
        masked(inputs, indexer, field_name="text")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mlm_probability": 0.0}, r"^mlm_probability: is 0.0; expected more than 0 and at most 1$"),
        ({"random_probability": 0.3}, r"are 0.8 and 0.3; expected neither below 0 nor a sum above 1$"),
    ],
)
def test_impossible_probabilities_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MaskedLanguageModelCollator(**settings)
