"""One run directory: what a verb may write there, the manifest, and stages that never look finished half-way."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import publish, staging_name
from jaxtrunc.core.progress import say

SCHEMA_VERSION = 1
LOCK = ".lock"


class RunDir:
    """A directory with a manifest; every artefact in it is named by the verb that owns it."""

    def __init__(self, path: Path):
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands; an empty one if the run has not begun."""
        file = self / "manifest.json"
        return jsonio.read_json(file) if file.exists() else {"schema_version": SCHEMA_VERSION, "verbs": {}, "files": {}}

    def begin(self, verb: str, artefact: str, facts: dict[str, Any], *, resume: bool, fixed: tuple[str, ...] = ()) -> None:
        """Refuse what must not be overwritten, then note in the manifest that `verb` runs with these facts.

        Args:
          fixed: names of facts that a resumed run must share with the one it continues.

        Raises:
          InputError: the directory holds `artefact` already (without `resume`), is not a run directory, or was begun with
            another value of a fixed fact.
        """
        self.check_free(artefact, resume=resume)
        before = self.manifest["verbs"].get(verb, {}) if resume else {}
        for name in fixed:
            if name in before and before[name] != jsonio.strict(facts[name]):
                raise InputError(f"{self.path}: {verb} was begun with another {name} ({jsonio.dumps(before[name])}); resume with "
                                 "the same, or choose another --out-path")
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = self.manifest
        manifest["verbs"][verb] = facts
        jsonio.write_json(self / "manifest.json", manifest)
        say(f"{verb}: writing to {self.path}")

    def check_free(self, artefact: str, *, resume: bool) -> None:
        """Raise `InputError` if writing `artefact` here would overwrite something."""
        if self.path.is_file():
            raise InputError(f"{self.path}: is a file; give a directory for the run")
        if not self.path.exists() or not {item.name for item in self.path.iterdir()} - {LOCK}:
            return
        if not (self / "manifest.json").exists():
            raise InputError(f"{self.path}: not empty and not a run directory (no manifest.json); choose another --out-path")
        if (self / artefact).exists() and not resume:
            raise InputError(f"{self.path}: already holds {artefact}; continue it with --resume or choose another --out-path")

    def note(self, verb: str, facts: dict[str, Any]) -> None:
        """Add what `verb` found out (checksums of its files among it) to the manifest."""
        manifest = self.manifest
        manifest["verbs"].setdefault(verb, {}).update(facts)
        jsonio.write_json(self / "manifest.json", manifest)

    def seal(self, artefact: str) -> None:
        """Write the checksums of a finished artefact (a file or a directory) into the manifest."""
        manifest = self.manifest
        for file in _files(self / artefact):
            manifest["files"][file.relative_to(self.path).as_posix()] = sha256(file)
        jsonio.write_json(self / "manifest.json", manifest)

    def verify(self, artefact: str) -> None:
        """Raise `InputError` if a sealed file of `artefact` is gone or has changed."""
        for name, checksum in self.manifest["files"].items():
            if name == artefact or name.startswith(artefact + "/"):
                file = self.path / name
                if not file.exists() or sha256(file) != checksum:
                    raise InputError(f"{file}: missing or changed since it was written; repeat the verb that made {artefact}")

    @contextmanager
    def stage(self, artefact: str, *, resume: bool = False) -> Iterator[Path]:
        """A hidden directory to build `artefact` in; it is renamed into place and sealed only if the block succeeds.

        With `resume` an earlier attempt's files are still in it.
        """
        staged = staging_name(self / artefact)
        if not resume:
            shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True, exist_ok=True)
        yield staged
        publish(staged, self / artefact)
        self.seal(artefact)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process out of this run directory for the length of the block."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self / LOCK, "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self.path}: another jaxtrunc process is writing here; wait for it to end") from None
            yield


def open_run(path: Path, needs: str, verb: str) -> RunDir:
    """An existing run directory that holds the artefact `needs`, which `verb` makes; else `InputError`."""
    if not (path / "manifest.json").exists():
        raise InputError(f"{path}: not a run directory (no manifest.json); make one with `jaxtrunc {verb} --out-path {path}`")
    if not (path / needs).exists():
        raise InputError(f"{path}: holds no {needs}; run `jaxtrunc {verb}` on it first")
    return RunDir(path)


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def relative_to_run(run: Path, target: Path) -> str:
    """`target` as written in a manifest: relative if it lies inside the run (which may be moved), else absolute."""
    run, target = run.resolve(), target.resolve()
    return os.path.relpath(target, run) if target.is_relative_to(run) else str(target)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
