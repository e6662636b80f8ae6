"""One run directory: what a verb may write there, the manifest, and stages that never look finished half-way.

Several processes share the directory: process 0 writes, the others wait until it has.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from jaxtrunc.core import jsonio
from jaxtrunc.core.cluster import HOST
from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.core.files import naming, publish, refuse_below_file, staging_name
from jaxtrunc.core.lock import LOCK, one_writer
from jaxtrunc.core.processes import is_main, wait_for_all
from jaxtrunc.core.progress import say

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SHARED_WITHIN = 60.0  # seconds that a network file system may take to show a new file to another host


class RunDir:
    """A directory with a manifest; every artefact in it is named by the verb that owns it."""

    def __init__(self, path: Path):
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands; an empty one if the run has not begun."""
        file = self / MANIFEST
        if not file.exists():
            return {"schema_version": SCHEMA_VERSION, "verbs": {}, "files": {}}
        return _checked(file, jsonio.read_json(file))

    def begin(self, verb: str, artefact: str, facts: dict[str, Any], *, resume: bool, fixed: tuple[str, ...] = ()) -> None:
        """Refuse what must not be overwritten, then note in the manifest that `verb` runs with these facts.

        Args:
          fixed: names of facts that a resumed run must share with the one it continues.

        Raises:
          InputError: the directory holds `artefact` already (without `resume`), is not a run directory, or was begun with
            another value of a fixed fact.
        """
        if is_main():
            self.check_free(artefact, resume=resume)
            self._write_facts(verb, facts, resume, fixed)
            say(f"{verb}: writing to {self.path}")
        wait_for_all(f"{verb} begins")
        self._must_be_shared()

    def _write_facts(self, verb: str, facts: dict[str, Any], resume: bool, fixed: tuple[str, ...]) -> None:
        manifest = self.manifest
        before = manifest["verbs"].get(verb, {}) if resume else {}
        for name in fixed:
            if name in before and before[name] != jsonio.strict(facts[name]):
                raise InputError(f"{self.path}: {verb} was begun with another {name} ({_difference(before[name], facts[name])}); "
                                 "resume with the same, or choose another --out-path")
        self.path.mkdir(parents=True, exist_ok=True)
        manifest["verbs"][verb] = facts
        jsonio.write_json(self / MANIFEST, manifest)

    def _must_be_shared(self) -> None:
        """Raise `InputError` if this process does not see what process 0 has written."""
        end = time.monotonic() + SHARED_WITHIN
        while not (self / MANIFEST).exists():
            if time.monotonic() > end:
                raise InputError(f"{self.path}: {HOST} does not see the {MANIFEST} that process 0 has written there; with several "
                                 "hosts --out-path must lie on storage that all of them share")
            time.sleep(0.2)

    def check_free(self, artefact: str, *, resume: bool) -> None:
        """Raise `InputError` if writing `artefact` here would overwrite something."""
        if not is_main():
            return  # process 0 may have begun to write already
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file, device or broken link; give a directory for the run")
        refuse_below_file(self.path)
        if not self.path.exists() or not {item.name for item in self.path.iterdir()} - {LOCK}:
            return
        if not (self / MANIFEST).exists():
            raise InputError(f"{self.path}: not empty and not a run directory (no manifest.json); choose another --out-path")
        if (self / artefact).exists() and not resume:
            raise InputError(f"{self.path}: already holds {artefact}; continue it with --resume or choose another --out-path")

    def note(self, verb: str, facts: dict[str, Any]) -> None:
        """Add what `verb` found out to the manifest."""
        if is_main():
            manifest = self.manifest
            manifest["verbs"].setdefault(verb, {}).update(facts)
            jsonio.write_json(self / MANIFEST, manifest)

    def seal(self, artefact: str) -> None:
        """Write the checksums of a finished artefact (a file or a directory) into the manifest."""
        if is_main():
            self._write_checksums(artefact)
        wait_for_all(f"{artefact} is sealed")

    def _write_checksums(self, artefact: str) -> None:
        manifest = self.manifest
        manifest["files"] = {name: known for name, known in manifest["files"].items() if not _belongs(name, artefact)}
        for file in _files(self / artefact):
            manifest["files"][file.relative_to(self.path).as_posix()] = sha256(file)
        jsonio.write_json(self / MANIFEST, manifest)

    def verify(self, artefact: str, verb: str) -> None:
        """Raise `InputError` if a sealed file of `artefact`, which `verb` makes, is gone or has changed."""
        if is_main() and (damaged := self._damaged(artefact)):
            raise InputError(f"{damaged[0]}: missing or changed since it was written; `jaxtrunc {verb}` with --resume makes "
                             f"{artefact} again")

    def is_finished(self, artefact: str) -> bool:
        """Whether `artefact` is there and whole; a damaged one is named and goes back to its stage.

        There a verb may find the sound parts of it.
        """
        if is_main() and (self / artefact).exists():
            if not any(_belongs(name, artefact) for name in self.manifest["files"]):
                self._write_checksums(artefact)  # killed between the renaming and the checksums
            elif damaged := self._damaged(artefact):
                say(f"{artefact} is made again, for it is missing or changed: {', '.join(map(str, damaged))}")
                shutil.rmtree(staging_name(self / artefact), ignore_errors=True)
                os.replace(self / artefact, staging_name(self / artefact))
        wait_for_all(f"is {artefact} finished")
        return (self / artefact).exists()

    def _damaged(self, artefact: str) -> list[Path]:
        """The sealed files of `artefact` that are gone or have changed."""
        return [self.path / name for name, known in self.manifest["files"].items()
                if _belongs(name, artefact) and not _is_sound(self.path / name, known)]

    @contextmanager
    def stage(self, artefact: str, *, resume: bool = False) -> Iterator[Path]:
        """A hidden directory to build `artefact` in; it is renamed into place and sealed only if the block succeeds.

        With `resume` an earlier attempt's files are still in it.
        """
        staged = staging_name(self / artefact)
        if is_main():
            if not resume:
                shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(parents=True, exist_ok=True)
        wait_for_all(f"stage of {artefact}")
        yield staged
        wait_for_all(f"{artefact} is whole")
        if is_main():
            publish(staged, self / artefact)
        self.seal(artefact)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other programs out of this run directory for the length of the block."""
        with naming(self.path), one_writer(self.path) if is_main() else nullcontext():
            yield


def open_run(path: Path, needs: str, verb: str) -> RunDir:
    """An existing run directory that holds the artefact `needs`, which `verb` makes; else `InputError`."""
    if not (path / MANIFEST).exists():
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


def _belongs(name: str, artefact: str) -> bool:
    """Whether the file `name` of a manifest is `artefact`, or lies in it."""
    return name == artefact or name.startswith(artefact + "/")


def _is_sound(file: Path, checksum: str) -> bool:
    return file.is_file() and sha256(file) == checksum


def _checked(file: Path, manifest: Any) -> dict[str, Any]:
    """The manifest if it is one, and all files it names lie in the run."""
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{file}: expected an object of schema_version {SCHEMA_VERSION}; this is no run of this version")
    verbs, files = manifest.get("verbs"), manifest.get("files")
    if not isinstance(verbs, dict) or not all(isinstance(facts, dict) for facts in verbs.values()):
        raise InputError(f"{file}: expected an object 'verbs' of objects; it is damaged")
    if not isinstance(files, dict) or not all(isinstance(known, str) for known in files.values()):
        raise InputError(f"{file}: expected an object 'files' from names to checksums; it is damaged")
    for name in files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{file}: names the file {shown(name)}, which lies outside the run")
    return manifest


def _difference(before: Any, now: Any) -> str:
    """What was said then; of a mapping, what differs."""
    now = jsonio.strict(now)
    if isinstance(before, dict) and isinstance(now, dict):
        return ", ".join(f"{key} was {jsonio.dumps(before.get(key))}, is {jsonio.dumps(now.get(key))}"
                         for key in {**before, **now} if before.get(key) != now.get(key))
    return jsonio.dumps(before)
