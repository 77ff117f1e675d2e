import pytest
import torch

from bertx.config.construct import filled, plan
from bertx.training.optimizers.optimizer import Optimizer
from tests.training.optimizers.problem import (
    OPTIMIZERS,
    SPARSE,
    make_optimizer,
    make_parameters,
    make_steps,
    through_files,
)

# Settings with which an optimizer has more state than with its defaults.
FURTHER = [
    ("adam", {"amsgrad": True}),
    ("huggingface_adafactor", {"beta1": 0.9, "weight_decay": 0.1}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "history_size": 3}),
    ("mem_eff_adam", {"amsgrad": True, "layer_decay": 0.9}),
    (
        "multi",
        {
            "optimizers": {"default": "huggingface_adafactor", "a": "muon", "b": {"type": "sgd", "lr": 0.1}},
            "parameter_groups": [
                [["layers.*weight"], {"optimizer_name": "a"}],
                [["bias"], {"optimizer_name": "b", "momentum": 0.9}],
            ],
        },
    ),
    ("rmsprop", {"momentum": 0.5, "centered": True}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
]


def check_resume(name, settings, dtype=torch.float32):
    """Stops after 10 of 20 steps, stores the state, goes on with new objects: the same to the last bit."""
    options = {"matrices_only": name == "muon", "dtype": dtype}
    whole, first, second = (make_parameters(**options) for _ in range(3))
    is_sparse = name in SPARSE
    straight = make_steps(make_optimizer(whole, name, **settings), whole, range(20), is_sparse=is_sparse)
    optimizer = make_optimizer(first, name, **settings)
    make_steps(optimizer, first, range(10), is_sparse=is_sparse)
    for (_, old), (_, new) in zip(first, second, strict=True):
        new.data.copy_(old.data)
    resumed = make_optimizer(second, name, **settings)
    resumed.load_state_dict(through_files(optimizer.state_dict()))
    found = make_steps(resumed, second, range(10, 20), is_sparse=is_sparse)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, straight[10:], strict=True))


@pytest.mark.parametrize("name", sorted(Optimizer.registry))
def test_a_stored_state_goes_on_as_if_there_had_been_no_stop(name):
    assert name in OPTIMIZERS, f"add a row for {name!r}"
    check_resume(name, OPTIMIZERS[name])


@pytest.mark.parametrize(("name", "settings"), FURTHER)
def test_a_stored_state_goes_on_with_further_options(name, settings):
    check_resume(name, settings)


@pytest.mark.parametrize(
    "name",
    [name for name in sorted(Optimizer.registry) if isinstance(Optimizer.registry[name], type)],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_state_of_half_precision_weights_is_not_rounded(name, dtype):
    settings = {"optimizers": {"default": "mem_eff_adam"}} if name == "multi" else OPTIMIZERS[name]
    check_resume(name, settings, dtype)


@pytest.mark.parametrize("name", ["mem_eff_adam", "multi"])
def test_a_state_of_other_groups_is_refused(name):
    optimizer = make_optimizer(make_parameters(), name, **OPTIMIZERS[name])
    state = make_optimizer(make_parameters(), "adam", layer_decay=0.9).state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(state)


def test_a_plan_with_all_defaults_is_the_same_plan():
    row = {"type": "multi", "optimizers": {"default": "qhadam"}, "parameter_groups": [[["a"], {"lr": 1.0}]]}
    assert filled(plan(Optimizer, filled(plan(Optimizer, row)))) == filled(plan(Optimizer, row))
