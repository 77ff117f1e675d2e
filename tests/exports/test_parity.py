import math
import re

import numpy as np
import pytest
import torch

from bertx.errors import ExportError
from bertx.exports.parity import Parity, accuracy, compare, logits_of, require_parity

EXPECTED = torch.tensor([[1.0, 2.0], [3.0, 1.0], [0.0, 0.5], [2.0, 1.0]])


def test_the_largest_difference_and_the_share_of_equal_labels_are_found():
    found = EXPECTED + torch.tensor([[0.0, 0.25], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert compare(EXPECTED, found) == Parity(1.0, 0.75)


def test_logits_are_those_of_all_batches_in_order():
    batches = [{"input_ids": torch.tensor([[1], [2]])}, {"input_ids": torch.tensor([[3]])}]
    found = logits_of(lambda batch: batch["input_ids"] * 1.0, batches, "run")
    assert found.tolist() == [[1.0], [2.0], [3.0]]


def test_what_lies_within_the_tolerance_is_accepted():
    require_parity(Parity(0.5, 1.0), 0.5)
    require_parity(Parity(0.0, 1.0), 0.0)


@pytest.mark.parametrize(
    ("parity", "figures"),
    [
        (Parity(0.51, 1.0), "0.51 (accepted: 0.5), and 100.00% of the labels agree (accepted: 100%)"),
        (Parity(0.1, 0.995), "0.1 (accepted: 0.5), and 99.50% of the labels agree (accepted: 100%)"),
        (Parity(math.nan, 1.0), "nan (accepted: 0.5), and 100.00% of the labels agree (accepted: 100%)"),
    ],
)
def test_a_larger_difference_or_another_label_is_refused(parity, figures):
    message = (
        "the exported model does not compute what the run computes: the largest difference of logits is "
        f"{figures}; nothing was written. --tolerance accepts a larger difference"
    )
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        require_parity(parity, 0.5)


def test_another_number_of_labels_is_refused():
    message = "the exported model gives (4, 3) logits, the run (4, 2); nothing was written"
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        compare(EXPECTED, torch.zeros(4, 3))


def test_a_label_that_training_has_not_seen_is_never_right():
    assert accuracy(EXPECTED, np.array([1, 0, -100, 1])) == 0.5
