import pytest
import torch

from bertx.config.registrable import Runtime
from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer
from tests.training.optimizers.problem import largest_difference, make_optimizer, make_parameters, make_steps

TWO = {"default": {"type": "adam", "lr": 0.1}, "low": {"type": "sgd", "lr": 0.2, "momentum": 0.9}}
TO_LOW = [[["layers"], {"optimizer_name": "low"}]]


def make_multi(named=None, groups=TO_LOW, **optimizers):
    named = make_parameters() if named is None else named
    return make_optimizer(named, "multi", optimizers=optimizers or TWO, parameter_groups=groups)


def names_of(optimizer, named) -> list[list[str]]:
    names = {id(parameter): name for name, parameter in named}
    return [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]


def test_each_optimizer_makes_the_steps_it_makes_alone():
    named, low, high = make_parameters(), make_parameters(), make_parameters()
    adam = torch.optim.Adam([parameter for name, parameter in high if "layers" not in name], lr=0.1)
    sgd = torch.optim.SGD([p for name, p in low if "layers" in name], lr=0.2, momentum=0.9)
    make_steps(make_multi(named), named, range(20))
    make_steps(sgd, low, range(20))
    make_steps(adam, high, range(20))
    wanted = [a if "layers" in name else b for (name, a), (_, b) in zip(low, high, strict=True)]
    found = [parameter.detach().flatten() for _, parameter in named]
    assert largest_difference(found, [parameter.detach().flatten() for parameter in wanted]) <= 1e-6


def test_the_default_trains_what_no_group_gives_away():
    named = make_parameters()
    assert names_of(make_multi(named, [[["layers.0", "head"], {"optimizer_name": "low"}]]), named) == [
        [
            "bert.embeddings.word.weight",
            "bert.embeddings.norm.weight",
            "bert.layers.1.query.weight",
            "bert.layers.1.norm.bias",
        ],
        ["bert.layers.0.query.weight", "bert.layers.0.query.bias", "head.tensor", "head.bias"],
    ]


def test_groups_have_options_of_their_own_in_either_optimizer():
    groups = [
        [["layers.0"], {"optimizer_name": "low", "lr": 5.0, "momentum": 0.5}],
        [["layers.1"], {"optimizer_name": "low"}],
        [["head"], {"betas": [0.5, 0.6], "eps": 0.1}],
    ]
    found = make_multi(groups=groups).param_groups
    assert [group["lr"] for group in found] == [0.1, 0.1, 5.0, 0.2]
    assert [group["betas"] for group in found[:2]] == [(0.5, 0.6), (0.9, 0.999)]
    assert [group["momentum"] for group in found[2:]] == [0.5, 0.9]


def test_an_optimizer_keeps_its_own_groups_and_counts_the_layers_of_the_whole_model():
    low = {"type": "sgd", "lr": 1.0, "layer_decay": 0.5, "parameter_groups": [[["word"], {"lr": 10.0}]]}
    groups = [[["embeddings"], {"optimizer_name": "low"}]]
    optimizer = make_multi(None, groups, default="adam", low=low)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1.25, 0.125]


def test_a_parameter_with_options_from_both_sides_is_refused():
    low = {"type": "sgd", "lr": 1.0, "parameter_groups": [[["word"], {"lr": 10.0}]]}
    with pytest.raises(ConfigError, match=r"word\.weight is in groups 0 and 1 \(counted from 0\)"):
        make_multi(None, [[["embeddings"], {"optimizer_name": "low", "lr": 1.0}]], default="adam", low=low)


def test_the_groups_of_all_are_numbered_in_order():
    found = make_multi(groups=[*TO_LOW, [["head"], {"lr": 1.0}]]).param_groups
    assert [group["number"] for group in found] == [0, 1, 2]


def test_a_group_can_be_frozen():
    named = make_parameters()
    optimizer = make_multi(named, [*TO_LOW, [["embeddings"], {"requires_grad": False}]])
    assert names_of(optimizer, named)[0] == ["head.tensor", "head.bias"]
    frozen = [name for name, parameter in named if not parameter.requires_grad]
    assert frozen == ["bert.embeddings.word.weight", "bert.embeddings.norm.weight"]


def test_all_parameters_stay_trainable():
    named = make_parameters()
    make_multi(named)
    assert all(parameter.requires_grad for _, parameter in named)


def test_a_changed_rate_reaches_the_optimizer_also_after_a_load():
    named = make_parameters()
    optimizer = make_multi(named)
    make_steps(optimizer, named, [0])
    optimizer.load_state_dict(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before, after = make_steps(optimizer, named, [1]), make_steps(optimizer, named, [2])
    assert torch.equal(before[0], after[0])


def test_the_default_may_have_nothing_to_do():
    assert len(make_multi(groups=[[["."], {"optimizer_name": "low"}]]).param_groups) == 1


def test_a_closure_is_called_once_and_its_loss_returned():
    calls = []
    named = make_parameters()
    for _, parameter in named:
        parameter.grad = torch.ones_like(parameter)
    assert make_multi(named).step(lambda: calls.append(1) or 0.5) == 0.5
    assert calls == [1]


@pytest.mark.parametrize(
    ("optimizers", "groups", "message"),
    [
        ({"low": "adam"}, [], r'optimizers: has no "default" \(there are: low\); expected one, which trains'),
        (
            {"default": "adam"},
            TO_LOW,
            'parameter_groups: there is no optimizer called "low"; expected one of: d',
        ),
        (TWO, [], r'optimizers: "low" has no parameters to train; expected a pair in parameter_groups that'),
        (
            TWO,
            [[["layers"], {"optimizer_name": "low", "eps": 0.1}]],
            'parameter_groups: eps is unknown to "low"',
        ),
        ({"default": "lbfgs"}, [], r'optimizers: "default" is lbfgs, which only works alone'),
        (
            {"default": {"type": "multi", "optimizers": {"default": "adam"}}},
            [],
            r'optimizers: "default" is multi',
        ),
    ],
)
def test_impossible_combinations_are_refused(optimizers, groups, message):
    with pytest.raises(ConfigError, match=rf"^trainer\.optimizer\.{message}"):
        make_multi(None, groups, **optimizers)


def test_nothing_to_train_is_refused():
    with pytest.raises(ConfigError, match=r"^trainer\.optimizer: there is nothing to train"):
        make_multi(None, [[["."], {"requires_grad": False}]], default="adam")


def test_options_of_a_group_are_refused_for_an_optimizer_that_takes_no_groups(registries):
    @Optimizer.register("plain")
    def plain(named_parameters: Runtime[NamedParameters]) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for _, p in named_parameters if p.requires_grad], lr=0.1)

    assert len(make_multi(default="adam", low="plain").param_groups) == 2
    with pytest.raises(ConfigError, match=r'lr is unknown to "low", an optimizer of type plain'):
        make_multi(None, [[["layers"], {"optimizer_name": "low", "lr": 1.0}]], default="adam", low="plain")
