import re

import pytest
import torch

from bertx.errors import ConfigError
from tests.training.optimizers.problem import (
    SPARSE,
    largest_difference,
    make_optimizer,
    make_parameters,
    make_steps,
)

# What bertx calls it, its class in torch, and options of its groups.
CASES = [
    ("adadelta", "Adadelta", {}),
    ("adadelta", "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    ("adafactor", "Adafactor", {}),
    ("adafactor", "Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": [1e-20, 1e-2], "d": 2.0}),
    ("adagrad", "Adagrad", {}),
    ("adagrad", "Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-4}),
    ("adam", "Adam", {}),
    ("adam", "Adam", {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("adamax", "Adamax", {}),
    ("adamax", "Adamax", {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}),
    ("adamw", "AdamW", {}),
    ("adamw", "AdamW", {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("asgd", "ASGD", {}),
    ("averaged_sgd", "ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 5.0, "weight_decay": 0.1}),
    ("muon", "Muon", {}),
    ("muon", "Muon", {"lr": 0.1, "momentum": 0.8, "nesterov": False, "weight_decay": 0.2, "ns_steps": 3}),
    ("muon", "Muon", {"eps": 1e-5, "ns_coefficients": [3.0, -4.0, 2.0], "adjust_lr_fn": "match_rms_adamw"}),
    ("nadam", "NAdam", {}),
    ("nadam", "NAdam", {"lr": 0.1, "momentum_decay": 0.01, "weight_decay": 0.1}),
    ("nadam", "NAdam", {"betas": [0.8, 0.9], "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("radam", "RAdam", {}),
    ("radam", "RAdam", {"lr": 0.1, "betas": [0.8, 0.9], "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("rmsprop", "RMSprop", {}),
    ("rmsprop", "RMSprop", {"lr": 0.1, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("rprop", "Rprop", {}),
    ("rprop", "Rprop", {"lr": 0.1, "etas": [0.4, 1.3], "step_sizes": [1e-4, 2.0]}),
    ("sgd", "SGD", {"lr": 0.1}),
    ("sgd", "SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
    ("sgd", "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sparse_adam", "SparseAdam", {}),
    ("sparseadam", "SparseAdam", {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3}),
]
WITHOUT_DECAY = {"muon", "rprop", *SPARSE}  # these have no option for biases


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "torch_name", "settings"), CASES)
def test_steps_and_groups_equal_those_of_torch(name, torch_name, settings, seed):
    ours, theirs = (make_parameters(seed, matrices_only=name == "muon") for _ in range(2))
    low = {"lr": 0.02} | ({} if name in {"rprop", *SPARSE} else {"weight_decay": 0.3})
    everywhere = {} if name in WITHOUT_DECAY else {"decay_biases_and_norms": True}
    optimizer = make_optimizer(ours, name, **settings, **everywhere, parameter_groups=[[["layers.0"], low]])
    low_ones = [p for key, p in theirs if "layers.0" in key]
    others = [p for key, p in theirs if "layers.0" not in key]
    groups = [{"params": low_ones, **low}, {"params": others}]
    reference = getattr(torch.optim, torch_name)(groups, **settings)
    found = make_steps(optimizer, ours, range(20), is_sparse=name in SPARSE)
    wanted = make_steps(reference, theirs, range(20), is_sparse=name in SPARSE)
    assert largest_difference(found, wanted) <= 1e-6


@pytest.mark.parametrize(
    "settings", [{}, {"line_search_fn": "strong_wolfe", "history_size": 3}, {"lr": 0.1, "max_iter": 4}]
)
def test_lbfgs_equals_that_of_torch(settings):
    ours, theirs = make_parameters(), make_parameters()
    reference = torch.optim.LBFGS([parameter for _, parameter in theirs], **settings)
    found = make_steps(make_optimizer(ours, "lbfgs", **settings), ours, range(20))
    assert largest_difference(found, make_steps(reference, theirs, range(20))) <= 1e-6


def test_every_class_of_torch_has_a_name():
    classes = {name for name in torch.optim.__all__ if isinstance(getattr(torch.optim, name), type)}
    assert classes - {"Optimizer"} == {torch_name for _, torch_name, _ in CASES} | {"LBFGS"}


def test_adam_adamw_and_sgd_are_fused():
    made = [make_optimizer(make_parameters(), name, lr=0.1) for name in ("adam", "adamw", "sgd")]
    assert [optimizer.defaults["fused"] for optimizer in made] == [True, True, True]


def test_where_nothing_can_be_fused_torch_chooses():
    named = [("weight", torch.nn.Parameter(torch.empty(2, 2, device="meta")))]
    assert make_optimizer(named, "adam").defaults["fused"] is None


def test_muon_names_what_is_no_matrix_and_tells_of_multi():
    message = (
        "trainer.optimizer: muon trains matrices only, and bert.embeddings.norm.weight has the shape (5,); "
        'use "multi", which gives the others to another optimizer\nwhile building muon'
    )
    named = [("a", torch.nn.Parameter(torch.ones(2, 2)))]
    named += [("bert.embeddings.norm.weight", torch.nn.Parameter(torch.ones(5)))]
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_optimizer(named, "muon")


def test_an_old_torch_without_muon_is_named(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(
        ConfigError, match=r"^trainer\.optimizer: torch .* has no Muon; install 2\.9 or newer"
    ):
        make_optimizer(make_parameters(matrices_only=True), "muon")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("adamw", {"lr": -1.0}, "Invalid learning rate: -1.0"),
        ("adam", {"betas": [0.9, 1.0]}, r"Invalid beta parameter at index 1: 1.0"),
        ("sgd", {"lr": 0.1, "nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ("adagrad", {"lr_decay": -0.1}, "Invalid lr_decay value: -0.1"),
        ("rprop", {"etas": [1.5, 1.2]}, r"Invalid eta values: 1.5, 1.2"),
        ("sparse_adam", {"lr": 0}, "Invalid learning rate: 0.0"),
    ],
)
def test_what_torch_refuses_is_a_mistake_in_the_config(name, settings, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.optimizer: {message}\nwhile building {name}$"):
        make_optimizer(make_parameters(), name, **settings)


def test_defaults_are_those_of_allennlp():
    adamw, adam = (make_optimizer(make_parameters(), name).defaults for name in ("adamw", "adam"))
    assert [adamw[key] for key in ("lr", "weight_decay", "betas", "eps")] == [1e-3, 0.01, (0.9, 0.999), 1e-8]
    assert (adam["lr"], adam["weight_decay"], adam["amsgrad"]) == (1e-3, 0.0, False)
