import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bertx.errors import ConfigError
from bertx.training.schedulers.training_length import TrainingLength, training_length
from tests.training.tiny import Recorder, make_model, make_trainer, make_undecided

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6).map(lambda steps: TrainingLength(tuple(steps)))
SHARES = st.floats(0.01, 0.99)


def marks(length, every):
    return [step for step in range(1, length.num_steps + 1) if length.is_mark(step, every)]


@given(LENGTHS)
def test_epochs_and_positions_agree(length):
    for step in range(length.num_steps):
        epoch = length.epoch_of(step)
        start = sum(length.steps_per_epoch[:epoch])
        assert start <= step < start + length.steps_per_epoch[epoch]
        assert length.position(step) == epoch + (step - start) / length.steps_per_epoch[epoch]
    assert length.position(length.num_steps) == length.num_epochs


@given(LENGTHS)
def test_without_a_number_the_ends_of_epochs_are_marks(length):
    ends = [sum(length.steps_per_epoch[: number + 1]) for number in range(length.num_epochs)]
    assert marks(length, None) == ends


@given(LENGTHS, st.integers(1, 40))
def test_steps_are_counted_through_epochs_and_the_end_is_a_mark(length, every):
    expected = {*range(every, length.num_steps + 1, every), length.num_steps}
    assert marks(length, every) == sorted(expected)
    assert marks(length, float(every)) == sorted(expected)


@given(LENGTHS, SHARES)
def test_a_share_makes_marks_of_its_own_in_every_epoch_and_one_at_its_end(length, every):
    found, start = marks(length, every), 0
    for steps in length.steps_per_epoch:
        within = [step - start for step in found if start < step <= start + steps]
        products = [every * steps * count for count in range(1, math.floor(1 / every) + 1)]
        assume(all(abs(product - round(product)) > 1e-6 or product == round(product) for product in products))
        assert within == sorted({*(min(steps, math.ceil(product)) for product in products), steps})
        start += steps


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4))
def test_a_whole_part_of_an_epoch_comes_that_often_and_evenly(parts, times, epochs):
    length = TrainingLength((parts * times,) * epochs)
    every = 1 / parts if parts > 1 else None
    assert marks(length, every) == list(range(times, parts * times * epochs + 1, times))


def test_a_share_that_binary_numbers_cannot_express_is_not_late():
    assert marks(TrainingLength((100,)), 0.07) == [*range(7, 100, 7), 100]  # 0.07 * 100 is 7.000000000000001


def test_the_length_is_cut_within_an_epoch(train):
    assert training_length(train, 4, None, 1).steps_per_epoch == (3, 3, 3, 3)
    assert training_length(train, 4, 7, 1).steps_per_epoch == (3, 3, 1)
    assert training_length(train, 4, 6, 1).steps_per_epoch == (3, 3)
    assert training_length(train, None, 7, 2).steps_per_epoch == (2, 2, 2, 1)
    assert training_length(train, 2, 100, 2).steps_per_epoch == (2, 2)


def test_a_length_without_any_limit_is_refused(train):
    message = r"^trainer\.num_epochs: null, and max_steps is not given; expected one of the two$"
    with pytest.raises(ConfigError, match=message):
        training_length(train, None, None, 1)


class Validations(Recorder):
    """Notes after which steps there was a validation."""

    def __init__(self):
        super().__init__()
        self.validated = []

    def on_validation(self, context, step, metrics):
        self.validated.append(step)


def life(train, settings, folder=None, **others):
    """Trains; returns what was told and the metrics."""
    seen = Validations()
    trainer = make_trainer(make_model(), train, settings, folder=folder, callbacks=[seen], **others)
    return seen, trainer.train()


@pytest.mark.parametrize(
    ("settings", "validated", "steps"),
    [
        ({"num_epochs": 3}, [3, 6, 9], 9),
        ({"num_epochs": 3, "validate_every": 2}, [2, 4, 6, 8, 9], 9),
        ({"num_epochs": 2, "validate_every": 0.5}, [2, 3, 5, 6], 6),
        ({"num_epochs": 2, "validate_every": 100}, [6], 6),
        ({"num_epochs": None, "max_steps": 5}, [3, 5], 5),
        ({"num_epochs": None, "max_steps": 5, "validate_every": 1.0}, [1, 2, 3, 4, 5], 5),
        ({"num_epochs": 9, "max_steps": 1}, [1], 1),
    ],
)
def test_validations_come_when_they_are_wanted_and_at_the_end(train, contrary, settings, validated, steps):
    seen, _ = life(train, settings, validation=contrary)
    assert seen.validated == validated
    assert [step.step for step in seen.steps] == list(range(1, steps + 1))


def test_an_unfinished_last_epoch_is_reported(train):
    seen, metrics = life(train, {"num_epochs": None, "max_steps": 4})
    assert [epoch["epoch"] for epoch in seen.epochs] == [0, 1]
    assert metrics["epoch"] == 1
    assert seen.told[-2:] == ["epoch 1", "end"]


def test_time_ends_a_training_with_a_last_validation(train, contrary, folder):
    seen, metrics = life(train, {"num_epochs": 1000, "max_seconds": 1e-9}, folder, validation=contrary)
    assert (seen.validated, metrics["epoch"]) == ([1], 0)
    assert [step.step for step in seen.steps] == [1]


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, [3, 6]),
        ({"save_every": 2}, [2, 3, 4, 6]),
        ({"save_every": 4, "save_completed_epochs": False}, [4]),
        ({"save_every_num_seconds": 1e-9, "save_completed_epochs": False}, [1, 2, 3, 4, 5, 6]),
        ({"save_completed_epochs": False}, []),
    ],
)
def test_checkpoints_come_when_they_are_wanted(train, folder, settings, saved):
    life(train, {"num_epochs": 2, "checkpointer": {**settings, "keep_most_recent_by_count": None}}, folder)
    found = sorted(folder.glob("checkpoints/*"))
    assert [int(path.name.removeprefix("step-")) for path in found] == saved


def test_without_validation_the_last_weights_are_kept(train, folder):
    seen, metrics = life(train, {"num_epochs": 2}, folder)
    assert (seen.validated, metrics["best_epoch"]) == ([], 1)
    assert (folder / "best" / "model.safetensors").is_file()
    assert not [name for name in metrics if "validation" in name]


def test_patience_counts_validations_and_not_epochs(train, contrary):
    seen = Validations()
    settings = {
        "num_epochs": 9,
        "validate_every": 1,
        "patience": 2,
        "optimizer": {"type": "adam", "lr": 0.05},
    }
    make_trainer(make_undecided(), train, settings, validation=contrary, callbacks=[seen]).train()
    assert seen.validated == [1, 2, 3]


@pytest.mark.parametrize("settings", [{"patience": 2}, {"validate_every": 5}])
def test_what_needs_validation_data_has_no_effect_without_and_says_so(train, settings, caplog):
    (name,) = settings
    _, metrics = life(train, settings)
    assert metrics["epoch"] == 0
    assert f"trainer.{name}: has no effect without validation data" in caplog.messages


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": 0}, r"trainer\.max_steps: 0; expected at least 1"),
        ({"max_seconds": 0.0}, r"trainer\.max_seconds: 0\.0; expected a number above 0"),
        ({"validate_every": 0}, r"trainer\.validate_every: 0; expected a whole number of steps, or a share"),
        (
            {"validate_every": 2.5},
            r"trainer\.validate_every: 2\.5; expected a whole number of steps, or a share",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(train, settings, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        make_trainer(make_model(), train, settings)
