"""Training with compiled layers; what compiles for a GPU needs one, so other backends stand in for it."""

import pytest
import torch

from bertx.training import compilation
from bertx.training.compilation import compiled
from tests.training.tiny import make_model, make_split, make_trainer, records, same, weights

# torch's compiler looks at it, and hides the warning in a way that does not hide errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture(autouse=True)
def nothing_compiled():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def packed(monkeypatch):
    monkeypatch.setattr("bertx.data.batch.saves_padding", lambda device: True)


@pytest.fixture
def compilations(monkeypatch):
    """Notes what is compiled, and computes it as it is."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compilation, "BACKEND", backend)
    return graphs


def trained(folder, *, dropout=0.0, count=40, **settings):
    """Trains on batches of 2 rows with 3 to 7 tokens."""
    split = make_split(folder, records(count), batch_size=2)
    trainer = make_trainer(make_model(dropout=dropout), split, settings)
    trainer.train()
    return trainer.model


def test_all_layers_and_lengths_share_what_is_compiled(tmp_path, packed, compilations):
    trained(tmp_path, compile=True, dropout=0.1, num_epochs=3, max_steps=50)
    # The last layer computes first tokens only; and a size of 1, as that of the last batch, is no symbol.
    assert 2 <= len(compilations) <= 3


def test_compiled_layers_learn_the_same(tmp_path, packed, monkeypatch):
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")
    settings = {"optimizer": {"type": "sgd", "lr": 0.1}, "count": 8}
    expected, found = (weights(trained(tmp_path, compile=choice, **settings)) for choice in (False, True))
    assert list(found) == list(expected)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_layers_are_as_they_were_after_training(tmp_path, compilations):
    model = trained(tmp_path, compile=True, count=4)
    count = len(compilations)
    model.eval()(**next(iter(make_split(tmp_path, records(8)).batches(0))).inputs)
    assert len(compilations) == count


def test_what_cannot_be_compiled_is_computed_as_it_is(tmp_path, monkeypatch, caplog):
    def backend(graph, inputs):
        raise RuntimeError("no C compiler\nin sight")

    monkeypatch.setattr(compilation, "BACKEND", backend)
    expected, found = (weights(trained(tmp_path, compile=choice, count=8)) for choice in (False, True))
    assert same(found, expected)
    assert "trainer.compile: torch cannot compile here (" in caplog.text
    assert "no C compiler" in caplog.text


@pytest.mark.parametrize(
    "device, has_triton, steps, pays",
    [
        ("cpu", True, 1000, False),
        ("cuda", False, 1000, False),
        ("cuda", True, 999, False),
        ("cuda", True, 1000, True),
    ],
)
def test_by_itself_it_compiles_where_that_pays(tmp_path, monkeypatch, device, has_triton, steps, pays):
    monkeypatch.setattr(compilation, "find_spec", lambda name: has_triton or None)
    monkeypatch.setattr(compilation, "_failure", lambda loop: None)
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    split = make_split(tmp_path, records(4))
    loop = make_trainer(make_model(), split, {"num_epochs": None, "max_steps": steps}).loop
    loop.steps.device = torch.device(device)
    with compiled(loop, None):
        assert (loop.model.bert.layers[0]._compiled_call_impl is not None) == pays


@pytest.mark.parametrize("only_first", [False, True])
def test_the_kernel_of_a_gpu_is_compiled_once_for_all_lengths(monkeypatch, only_first):
    monkeypatch.setattr("bertx.bert.unpadding.can_be_one_kernel", lambda query: True)
    bert = make_model(dropout=0.1).bert.to("meta").bfloat16().train()
    for layer in bert.layers:
        layer.compile(dynamic=True, fullgraph=True, backend="aot_eager")
    for tokens, rows in [(17, 5), (30, 6), (9, 4)]:
        ids, places = (torch.zeros(shape, dtype=torch.long, device="meta") for shape in ((rows, 12), tokens))
        packed = {
            "packed_tokens": places,
            "packed_offsets": torch.zeros_like(places[:1]).expand(rows + 1).int(),
        }
        with torch.compiler.set_stance("default" if rows == 5 else "fail_on_recompile"):
            bert(ids, ids, ids, **packed, only_first=only_first).pooled.sum().backward()
    assert bert.embeddings.word.weight.grad.shape == (15, 12)


@pytest.mark.gpu
def test_a_gpu_trains_compiled_layers_once_for_all_lengths(tmp_path):
    split = make_split(tmp_path, records(40), batch_size=2)
    trainer = make_trainer(make_model(dropout=0.1).cuda(), split, {"compile": True, "precision": "bf16"})
    trainer.loop.steps.device = torch.device("cuda")
    trainer.train()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4
