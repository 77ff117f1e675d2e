import numpy as np
import pytest
import scipy.special
import torch
from safetensors.torch import load_file

from bertx.bert.checkpoints.huggingface import write_directory
from bertx.bert.config import BertConfig
from bertx.bert.model import BertModel
from bertx.errors import ConfigError
from bertx.models.sentence_distillation import SentenceDistillation
from bertx.training.weights import load_weights, save_weights
from tests.bert.reference import random_batch, randomized
from tests.models.tiny import CONFIG

TEACHER = BertConfig(
    vocab_size=50, hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=20
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    write_directory(randomized(BertModel(TEACHER)), folder)
    return folder


@pytest.fixture
def model(teacher):
    model = SentenceDistillation(CONFIG, str(teacher), temperature=0.5, vector_weight=2.0)
    randomized(model.bert)
    return model


@pytest.fixture
def tokens():
    return {"bert": random_batch(), "teacher": random_batch()}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mean_states(model, batch):
    """The teacher's vectors, written plainly."""
    states = model.teacher(*batch.values()).last_hidden_state.detach().numpy().astype(np.float64)
    rows = zip(states, batch["attention_mask"].bool().numpy(), strict=True)
    return unit(np.stack([row[mask].mean(axis=0) for row, mask in rows]))


def test_the_loss_is_divergence_and_distance(model, tokens):
    output = model.eval()(tokens)
    wanted = mean_states(model, tokens["teacher"])
    found = unit(model.projection(output["vectors"]).detach().numpy().astype(np.float64))
    theirs = scipy.special.softmax(wanted @ wanted.T / 0.5, axis=1)
    ours = scipy.special.softmax(found @ found.T / 0.5, axis=1)
    divergence = scipy.special.rel_entr(theirs, ours).sum(axis=1).mean()
    cosine = (wanted * found).sum(axis=1).mean()
    assert output["loss"].item() == pytest.approx(divergence + 2.0 * (1 - cosine), abs=1e-5)
    assert model.get_metrics(reset=True) == {"similarity": pytest.approx(cosine, abs=1e-5)}
    assert np.isnan(model.get_metrics()["similarity"])


def test_the_loss_is_0_where_the_student_agrees(teacher):
    model = SentenceDistillation(CONFIG, str(teacher))
    wanted = torch.nn.functional.normalize(torch.randn(5, 12), dim=1)
    assert model._divergence(wanted, wanted).item() == pytest.approx(0, abs=1e-6)


def test_vectors_are_the_pooled_output(model, tokens):
    output = model.eval()(tokens)
    torch.testing.assert_close(output["vectors"], model.bert(*tokens["bert"].values()).pooled)
    assert model.decode(output)["vectors"] is output["vectors"]


def test_only_the_student_is_trained(model, tokens):
    model.train()
    model(tokens)["loss"].backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == [
        f"teacher.{name}" for name, _ in model.teacher.named_parameters()
    ]


def test_the_teacher_has_no_dropout_in_training(model, tokens):
    model.train()
    assert torch.equal(model._wanted(tokens["teacher"]), model._wanted(tokens["teacher"]))
    assert model.bert.training and not model.teacher.training


def test_steps_bring_the_student_closer(model, tokens):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(model(tokens)["loss"])
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.2 * losses[0].item()


def test_the_weights_of_a_run_hold_the_teacher(model, teacher, tokens, tmp_path):
    save_weights(model, tmp_path / "model.safetensors")
    assert any(name.startswith("teacher.") for name in load_file(tmp_path / "model.safetensors"))
    again = SentenceDistillation(CONFIG, str(teacher), temperature=0.5, vector_weight=2.0)
    load_weights(again, tmp_path / "model.safetensors")
    assert again.eval()(tokens)["loss"].item() == model.eval()(tokens)["loss"].item()


def test_a_remembering_model_asks_the_teacher_once(teacher, tokens):
    model = SentenceDistillation(CONFIG, str(teacher), remember=True).eval()
    asked = []
    model.teacher.register_forward_pre_hook(
        lambda _, inputs, named: asked.append(len(named["input_ids"])), with_kwargs=True
    )
    fresh = model._taught(tokens["teacher"])
    first_two = {name: tensor[:2] for name, tensor in tokens["teacher"].items()}
    for batch in (first_two, tokens["teacher"], tokens["teacher"]):
        with torch.autocast("cpu", torch.bfloat16):
            found = model._wanted(batch)
        torch.testing.assert_close(found, fresh[: len(batch["input_ids"])], atol=2e-2, rtol=0)
    assert asked == [4, 2, 2]


def test_each_encoder_has_its_token_indexer(teacher):
    model = SentenceDistillation(CONFIG, str(teacher), index="small", teacher_index="large")
    assert {name: config.hidden_size for name, config in model.encoder_configs.items()} == {
        "small": 24,
        "large": 12,
    }
    assert model.encoder_config is CONFIG


def test_impossible_settings_are_refused(teacher):
    with pytest.raises(ConfigError, match=r"model.temperature: 0; expected more than 0"):
        SentenceDistillation(CONFIG, str(teacher), temperature=0)
    with pytest.raises(ConfigError, match='"bert" is the student\'s index'):
        SentenceDistillation(CONFIG, str(teacher), teacher_index="bert")
