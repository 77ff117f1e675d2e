import numpy as np

from bertx.data.padded_lengths import padded_lengths

RUNGS = [0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256]


def test_every_length_goes_up_to_the_next_rung():
    lengths = np.arange(257)
    found = padded_lengths(lengths)
    assert sorted(set(found.tolist())) == RUNGS
    assert all(rung == min(r for r in RUNGS if r >= length) for length, rung in enumerate(found.tolist()))


def test_few_rungs_cost_little():
    lengths = np.arange(9, 100_000)
    found = padded_lengths(lengths)
    assert ((found >= lengths) & (found < lengths * 1.25)).all()
    assert len(set(found.tolist())) < 60
