"""Versions against the ranges of pyproject.toml, the environment, and the directory the program stands in."""

import importlib.metadata
import os
import platform
import secrets
import shutil
from pathlib import Path

import jax
from packaging.requirements import Requirement

from jaxtrunc.core import processes
from jaxtrunc.recipes.checks.finding import Finding, Findings

LITTLE_DISK = 2**30
SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64",
            "JAX_DEFAULT_MATMUL_PRECISION", "HF_HOME", "HF_HUB_OFFLINE")


def versions() -> Findings:
    """Every package that pyproject.toml asks for, with the range that is supported."""
    needed = [Requirement(line) for line in importlib.metadata.requires("jaxtrunc") or []]
    return [Finding("jaxtrunc", importlib.metadata.version("jaxtrunc")), Finding("python", platform.python_version()),
            *(_version(need) for need in needed if need.marker is None)]


def _version(need: Requirement) -> Finding:
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(need.name, "missing", f"Run: pip install '{need}'.", wrong=True)
    if need.specifier.contains(version, prereleases=True):
        return Finding(need.name, version)
    return Finding(need.name, f"{version}, outside the supported {need.specifier}",
                   f"It may work, but was not tested; to go back to what was: pip install '{need}'.")


def settings() -> Findings:
    """Environment variables that change speed or results."""
    return [Finding(name, os.environ[name], _setting(name, os.environ[name])) for name in SETTINGS if name in os.environ]


def _setting(name: str, value: str) -> str:
    if name.endswith("NUM_THREADS") and value != "1":
        return f"Threads of BLAS fight those of the decomposition, up to ten times slower: unset {name} or set it to 1."
    if name == "JAX_ENABLE_X64" and value.lower() not in ("0", "false"):
        return "Unset it: jaxtrunc takes float64 where it is needed, and float64 elsewhere costs memory and speed."
    return ""


def directory() -> Findings:
    """Whether the current directory takes a file, renames it, has space, and is the same one for every process."""
    here = Path.cwd()
    remedy = "Start in a directory that you may write to; on a mounted bucket check the rights of the mount."
    try:
        write_and_rename(here)
    except OSError as error:
        return [Finding("current directory", f"{here}: {error.strerror or error}", remedy, wrong=True)]
    free = shutil.disk_usage(here).free
    little = "That is little: a run writes the model once and its decomposition, about four bytes a parameter each." \
        if free < LITTLE_DISK else ""
    return [Finding("current directory", f"{here}: written, renamed and read back"),
            Finding("disk", f"{free / 2**30:.1f} GiB free", little), *_shared(here)]


def write_and_rename(folder: Path) -> None:
    """What a run does with every artefact, on a small scale; `OSError` if the folder does not allow it."""
    staged, final = (folder / f".jaxtrunc-doctor-{secrets.token_hex(4)}{end}" for end in (".staged", ""))
    try:
        with staged.open("wb") as file:
            file.write(b"jaxtrunc")
            file.flush()
            os.fsync(file.fileno())
        staged.rename(final)
        if final.read_bytes() != b"jaxtrunc":
            raise OSError("what was read back is not what was written")
    finally:
        staged.unlink(missing_ok=True)
        final.unlink(missing_ok=True)


def _shared(here: Path) -> Findings:
    """Several processes: whether a file that process 0 makes here is seen by this one."""
    if jax.process_count() == 1:
        return []
    sign = here / f".jaxtrunc-doctor-{processes.collect(secrets.token_hex(4))[0]}"
    if processes.is_main():
        sign.touch()
    processes.wait_for_all("doctor: a file is there")
    seen = sign.exists()
    processes.wait_for_all("doctor: all have looked")
    if processes.is_main():
        sign.unlink()
    if all(processes.collect(seen)):
        return [Finding("shared directory", "every process sees what process 0 writes here")]
    return [Finding("shared directory", f"{here} is not the same for all processes",
                    "Give --out-path on a file system that all hosts share: NFS, Lustre, a mounted bucket.")]
