"""On what a figure was measured: kind of machine, versions, date, commit; no name or path of the machine."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jaxtrunc
from jaxtrunc.core import environment

PEERS = ("torch", "mergekit", "peft")
TOLD = ("jaxtrunc", "jax", "numpy", "scipy", "transformers")


def describe() -> dict[str, Any]:
    """What stands beside every table."""
    facts = environment.describe()
    versions = {name: facts["versions"][name] for name in TOLD} | {name: installed(name) for name in PEERS}
    return {"date": str(datetime.date.today()), "cores": os.cpu_count(), "processor": processor(), "commit": facts["git_commit"],
            "changed": changed(), "versions": versions | {"python": platform.python_version()}}


def installed(name: str) -> str | None:
    """Version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def changed() -> bool:
    """Whether the package differs from the commit."""
    asked = ["git", "status", "--porcelain", "--", str(Path(jaxtrunc.__file__).parent)]
    done = subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())


def processor() -> str:
    """Maker's name of the processor, and whether it has AVX-512 and bfloat16 products."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    able = [name for flag, name in (("avx512f", "AVX-512"), ("avx512_bf16", "AVX-512 bf16")) if flag in flags]
    return ", ".join([fields.get("model name", platform.machine()), *able])


def in_words(facts: dict[str, Any]) -> str:
    """One line of it."""
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in facts["versions"].items())
    commit = f", commit {facts['commit'][:7]}{' with changes' * facts['changed']}" if facts["commit"] else ""
    return f"{facts['date']}{commit}; {facts['cores']} cores of {facts['processor']}; {versions}"
