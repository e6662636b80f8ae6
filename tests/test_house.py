"""The rules of the house: imports go one way, no circles, short functions, one idea per file, clean linters."""

import ast
import graphlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxtrunc"
# What each room may import besides itself. `config` is a file beside the rooms.
MAY_IMPORT = {
    "core": set(),
    "models": {"core"},
    "data": {"core"},
    "spectral": {"core"},
    "lens": {"core"},
    "sae": {"core"},
    "merge": {"core", "spectral"},
    "steer": {"core", "spectral"},
    "train": {"core", "models", "data", "sae"},
    "evals": {"core", "models", "data"},
    "adapters": {"core", "models"},
    "report": {"core"},
    "demo": {"core", "models", "data"},
    "planning": {"core", "models", "spectral", "train"},
    "config": {"core", "train"},
    "recipes": {"core", "models", "data", "spectral", "lens", "sae", "merge", "steer", "train", "evals", "adapters", "report",
                "demo", "planning", "config"},
    "verbs": {"core", "config", "recipes"},
    "cli": {"core", "verbs"},
    "__main__": {"cli"},
    "__init__": set(),
}
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(file.relative_to(PACKAGE)) for file in FILES]


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file) for file in FILES}


def imported_modules(file: Path, top_level_only: bool) -> set[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES or {node.module}  # `from room import file` needs the file, not what the room exports
    return {name for name in found if name and name.split(".")[0] == "jaxtrunc"}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_imports_go_one_way(file):
    room = room_of(module_of(file))
    for module in imported_modules(file, top_level_only=False):
        other = room_of(module)
        assert other in MAY_IMPORT[room] | {room, "__init__"}, f"{room} imports {module}"


def test_no_import_circles():
    known = {module_of(file): file for file in FILES}
    graph = {name: {m for m in imported_modules(file, top_level_only=True) if m in known and m != name}
             for name, file in known.items()}
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_functions_and_files_are_short(file):
    text = file.read_text()
    assert text.count("\n") <= 400, "more than one idea?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is over 60 lines"


def test_the_command_line_imports_no_array_library():
    code = "import sys, jaxtrunc.cli, jaxtrunc.config; print([m for m in ('jax', 'numpy', 'flax') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_ruff_is_clean():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_pyright_is_clean():
    tool = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("pyright is not installed (extra `test`)")
    done = subprocess.run([tool, "--pythonpath", sys.executable], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_names_of_test_modules_are_unique():
    """Modules in folders without __init__.py share one namespace: of two with one name pytest collects only the first."""
    files = (ROOT / "tests").rglob("*.py")
    names = [file.name for file in files if file.name != "conftest.py" and not (file.parent / "__init__.py").exists()]
    assert sorted(names) == sorted(set(names))
