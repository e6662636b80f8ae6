"""Functions of the user's own, by name."""

import sys
import types

import pytest

from jaxtrunc.core.errors import InputError, RunFailed
from jaxtrunc.recipes.sae.plugins import resolve


@pytest.fixture
def mine(monkeypatch):
    """A module of the user's."""
    module = types.ModuleType("mine")
    vars(module).update(double=lambda x, *, twice=2: twice * x, broken=lambda x: [][x], number=3)
    monkeypatch.setitem(sys.modules, "mine", module)


def test_a_function_is_called_as_it_is(mine):
    found = resolve("mine:double", "answers.judge")
    assert found is not None and found(4, twice=3) == 12 and resolve(None, "answers.judge") is None


@pytest.mark.parametrize("named", ["mine:number", "mine:absent", "absent:f", "3"])
def test_what_is_no_function_is_refused(mine, named):
    with pytest.raises(InputError, match=f"answers.judge: '{named}'"):
        resolve(named, "answers.judge")


def test_what_it_raises_is_not_taken_for_a_defect(mine):
    found = resolve("mine:broken", "features.explainer")
    with pytest.raises(RunFailed, match=r"features\.explainer: 'mine:broken' raised IndexError: list index out of range"):
        assert found is not None and found(7)
