import re

import pytest

from bertx.errors import ConfigError
from bertx.models.parameter_names import listed, name_pattern


def test_an_expression_is_searched_for_anywhere():
    assert name_pattern(r"layers\.1\.", "x").search("bert.layers.1.attention.key.bias")
    assert not name_pattern(r"layers\.1\.", "x").search("bert.layers.11.attention.key.bias")


def test_a_broken_expression_names_its_place():
    message = (
        'initializer.regexes: "weight(" is no regular expression (missing ), unterminated subpattern at '
        "position 6); escape special characters with \\"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        name_pattern("weight(", "initializer.regexes")


def test_ten_names_are_listed_and_further_ones_counted():
    assert listed("abcdefghij") == "a, b, c, d, e, f, g, h, i, j"
    assert listed("abcdefghijkl") == "a, b, c, d, e, f, g, h, i, j and 2 more"
