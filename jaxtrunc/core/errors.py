"""Errors a person reads: one sentence that names file, key, what was expected, what was found, what to do."""

import difflib
from collections.abc import Iterable


class JaxtruncError(Exception):
    """Any error with a message for the user; printed as one line `jaxtrunc: error: …`."""

    exit_code = 1


class InputError(JaxtruncError):
    """Wrong usage or input (exit code 2)."""

    exit_code = 2


class RunFailed(JaxtruncError):
    """The run itself failed: a NaN loss, a full disk, a gate that was crossed (exit code 1)."""

    exit_code = 1


class Interrupted(JaxtruncError):
    """Stopped half-way; `--resume` continues (exit code 3)."""

    exit_code = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'X'?"` for the nearest known word, or the list of known words if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"


def refuse_unknown_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise `InputError` for the first key in `given` that is not in `known`, naming the nearest known one."""
    known = set(known)
    for key in given:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(str(key), known)}")


def shown(value: object, most: int = 80) -> str:
    """How a message shows a value that was found: its `repr`, cut to `most` characters."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
