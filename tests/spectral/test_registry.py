"""One registry: what it holds is what the help lists and what the comparison knows as controls."""

import re

from jaxtrunc.evals.curves import CONTROLS
from jaxtrunc.spectral import OPERATORS
from jaxtrunc.verbs import Sweep


def test_the_help_of_sweep_lists_every_operator():
    (listed,) = re.findall(r"Operators: ([\w, ]+)\.", Sweep.__doc__ or "")
    assert sorted(listed.split(", ")) == sorted(OPERATORS)


def test_every_control_of_the_comparison_is_an_operator_or_trained():
    assert set(CONTROLS) - set(OPERATORS) == {"lora"}
    assert {name for name, operator in OPERATORS.items() if operator.matchable} < set(CONTROLS)
