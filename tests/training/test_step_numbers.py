"""A step that is skipped, as on a GPU, before anybody has looked at its numbers."""

import pytest
import torch

from bertx.training.reading import Reading
from bertx.training.step_numbers import can_skip, skipping_unless_finite
from bertx.training.steps import NotFinite
from tests.training.fragile import Fragile, split_of
from tests.training.tiny import Recorder, make_trainer, same, weights

NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


class Watcher(Recorder):
    """Notes weights and the optimizer's state after every step."""

    def __init__(self):
        super().__init__()
        self.states = []

    def on_step(self, context, step):
        super().on_step(context, step)
        states = self.optimizer.state_dict()["state"].items()
        moments = {f"{n}.{name}": value.clone() for n, state in states for name, value in state.items()}
        self.states.append(weights(context.model) | moments)


def trained(folder, bad_passes, how="loss", **settings):
    """Trains for 12 steps, some of which fail."""
    watcher = Watcher()
    trainer = make_trainer(
        Fragile(passes=bad_passes, how=how),
        split_of(folder),
        {"max_steps": 12} | settings,
        callbacks=[watcher],
    )
    watcher.optimizer = trainer.optimizer
    trainer.train()
    return watcher


@pytest.fixture
def late(monkeypatch):
    """Lets the CPU make steps as a GPU does."""
    monkeypatch.setattr("bertx.training.steps.can_skip", lambda *_: True)


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_a_bad_step_that_is_found_late_changes_nothing(tmp_path, late, how):
    watcher = trained(tmp_path, [5], how, grad_norm=0.5)
    assert [step.step for step in watcher.steps if step.skipped] == [5]
    assert same(watcher.states[4], watcher.states[3])
    assert not same(watcher.states[5], watcher.states[4])


@pytest.mark.parametrize("bad_passes", [[], [1, 5]])
def test_looking_late_makes_the_same_steps(tmp_path, monkeypatch, bad_passes):
    expected = trained(tmp_path, bad_passes, grad_norm=0.5)
    monkeypatch.setattr("bertx.training.steps.can_skip", lambda *_: True)
    found = trained(tmp_path, bad_passes, grad_norm=0.5)
    assert str(found.steps) == str(expected.steps)  # which calls NaN equal to NaN
    assert same(found.states[-1], expected.states[-1])


def test_a_bad_step_that_is_found_late_names_its_batch(tmp_path, late):
    message = r"step 2: the loss is nan \(batch ids: r\d+(, r\d+)+\); lr was 0\.01\. Lower trainer\."
    with pytest.raises(NotFinite, match=message):
        trained(tmp_path, [2], max_skipped_steps=1)


def test_only_a_gpu_without_a_scale_of_losses_looks_late():
    weight = [torch.zeros(1, requires_grad=True)]
    adam, sgd = torch.optim.AdamW(weight, fused=True), torch.optim.SGD(weight, fused=True)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert can_skip(adam, gpu, NO_SCALER)
    assert not can_skip(adam, cpu, NO_SCALER)
    assert not can_skip(adam, gpu, torch.amp.GradScaler("cpu"))
    assert not can_skip(torch.optim.AdamW(weight, fused=False), gpu, NO_SCALER)
    assert not can_skip(sgd, gpu, NO_SCALER)  # its first momentum would be memory that nobody has written


@pytest.mark.parametrize("numbers, expected", [([1.0, 2.0], 0.9), ([1.0, torch.inf], 1.0)])
def test_steps_of_a_block_are_skipped_if_a_number_is_not_finite(numbers, expected):
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    with skipping_unless_finite(optimizer, torch.tensor(numbers)):
        optimizer.step()
    assert weight.item() == pytest.approx(expected)
    optimizer.step()
    assert weight.item() == pytest.approx(expected - 0.1)


def test_numbers_of_the_cpu_are_read_as_they_are():
    numbers = [torch.tensor(0.1), torch.tensor(7), 0.3, 4]
    assert Reading(numbers).values() == [torch.tensor(0.1).item(), 7.0, 0.3, 4.0]


@pytest.mark.gpu
def test_numbers_of_a_gpu_are_waited_for_when_they_are_asked_for():
    torch.cuda._sleep(10**9)
    reading = Reading([torch.full((), 2.5, device="cuda"), 0.3])
    assert not torch.cuda.current_stream().query()
    assert reading.values() == [2.5, 0.3]
