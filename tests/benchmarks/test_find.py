"""A task by path, by the name of a built-in benchmark, or by the name of one that an installed package brings."""

from pathlib import Path

import pytest
from toy_install import TOY, install

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import find_task, load_task, read_task
from jaxtrunc.data.find import BUILT_IN

ROOT = Path(__file__).parents[2]


def test_a_path_as_typed_and_a_path_in_a_config(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    text = (TOY / "toy_benchmarks" / "toy_file.yaml").read_text()
    (tmp_path / "tasks" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    typed = find_task(Path("tasks/mine.yaml"), Path("tasks"))
    assert typed.directory == Path("tasks") and typed.origin == "tasks/mine.yaml"
    assert find_task("mine.yaml", tmp_path / "tasks").directory == tmp_path / "tasks"
    with pytest.raises(InputError, match=r"nowhere.yaml: no such file"):
        find_task(Path("tasks/nowhere.yaml"), Path("tasks"))


def test_a_file_comes_before_a_built_in_benchmark(tmp_path):
    assert find_task("hans", tmp_path).name == "hans" and find_task("hans", tmp_path).directory == tmp_path
    (tmp_path / "hans").write_text((TOY / "toy_benchmarks" / "toy_file.yaml").read_text())
    assert find_task("hans", tmp_path).name == "toy_file"


@pytest.mark.parametrize("ref, near", [(Path("civil_coments"), "civil_comments"), ("mnli_negatoin", "mnli_negation"),
                                       ("toy_color", "toy_colours")])
def test_an_unknown_name_gets_the_nearest(tmp_path, installed_toy, ref, near):
    with pytest.raises(InputError, match=f"there is no file .*built-in benchmark or plug-in.*did you mean '{near}'") as caught:
        find_task(ref, tmp_path)
    assert caught.value.exit_code == 2


def test_a_package_brings_mappings_functions_and_files(tmp_path, installed_toy):
    for name, size in (("toy_colours", 40), ("toy_shapes", 40), ("toy_file", 8)):
        data = load_task(find_task(name, tmp_path))
        assert data.task.name == name and len(data.examples["test"]) == size
        assert data.aligned == {"red": (-1, 1)}
    first = load_task(find_task("toy_colours", tmp_path)).examples["train"][2]
    assert (first.id, first.fields, first.attributes) == ("train-2", {"Text": "red thing 2"}, {"red": 1})


def test_python_code_only_from_an_entry_point(tmp_path, installed_toy):
    """The same mapping, in a file or a config, is refused: whoever hands on a YAML file hands on no code."""
    import toy_benchmarks

    (tmp_path / "stranger.yaml").write_text("source: {python: 'toy_benchmarks:rows'}\n" + "".join(
        f"{key}: {value!r}\n" for key, value in toy_benchmarks.COLOURS.items() if key != "source"))
    for ref in (Path(tmp_path / "stranger.yaml"), toy_benchmarks.COLOURS):
        with pytest.raises(InputError, match="names Python code, which only the entry point of an installed plug-in"):
            find_task(ref, tmp_path)
    with pytest.raises(InputError, match="names Python code"):
        read_task(toy_benchmarks.COLOURS)


def test_injected_token_needs_no_data_and_its_copy_names_no_code(tmp_path):
    """Generated rows, balanced, the same each time; what comes with jaxtrunc may name its code, a copy of the file may not."""
    data = load_task(find_task("injected_token", tmp_path))
    assert {split: len(rows) for split, rows in data.examples.items()} == {"train": 3000, "validation": 800, "test": 2000}
    for split, least, most in (("train", 0.85, 0.95), ("validation", 0.85, 0.95), ("test", 0.45, 0.55)):
        rows = data.examples[split]
        assert sum(row.label for row in rows) == len(rows) // 2
        assert least < sum(row.label == row.attributes["marker"] for row in rows) / len(rows) < most
    assert load_task(find_task("injected_token", tmp_path)).hash == data.hash and not data.warnings
    copy = tmp_path / "copy.yaml"
    copy.write_text((BUILT_IN / "injected_token.yaml").read_text())
    with pytest.raises(InputError, match="names Python code"):
        find_task(copy, tmp_path)


@pytest.mark.parametrize("value, words", [
    ("toy_benchmarks:NOTHING", ["NOTHING", "AttributeError"]),
    ("toy_absent:TASK", ["toy_absent", "ModuleNotFoundError"]),
    ("toy_benchmarks:broken", ["broken", "KeyError"]),
    ("toy_benchmarks:NUMBER", ["NUMBER", "mapping", "int"]),
    ("toy_benchmarks:WRONG", ["toy-benchmarks", "atributes", "did you mean 'attributes'"]),
])  # fmt: skip
def test_a_plug_in_that_fails_is_named(tmp_path, installed_toy, value, words):
    with open(installed_toy / "toy_benchmarks" / "__init__.py", "a") as file:
        file.write("\nNUMBER = 3\nWRONG = COLOURS | {'atributes': []}\n\ndef broken():\n    return {}['x']\n")
    (installed_toy / "toy_benchmarks-0.1.dist-info" / "entry_points.txt").write_text(f"[jaxtrunc.benchmarks]\ntoy_bad = {value}\n")
    with pytest.raises(InputError) as caught:
        find_task("toy_bad", tmp_path)
    assert all(word in str(caught.value) for word in ["toy_bad", *words]), caught.value


@pytest.mark.parametrize("body, words", [
    ("raise OSError('no disk')", ["toy_benchmarks:rows [train]", "OSError", "no disk"]),
    ("return [1]", ["toy_benchmarks:rows [train], row 0", "mapping", "int"]),
    ("return [{'id': 1, 'text': 'a', 'label': 7, 'red': 0}]", ["row 0", "label 7"]),
])  # fmt: skip
def test_rows_of_a_plug_in_that_fail_are_named(tmp_path, installed_toy, body, words):
    with open(installed_toy / "toy_benchmarks" / "__init__.py", "a") as file:
        file.write(f"\ndef rows(split):\n    {body}\n")
    with pytest.raises(InputError) as caught:
        load_task(find_task("toy_colours", tmp_path))
    assert all(word in str(caught.value) for word in words), caught.value


def test_two_packages_with_one_name(tmp_path, installed_toy):
    other = tmp_path / "other"
    (other / "toy_two").mkdir(parents=True)
    (other / "toy_two" / "__init__.py").write_text("FILE = 'toy.yaml'\n")
    (other / "pyproject.toml").write_text('[project]\nname = "toy-two"\nversion = "1"\n'
                                          '[project.entry-points."jaxtrunc.benchmarks"]\ntoy_file = "toy_two:FILE"\n')
    install(other, installed_toy)
    with pytest.raises(InputError, match=r"task 'toy_file': several plug-ins bring it") as caught:
        find_task("toy_file", tmp_path)
    assert "toy-two" in str(caught.value) and "toy-benchmarks" in str(caught.value)


def test_the_wheel_holds_the_built_in_benchmarks():
    import tomllib

    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "data/benchmarks/*.yaml" in about["tool"]["setuptools"]["package-data"]["jaxtrunc"]


def test_a_name_in_a_config(tmp_path, capsys):
    from jaxtrunc.cli import main
    from jaxtrunc.demo import ASSETS

    (tmp_path / "config.yaml").write_text(f"{{name: x, base_model: {ASSETS / 'model'}, task: civil_comments}}\n")
    main(["plan", str(tmp_path / "config.yaml")])
    (tmp_path / "config.yaml").write_text(f"{{name: x, base_model: {ASSETS / 'model'}, task: civil_coments}}\n")
    with pytest.raises(SystemExit) as stop:
        main(["plan", str(tmp_path / "config.yaml")])
    assert stop.value.code == 2 and "did you mean 'civil_comments'?" in capsys.readouterr().err
