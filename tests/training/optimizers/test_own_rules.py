import math

import pytest
import torch
import transformers

from bertx.errors import ConfigError
from tests.training.optimizers.problem import (
    drawn,
    largest_difference,
    make_optimizer,
    make_parameters,
    make_steps,
)

BOUND = 1e-9  # in float64; in float32 the order of sums alone makes 1e-6
GROUP = {"lr": 0.02, "weight_decay": 0.3}
EVERYWHERE = {"decay_biases_and_norms": True}


def pair_of_groups(named, low):
    """The groups of torch for `parameter_groups=[[["layers.0"], low]]`."""
    inside = [parameter for name, parameter in named if "layers.0" in name]
    return [{"params": inside, **low}, {"params": [p for name, p in named if "layers.0" not in name]}]


def difference(name, settings, reference, low=GROUP, seed=0, is_sparse=False):
    """How far an optimizer is from a reference class of torch's kind in 20 steps."""
    ours, theirs = (make_parameters(seed, dtype=torch.float64) for _ in range(2))
    optimizer = make_optimizer(ours, name, **settings, parameter_groups=[[["layers.0"], low]])
    found = make_steps(optimizer, ours, range(20), is_sparse=is_sparse)
    made = reference(pair_of_groups(theirs, low))
    return largest_difference(found, make_steps(made, theirs, range(20), is_sparse=is_sparse))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1, "beta1": 0.9, "warmup_init": True},
        {"weight_decay": 0.1, "scale_parameter": False, "clip_threshold": 0.5, "decay_rate": -0.5},
        {"weight_decay": 0.1, "eps": [1e-20, 0.5]},
    ],
)
def test_huggingface_adafactor_with_relative_steps_equals_transformers(settings, seed):
    found = difference(
        "huggingface_adafactor",
        settings | EVERYWHERE,
        lambda groups: transformers.optimization.Adafactor(groups, **settings),
        low={"weight_decay": 0.3},
        seed=seed,
    )
    assert found <= BOUND


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "settings", [{"scale_parameter": False}, {"weight_decay": 0.1, "beta1": 0.5, "clip_threshold": 0.5}]
)
def test_huggingface_adafactor_with_a_rate_equals_transformers(settings, seed):
    settings = settings | {"lr": 0.1, "relative_step": False}
    found = difference(
        "huggingface_adafactor",
        settings | EVERYWHERE,
        lambda groups: transformers.optimization.Adafactor(groups, **settings),
        seed=seed,
    )
    assert found <= BOUND


def test_a_schedule_scales_the_relative_step_of_huggingface_adafactor():
    named = [("weight", torch.nn.Parameter(torch.ones(2)))]
    optimizer = make_optimizer(named, "huggingface_adafactor", scale_parameter=False)
    optimizer.param_groups[0]["lr"] *= 0.5
    named[0][1].grad = torch.ones(2)
    optimizer.step()
    assert named[0][1].tolist() == pytest.approx([1 - 0.5 * 1e-2] * 2)


class LiteralAdamW(torch.optim.Optimizer):
    """transformers' AdamW, line by line as the formula has it, in float64."""

    def __init__(self, groups, lr, betas, eps, weight_decay, correct_bias):
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(groups, {"lr": lr, "correct_bias": correct_bias, **options})

    @torch.no_grad()
    def step(self, closure):
        for group in self.param_groups:
            (beta1, beta2), lr = group["betas"], group["lr"]
            for parameter in group["params"]:
                m, v, t = self.state[parameter].get("all", (0.0, 0.0, 0))
                gradient, weights, t = parameter.grad.double(), parameter.double(), t + 1
                m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2
                self.state[parameter]["all"] = (m, v, t)
                size = lr * (math.sqrt(1 - beta2**t) / (1 - beta1**t) if group["correct_bias"] else 1.0)
                weights = weights - size * m / (v.sqrt() + group["eps"])
                parameter.copy_(weights - lr * group["weight_decay"] * weights)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("correct_bias", [True, False])
