"""A package put where Python finds it, with the metadata that an installer makes of its pyproject.toml."""

import importlib
import shutil
import tomllib
from pathlib import Path

TOY = Path(__file__).parent / "toy_plugin"


def install(project: Path, place: Path) -> Path:
    """What `pip install --target` leaves of a plain package: its files and a .dist-info folder."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    for package in project.glob("*/__init__.py"):
        shutil.copytree(package.parent, place / package.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    facts = place / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = about["entry-points"].items()
    (facts / "entry_points.txt").write_text("".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups))
    importlib.invalidate_caches()
    return place
