import copy
import json

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from bertx.config.construct import plan
from bertx.errors import CheckpointError, ConfigError
from bertx.training.moving_averages import MovingAverage
from bertx.training.schedulers.training_length import TrainingLength

EPOCHS = (4, 5, 4, 3)
SWA = "stochastic_weight_average"


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def make_average(network: nn.Module, name: str, **named: object) -> MovingAverage:
    length = TrainingLength(EPOCHS)
    return plan(MovingAverage, {"type": name, **named}).build_with(
        named_parameters=list(network.named_parameters()), num_steps=length.num_steps, length=length
    )


def train(network: nn.Module, first: int, last: int, after) -> None:
    """Makes steps that depend on their numbers only, and calls `after` with the number done."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn(parameter.shape, generator=generator)
        after(step + 1)


def weights(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def averaged(network: nn.Module, average: MovingAverage) -> torch.Tensor:
    with average.averaged():
        return weights(network)


def test_a_long_exponential_average_is_that_of_torch():
    network = make_network()
    average = make_average(network, "exponential", decay=0.9, numerator=1, denominator=1)
    reference = AveragedModel(network, avg_fn=get_ema_avg_fn(0.9))
    reference.update_parameters(network)  # which only copies the first time
    train(network, 0, 16, lambda step: (average.update(step), reference.update_parameters(network)))
    torch.testing.assert_close(averaged(network, average), weights(reference.module), atol=1e-6, rtol=0)


def test_a_young_exponential_average_forgets_sooner():
    # AllenNLP: min(decay, (numerator + t) / (denominator + t)), t from 1.
    network = nn.Linear(1, 1, bias=False)
    average, expected = make_average(network, "exponential", decay=0.5), network.weight.item()
    for step, decay in ((1, 2 / 11), (2, 3 / 12), (3, 4 / 13), (1000, 0.5)):
        nn.init.constant_(network.weight, step)
        average.update(step)
        expected = decay * expected + (1 - decay) * step
        assert averaged(network, average).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("named", "counted"),
    [
        ({}, [13, 16]),  # of 16 steps those from 12 on, at the ends of epochs
        ({"start": 9}, [9, 13, 16]),
        ({"start": 0}, [4, 9, 13, 16]),
        ({"start": 16}, [16]),
        ({"start": 0.5, "every": 3}, [8, 11, 14]),
        ({"start": 0, "every": 1}, list(range(1, 17))),
    ],
)
def test_a_stochastic_weight_average_is_that_of_torch(named, counted):
    network = make_network()
    average, reference = make_average(network, SWA, **named), AveragedModel(network)
    train(
        network,
        0,
        16,
        lambda step: (average.update(step), step in counted and reference.update_parameters(network)),
    )
    torch.testing.assert_close(averaged(network, average), weights(reference.module), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "named"), [("exponential", {}), (SWA, {"start": 9})])
def test_before_there_is_an_average_the_weights_stay(name, named):
    network = make_network()
    average, before = make_average(network, name, **named), weights(network)
    assert torch.equal(averaged(network, average), before)
    if name == SWA:
        train(network, 0, 8, average.update)
        assert torch.equal(averaged(network, average), weights(network))


def test_averages_are_lent_in_place_and_taken_back():
    network = make_network()
    average = make_average(network, "exponential")
    parameters, storage = list(network.parameters()), [p.data_ptr() for p in network.parameters()]
    train(network, 0, 3, average.update)
    before = weights(network)
    assert not torch.equal(averaged(network, average), before)
    assert torch.equal(weights(network), before)
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
    assert [p.data_ptr() for p in network.parameters()] == storage


def test_weights_come_back_after_an_error():
    network = make_network()
    average = make_average(network, "exponential")
    train(network, 0, 3, average.update)
    before = weights(network)
    with pytest.raises(KeyError, match="oops"), average.averaged():
        raise KeyError("oops")
    assert torch.equal(weights(network), before)


def test_averages_of_bfloat16_weights_move_by_less_than_bfloat16_can():
    network = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.constant_(network.weight, 1.0)
    average = make_average(network, "exponential", decay=0.999, denominator=1)
    nn.init.constant_(network.weight, 2.0)
    for step in range(1, 101):
        average.update(step)
    assert average.averages["weight"].item() == pytest.approx(2 - 0.999**100, rel=1e-5)
    assert averaged(network, average).dtype == torch.bfloat16


@pytest.mark.parametrize(("name", "named"), [("exponential", {}), (SWA, {"start": 0.2, "every": 2})])
@pytest.mark.parametrize("stop", [0, 1, 7, 15, 16])
def test_a_resumed_training_has_the_same_average(name, named, stop):
    network = make_network()
    average = make_average(network, name, **named)
    train(network, 0, stop, average.update)
    state = copy.deepcopy(average.state_dict())
    numbers = {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
    again = copy.deepcopy(network)
    resumed = make_average(again, name, **named)
    tensors = {key: id(value) for key, value in resumed.averages.items()}
    resumed.load_state_dict({**state, **json.loads(json.dumps(numbers))})
    train(network, stop, 16, average.update)
    train(again, stop, 16, resumed.update)
    assert torch.equal(averaged(network, average), averaged(again, resumed))
    assert tensors == {key: id(value) for key, value in resumed.averages.items()}


def test_a_state_of_another_model_is_refused():
    state = make_average(make_network(), "exponential").state_dict()
    message = (
        r"^moving average of weight: it is missing, expected \(2, 2\); the checkpoint is of another model$"
    )
    with pytest.raises(CheckpointError, match=message):
        make_average(nn.Linear(2, 2), "exponential").load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("exponential", {"decay": 1}, r"decay: 1\.0; expected at least 0 and less than 1"),
        (
            "exponential",
            {"numerator": 11},
            r"numerator: 11\.0; expected at least 0 and at most the denominat",
        ),
        (SWA, {"start": 17}, "start: 17; expected at most 16, all steps of the training, or a share of them"),
        (SWA, {"start": -1}, "start: -1; expected a whole number of steps, or a share of all steps betwe"),
        (SWA, {"every": 0}, "every: 0; expected at least 1 step"),
    ],
)
def test_impossible_settings_are_refused(name, named, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.moving_average\.{message}"):
        make_average(make_network(), name, **named)
