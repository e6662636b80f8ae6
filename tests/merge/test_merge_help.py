"""`jaxtrunc merge --help` names methods, choices and defaults, and wrong choices are answered with the right ones."""

import pytest

from jaxtrunc.cli import main
from jaxtrunc.merge import ALIASES, METHODS
from jaxtrunc.models.write import DTYPES
from jaxtrunc.recipes.merge_config import CHOICES


@pytest.fixture
def said(capsys, monkeypatch) -> str:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        main(["merge", "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_every_method_and_choice_is_named(said):
    options = said.split("--method NAME")[1]
    assert all(name in options.split("--base-model")[0] for name in (*METHODS, *ALIASES))
    assert all("|".join(choices) in options for choices in (*CHOICES.values(), DTYPES))


def test_defaults_are_those_of_a_user(said):
    assert "None" not in said and "(default: )" not in said and "[FILE]" in said
    assert "Multiplies the merged task vector. (default: 1)" in said


@pytest.mark.parametrize(("flag", "words"), [("--sigma", "keep or flat or ones"), ("--scope", "tensor or global"),
                                             ("--dtype", ", ".join(DTYPES))])
def test_a_wrong_choice(flag, words, models, merged, tmp_path):
    code, answer = merged("--method", "ties", "--base-model", models[0], "--models", models[1], flag, "x", "--out-path",
                          tmp_path / "out")
    assert code == 2 and words in answer and "found 'x'" in answer and "None" not in answer
    assert answer.count("\n") == 1 and not (tmp_path / "out").exists()
