import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from bertx.bert.config import BertConfig
from bertx.bert.lora import Lora, add_lora
from bertx.bert.model import BertModel
from bertx.bert.unpadding import Packing, can_be_one_kernel, saves_padding

LONGEST = 9
FLASH = torch.ops.aten._flash_attention_forward.default


def make_model(heads: int = 3, **changes) -> BertModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "num_hidden_layers": 2, "intermediate_size": 40, "initializer_range": 0.3}
    config = BertConfig(hidden_size=8 * heads, num_attention_heads=heads, max_position_embeddings=16, **sizes)
    return BertModel(config.updated(changes)).double()


def make_batch(mask: torch.Tensor) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids, segments = (torch.randint(0, top, mask.shape, generator=generator) for top in (50, 2))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


def packed(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    packing = Packing.of(batch["attention_mask"])
    return {**batch, "packed_tokens": packing.tokens, "packed_offsets": packing.offsets}


def of_lengths(*lengths: int) -> torch.Tensor:
    return torch.arange(LONGEST) < torch.tensor(lengths)[:, None]


def gradients(model: BertModel, batch: dict[str, torch.Tensor], only_first: bool) -> list[torch.Tensor]:
    output = model(**batch, only_first=only_first)
    states = output.last_hidden_state
    real = states[:, 0] if only_first else states[batch["attention_mask"]]
    loss = (real * real.detach().cos()).sum() + output.pooled.sin().sum()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [real, output.pooled, *torch.autograd.grad(loss, learning)]


def assert_padding_makes_no_difference(model, mask, only_first):
    batch = make_batch(mask)
    padded, unpadded = (gradients(model, given, only_first) for given in (batch, packed(batch)))
    for expected, found in zip(padded, unpadded, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


@given(
    lengths=st.lists(st.integers(1, LONGEST), min_size=1, max_size=5),
    holes=st.integers(0, 2**40),
    heads=st.sampled_from([1, 3]),
    only_first=st.booleans(),
    training=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_packed_sequences_give_what_padded_ones_do(lengths, holes, heads, only_first, training):
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bits = torch.tensor([holes >> place & 1 for place in range(len(lengths) * LONGEST)])
    mask = of_lengths(*lengths) & (bits == 0).view(-1, LONGEST)
    mask[:, 0] = True
    assert_padding_makes_no_difference(make_model(heads, **rates).train(training), mask, only_first)


@pytest.mark.parametrize("setting", [{"chunk_size_feed_forward": 2}, {"gradient_checkpointing": True}])
def test_unusual_layers_are_packed_as_well(setting):
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = make_model(**rates, **setting).train()
    assert_padding_makes_no_difference(model, of_lengths(9, 2, 5), only_first=False)


def test_pruned_heads_and_lora_are_packed_as_well():
    model = make_model().eval()
    model.prune_heads({0: [1]})
    add_lora(model, Lora(rank=2))
    assert_padding_makes_no_difference(model, of_lengths(9, 2, 5), only_first=True)


def test_padding_comes_back_as_zeros():
    mask = of_lengths(4, 9)
    states = make_model().eval()(**packed(make_batch(mask))).last_hidden_state
    assert states.shape == (2, 9, 24)
    assert torch.equal(states.any(dim=2), mask)


@pytest.mark.parametrize("rate, is_random", [(0.5, True), (0.0, False)])
def test_dropout_of_attention_is_not_forgotten(rate, is_random):
    model = make_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=rate).train()
    batch = packed(make_batch(of_lengths(9, 2, 5)))
    assert torch.equal(model(**batch).pooled, model(**batch).pooled) != is_random


def test_a_row_that_begins_with_padding_is_not_packed():
    mask = of_lengths(4, 9)
    mask[1, 0] = False
    assert Packing.of(mask) is None


def test_places_and_ends_of_sequences():
    tokens, offsets, width = Packing.of(of_lengths(2, 1, 3))
    assert tokens.tolist() == [0, 1, 9, 18, 19, 20]
    assert (offsets.tolist(), offsets.dtype, width) == ([0, 2, 3, 6], torch.int32, 9)


def test_a_sequence_that_is_too_long_is_refused():
    batch = packed(make_batch(torch.ones(2, 17, dtype=torch.bool)))
    with pytest.raises(ValueError, match="a sequence has 17 tokens; the encoder takes at most 16"):
        make_model()(**batch)


@pytest.mark.parametrize("asked", ["output_attentions", "output_hidden_states"])
def test_what_is_asked_for_beyond_hidden_states_is_padded(asked):
    model, batch = make_model().eval(), make_batch(of_lengths(9, 2, 5))
    expected, found = (model(**given, **{asked: True}) for given in (batch, packed(batch)))
    name = asked.removeprefix("output_")
    torch.testing.assert_close(found[name], expected[name])


class Kernels(TorchDispatchMode):
    """Notes the arguments of every call of the attention kernel."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is FLASH:
            self.calls.append(args)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def unreadable(monkeypatch):
    """A device whose numbers nobody can look at, with the kernel of a GPU."""
    monkeypatch.setattr("bertx.bert.unpadding.can_be_one_kernel", lambda query: query.device.type == "meta")
    return torch.device("meta")


@pytest.mark.parametrize("only_first", [False, True])
def test_a_step_on_a_gpu_waits_for_no_number(unreadable, only_first):
    model = make_model(attention_probs_dropout_prob=0.25).to(unreadable, torch.bfloat16).train()
    batch = {name: tensor.to(unreadable) for name, tensor in packed(make_batch(of_lengths(9, 2, 5))).items()}
    with Kernels() as kernels:
        model(**batch, only_first=only_first).pooled.float().sum().backward()
    asked = [(len(query), longest, rate) for query, _, _, _, _, longest, _, rate, *_ in kernels.calls]
    assert asked == [(16, 9, 0.25), (3, 1, 0.25) if only_first else (16, 9, 0.25)]
    assert model.embeddings.word.weight.grad.shape == (50, 24)


def test_attention_has_no_dropout_in_evaluation(unreadable):
    model = make_model().to(unreadable, torch.bfloat16).eval()
    batch = {name: tensor.to(unreadable) for name, tensor in packed(make_batch(of_lengths(9, 2, 5))).items()}
    with Kernels() as kernels:
        model(**batch)
    assert [call[7] for call in kernels.calls] == [0.0, 0.0]


def test_only_gpus_are_given_packed_batches():
    assert not saves_padding(torch.device("cpu"))
    assert not can_be_one_kernel(torch.zeros(3, 2, 8, dtype=torch.bfloat16))


@pytest.mark.gpu
@pytest.mark.parametrize("only_first", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_a_gpu_computes_packed_what_it_computes_padded(dtype, tolerance, only_first):
    model = make_model().cuda().to(dtype).eval()
    batch = make_batch(of_lengths(9, 2, 5, 1))
    padded, unpadded = (
        gradients(model, {name: tensor.cuda() for name, tensor in given.items()}, only_first)
        for given in (batch, packed(batch))
    )
    for expected, found in zip(padded, unpadded, strict=True):
        torch.testing.assert_close(found, expected, atol=tolerance * float(expected.abs().max()), rtol=0)


@pytest.mark.gpu
def test_the_kernel_of_a_gpu_drops_what_it_is_told_to():
    query, key = (torch.zeros(1, 2, 4096, 32, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    offsets = torch.tensor([0, 2048, 4096], device="cuda", dtype=torch.int32)
    packing = Packing(torch.arange(4096, device="cuda"), offsets, 2048)
    mixed = packing.attention(query, key, torch.ones_like(key), dropout=0.25, only_first=False)
    assert mixed.float().mean().item() == pytest.approx(1.0, abs=0.01)
    assert mixed.float().std().item() == pytest.approx((0.25 / 0.75 / 2048) ** 0.5, rel=0.1)
