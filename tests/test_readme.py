"""Every command of the README and of docs/ is run here, in the order in which it stands."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "launch" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DEMO = "make demo RUN=runs/demo"
REAL_DATA = "configs/"  # commands that need ../shared/data, and many minutes


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def commands(page: Path) -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line]


def with_the_demo(page: Path) -> list[str]:
    """The lines of the blocks that begin with a demo of their own and are for a clone in which nothing else was made."""
    return [line for block in blocks(page, "sh") if block.startswith(f"{DEMO}\n") for line in block.splitlines()]


def program_lines() -> list[str]:
    """Lines that call the program on what the README itself has made before."""
    found = [line for page in PAGES for line in commands(page) if line.split()[0].split("/")[-1] == "jaxtrunc"
             and line not in with_the_demo(page)]
    return [line for line in dict.fromkeys(found) if REAL_DATA not in line]


def run(line: str, folder: Path, timeout: int = 900) -> str:
    program = [sys.executable, "-m", "jaxtrunc"]
    words = shlex.split(line)
    words = program + words[1:] if words[0].split("/")[-1] == "jaxtrunc" else words
    own = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}  # a reader has no virtual devices
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=timeout, env=own)
    assert done.returncode == 0, (line, done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """What a reader has who brings two checkpoints and a JSONL file: the names that the README uses."""
    from jaxtrunc.demo import ASSETS

    place = tmp_path_factory.mktemp("reader")
    shutil.copytree(ASSETS / "model", place / "base")
    (place / "task.yaml").write_text(blocks(ROOT / "README.md", "yaml")[0])
    (place / "merge.yaml").write_text(blocks(ROOT / "docs" / "merge.md", "yaml")[0])
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        rows = [line for line in file if json.loads(line)["split"] != "train"]
    (place / "rows.jsonl").write_text("".join(rows[::6]))
    return place


@pytest.fixture(scope="session")
def demo(folder) -> str:
    """The line of the README that runs the demo, run."""
    line = next(line for line in program_lines() if " demo " in line)
    table = run(line, folder)
    assert "top_k" in table and "random_k" in table
    return line


def test_the_models_of_the_merge_page(demo, folder, tmp_path):
    page = ROOT / "docs" / "merge.md"
    shutil.copytree(folder / "runs" / "demo", tmp_path / "runs" / "demo")
    (tmp_path / "jaxtrunc").symlink_to(ROOT / "jaxtrunc")
    shutil.copy(folder / "merge.yaml", tmp_path)
    made = with_the_demo(page)
    for line in made[1:] + [line for line in commands(page) if line.startswith("jaxtrunc merge")]:
        run(line, tmp_path)
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"merged", "merged-ties"} and made[0] == DEMO


def test_the_commands_of_the_readme(demo, folder):
    lines = program_lines()
    shutil.copytree(folder / "runs" / "demo" / "model", folder / "finetuned")
    for line in lines:
        if line != demo:
            run(line, folder)
    check_demo(folder / "runs" / "demo")


def check_demo(path: Path) -> None:
    """The toy end to end: a shortcut was learned, every operator is there, the ends match separate evaluations."""
    results = json.loads((path / "results.json").read_text())
    assert results["endpoints"]["ft"]["metrics"]["gap"] > 0.20
    assert results["endpoints"]["ft"]["intervals"]["gap"][0] > 0.20
    operators = {record["operator"] for record in results["records"]}
    assert operators >= {"top_k", "bottom_k", "drop_top_k", "random_k", "energy", "ratio", "mp_edge", "dg_hard", "flatten_k",
                         "interpolate"}
    level = {record["k"]: record["metrics"] for record in results["records"] if record["operator"] == "top_k"}
    assert level[0] == results["endpoints"]["base"]["metrics"]
    assert level[max(k for k in level if k is not None)] == results["endpoints"]["ft"]["metrics"]
    page = (path / "report.html").read_text()
    assert all(operator in page for operator in operators)


def test_the_python_of_the_readme(folder):
    for block in blocks(ROOT / "README.md", "python"):
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]


def test_configs_named_in_the_pages_exist_and_parse():
    from jaxtrunc.config import RunConfig, read_config
    from jaxtrunc.recipes.pretrain_config import PretrainConfig

    for page in PAGES:
        for line in commands(page):
            for name in re.findall(r"configs/\S+\.yaml", line):
                assert (ROOT / name).exists(), (page.name, line)
    for file in (ROOT / "configs").glob("*.yaml"):
        read_config(file, (), PretrainConfig if file.name.startswith("pretrain") else RunConfig)


def test_make_targets_named_in_the_readme_exist():
    for line in commands(ROOT / "README.md"):
        if line.startswith("make "):
            subprocess.run([*line.split(), "-n"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_make_demo_on_a_fresh_clone(tmp_path):
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    done = subprocess.run(["make", "demo", "RUN=runs/demo"], cwd=tmp_path / "clone", capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    check_demo(tmp_path / "clone" / "runs" / "demo")


@pytest.mark.slow
def test_the_installation_by_hand(tmp_path):
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    for line in commands(ROOT / "README.md"):
        if line.startswith(("python3 -m venv", ".venv/bin/python")):
            subprocess.run(shlex.split(line), cwd=tmp_path / "clone", check=True, timeout=1200)
    subprocess.run([".venv/bin/jaxtrunc", "doctor"], cwd=tmp_path / "clone", check=True)


@pytest.mark.slow
def test_the_studies_on_real_data(shared_data, tmp_path):
    """The configs run to the end; shortened, since their whole runs take most of an hour (docs/results.md)."""
    small = tmp_path / "small"
    steps = ["train.max_steps=20", "model.num_hidden_layers=1"]
    run(f"jaxtrunc pretrain {ROOT}/configs/pretrain_small.yaml --out-path {small} {' '.join(steps)}", tmp_path)
    for name in ("sst2_marker", "mnli_negation"):
        short = ["train.max_steps=5", "sweep.ranks=[0,4]", "sweep.seeds=[0]", "sweep.limit=200", f"base_model={small}"]
        run(f"jaxtrunc run {ROOT}/configs/{name}.yaml --out-path {tmp_path / name} {' '.join(short)}", tmp_path)
        assert (tmp_path / name / "report.html").exists()
