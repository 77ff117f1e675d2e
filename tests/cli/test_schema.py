import jsonschema
import pytest

from tests.commands import bertx
from tests.tiny import config


def test_the_schema_takes_a_good_config_and_refuses_a_slip():
    schema = bertx("schema").json
    jsonschema.validate(config(), schema)
    with pytest.raises(jsonschema.ValidationError, match="num_epocs"):
        jsonschema.validate(config(trainer__num_epocs=1), schema)


def test_the_schema_of_a_family_is_for_its_members():
    schema = bertx("schema", "Optimizer").json
    jsonschema.validate({"type": "adamw", "lr": 1e-3}, schema)
    with pytest.raises(jsonschema.ValidationError, match="lrr"):
        jsonschema.validate({"type": "adamw", "lrr": 1e-3}, schema)


def test_an_unknown_family_is_told():
    done = bertx("schema", "Optimiser")
    assert (done.status, done.out) == (2, "")
    assert 'did you mean "Optimizer"' in done.err.replace("'", '"')
