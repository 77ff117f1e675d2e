import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertx.training.checkpoints.states import num_bytes, pack, unpack

KEYS = st.text(alphabet="ab.01~", max_size=4) | st.integers(-2, 12)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.integers(0, 2**40).map(lambda number: torch.tensor([number, -1]))
)
STATES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def there_and_back(state):
    tensors = {}
    packed = json.loads(json.dumps(pack(state, "state", tensors)))
    return unpack(packed, tensors)


def comparable(state):
    """The same state with tensors as their words, types told apart."""
    if isinstance(state, torch.Tensor):
        return ("tensor", str(state.dtype), state.tolist())
    if isinstance(state, (list, tuple)):
        return (type(state).__name__, [comparable(item) for item in state])
    if isinstance(state, dict):
        return ("dict", [(type(key).__name__, key, comparable(value)) for key, value in state.items()])
    return (type(state).__name__, state)


@given(STATES)
def test_every_state_comes_back_as_it_was(state):
    assert comparable(there_and_back(state)) == comparable(state)


def test_numbers_that_are_not_finite_survive():
    found = there_and_back({"worst": math.inf, "none": -math.inf, "nan": math.nan})
    assert (found["worst"], found["none"], math.isnan(found["nan"])) == (math.inf, -math.inf, True)


def test_a_state_that_looks_like_packed_tensors_is_not_mistaken():
    state = {"tensor": "state.x", "tuple": [1], "dict": [["a", 1]]}
    assert there_and_back(state) == state


def test_tensors_whose_places_have_one_name_are_kept_apart():
    state = {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}, 1: torch.tensor(3), "1": torch.tensor(4)}
    found = there_and_back(state)
    assert (found["a.b"], found["a"]["b"], found[1], found["1"]) == (1, 2, 3, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.bool])
def test_the_bits_of_tensors_survive(dtype):
    tensor = torch.arange(6).reshape(2, 3).t().to(dtype)  # not contiguous
    assert torch.equal(there_and_back([tensor])[0], tensor)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"rng": {"key": object()}}, r"^state\.rng\.key: a object cannot be kept in a checkpoint$"),
        ([{1.5: 1}], r"^state\.0: the key 1\.5 cannot be kept in a checkpoint$"),
    ],
)
def test_what_cannot_be_kept_is_refused_when_it_is_saved(state, message):
    with pytest.raises(TypeError, match=message):
        pack(state, "state", {})


@pytest.mark.parametrize("packed", [{"what": 1}, {"dict": [[None, 1]]}, {"tensor": 1}])
def test_json_that_is_no_packed_state_is_refused(packed):
    with pytest.raises(ValueError, match=r"^no (packed state|key and value): "):
        unpack(packed, {})


def test_a_missing_tensor_is_refused():
    with pytest.raises(KeyError, match=r"state\.x"):
        unpack({"tensor": "state.x"}, {})


def test_bytes_are_counted_by_type():
    tensors = {"a": torch.zeros(3, dtype=torch.bfloat16), "b": torch.zeros(2, 2, dtype=torch.float64)}
    assert num_bytes(tensors) == 38