def test_huggingface_adamw_equals_its_formula(correct_bias, seed):
    settings = {"lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}
    settings |= {"correct_bias": correct_bias}
    found = difference(
        "huggingface_adamw", settings | EVERYWHERE, lambda groups: LiteralAdamW(groups, **settings), seed=seed
    )
    assert found <= BOUND


def test_huggingface_adamw_equals_adamw_of_torch_without_eps_and_decay():
    settings = {"lr": 0.01, "eps": 0.0, "weight_decay": 0.0}
    low = {"lr": 0.02}
    found = difference(
        "huggingface_adamw", settings, lambda groups: torch.optim.AdamW(groups, **settings), low=low
    )
    assert found <= BOUND


def test_huggingface_adamw_has_the_defaults_of_allennlp():
    found = make_optimizer(make_parameters(), "huggingface_adamw").defaults
    wanted = {"lr": 1e-5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "correct_bias": True}
    assert found == wanted


@pytest.mark.parametrize("amsgrad", [False, True])
def test_memory_efficient_adam_equals_adamw_of_torch_without_eps(amsgrad):
    settings = {"lr": 0.01, "eps": 0.0, "weight_decay": 0.1, "amsgrad": amsgrad}
    found = difference(
        "mem_eff_adam", settings | EVERYWHERE, lambda groups: torch.optim.AdamW(groups, **settings)
    )
    assert found <= BOUND


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_memory_efficient_adam_computes_in_float32_and_rounds_once(dtype):
    half, full = make_parameters(dtype=dtype), make_parameters()
    optimizer = make_optimizer(half, "mem_eff_adam", lr=0.01, eps=0.0)
    reference = torch.optim.AdamW([p for _, p in full], lr=0.01, eps=0.0, weight_decay=0.0)
    for step in range(20):
        for (_, low), (_, high) in zip(half, full, strict=True):
            high.data.copy_(low.data)
            low.grad = drawn(*low.shape, seed=step, dtype=dtype)
            high.grad = low.grad.float()
        optimizer.step()
        reference.step()
        assert all(torch.equal(low, high.to(dtype)) for (_, low), (_, high) in zip(half, full, strict=True))
    assert {value.dtype for state in optimizer.state.values() for value in state.values()} == {torch.float32}


def test_adam_with_decay_equals_parlai():
    # The numbers are those of ParlAI's own class; the second gradient is clipped to the norm 1.
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = make_optimizer([("weight", parameter)], "adam_with_decay", lr=0.1, **EVERYWHERE)
    found = []
    for gradient in ([0.3, -0.4, 0.0], [3.0, 4.0, 0.0]):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        found.append(parameter.tolist())
    assert found[0] == pytest.approx([0.682806, -1.681797, 0.4995], abs=1e-6)
    assert found[1] == pytest.approx([0.271979, -1.835689, 0.499001], abs=1e-6)
    assert parameter.grad.tolist() == [3.0, 4.0, 0.0]


def test_adam_with_decay_without_clipping_is_uncorrected_huggingface_adamw():
    ours, theirs = (make_parameters(dtype=torch.float64) for _ in range(2))
    settings = {"lr": 0.01, "eps": 1e-3, "weight_decay": 0.0}
    optimizer = make_optimizer(ours, "adam_with_decay", max_grad_norm=None, **settings)
    reference = make_optimizer(theirs, "huggingface_adamw", correct_bias=False, **settings)
    found = make_steps(optimizer, ours, range(20))
    assert largest_difference(found, make_steps(reference, theirs, range(20))) <= BOUND


def test_dense_sparse_adam_equals_sparse_adam_of_torch_on_sparse_gradients():
    settings = {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3}
    found = difference(
        "dense_sparse_adam",
        settings,
        lambda groups: torch.optim.SparseAdam(groups, **settings),
        low={"lr": 0.02},
        is_sparse=True,
    )
    assert found <= BOUND


def test_dense_sparse_adam_equals_adam_of_torch_on_dense_gradients_without_eps():
    settings = {"lr": 0.1, "betas": [0.8, 0.9], "eps": 0.0}
    found = difference(
        "dense_sparse_adam", settings, lambda groups: torch.optim.Adam(groups, **settings), low={"lr": 0.02}
    )
    assert found <= BOUND


def after_gradients(name, gradients, **settings):
    """Where a weight of 1 is after each of some gradients."""
    parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = make_optimizer([("weight", parameter)], name, **settings)
    found = []
    for gradient in gradients:
        parameter.grad = torch.full((1,), gradient, dtype=torch.float64)
        optimizer.step()
        found.append(parameter.item())
    return found


def test_qhm_by_hand():
    # Averages 0.1 and 0.29; steps 0.3 + 0.7 * 0.1 and 0.3 * 2 + 0.7 * 0.29.
    found = after_gradients("qhm", [1.0, 2.0], lr=0.1, momentum=0.9, nu=0.7)
    assert found == pytest.approx([1 - 0.037, 1 - 0.037 - 0.0803], abs=1e-12)


def test_qhadam_by_hand():
    # Second step: corrected averages 0.29 / 0.19 and 0.0499 / 0.0199, mixed 0.7 to 0.3 and half and half.
    found = after_gradients("qhadam", [1.0, 2.0], lr=0.1, betas=[0.9, 0.99], nus=[0.7, 0.5], eps=0.0)
    assert found == pytest.approx([0.9, 0.807506265852293], abs=1e-12)


def test_qhm_with_nu_0_is_sgd():
    settings = {"lr": 0.1, "weight_decay": 0.1}
    found = difference("qhm", settings | {"nu": 0.0} | EVERYWHERE, lambda g: torch.optim.SGD(g, **settings))
    assert found <= BOUND


def test_qhm_with_nu_1_is_sgd_with_momentum_at_a_rate_ten_times_as_high():
    low = {"lr": 0.02}
    ours, theirs = (make_parameters(dtype=torch.float64) for _ in range(2))
    settings = {"momentum": 0.9, "nu": 1.0, "parameter_groups": [[["layers.0"], low]]}
    found = make_steps(make_optimizer(ours, "qhm", lr=0.1, **settings), ours, range(20))
    groups = pair_of_groups(theirs, {"lr": 0.002})
    reference = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    assert largest_difference(found, make_steps(reference, theirs, range(20))) <= BOUND


def test_qhadam_with_nus_1_is_adam():
    settings = {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}
    found = difference(
        "qhadam",
        settings | {"nus": [1.0, 1.0]} | EVERYWHERE,
        lambda groups: torch.optim.Adam(groups, **settings),
    )
    assert found <= BOUND


def test_qhadam_with_nus_0_steps_by_the_sign():
    found = after_gradients("qhadam", [3.0, -0.1, 5.0], lr=0.1, nus=[0.0, 0.0], eps=0.0)
    assert found == pytest.approx([0.9, 1.0, 0.9], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("huggingface_adamw", {"lr": -1.0}, r"lr: -1\.0; expected at least 0"),
        ("mem_eff_adam", {"eps": -1e-8}, r"eps: -1e-08; expected at least 0"),
        (
            "adam_with_decay",
            {"lr": 0.1, "betas": [1.0, 0.9]},
            r"betas: 1\.0; expected at least 0 and less than 1",
        ),
        ("qhm", {"lr": 0.1, "momentum": 1.0}, r"momentum: 1\.0; expected at least 0 and less than 1"),
        ("qhm", {"lr": 0.1, "nu": 7}, r"nu: 7\.0; expected 0 to 1"),
        ("qhadam", {"nus": [0.5, -1.0]}, r"nus: -1\.0; expected 0 to 1"),
        ("dense_sparse_adam", {"betas": [-0.5, 0.9]}, r"betas: -0\.5; expected at least 0 and less than 1"),
        ("huggingface_adafactor", {"beta1": 1.5}, r"beta1: 1\.5; expected at least 0 and less than 1"),
        ("huggingface_adafactor", {"weight_decay": -0.1}, r"weight_decay: -0\.1; expected at least 0"),
        (
            "huggingface_adafactor",
            {"lr": 0.1},
            r"lr: 0\.1; expected null, since relative_step finds the rate",
        ),
        (
            "huggingface_adafactor",
            {"parameter_groups": [[["head"], {"lr": 0.2}]]},
            r"lr: 0\.2; expected null, since relative_step finds the rate",
        ),
        (
            "huggingface_adafactor",
            {"relative_step": False},
            "lr: null; expected a rate, since relative_step is",
        ),
        (
            "huggingface_adafactor",
            {"lr": 0.1, "relative_step": False, "warmup_init": True},
            "warmup_init: true; expected false, since relative_step is false",
        ),
    ],
)
def test_impossible_options_are_refused(name, settings, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.optimizer\.{message}"):
        make_optimizer(make_parameters(), name, **settings)
