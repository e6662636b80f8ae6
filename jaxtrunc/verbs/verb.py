"""What every verb has, and what several take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from jaxtrunc.core.errors import InputError

Include = Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-i"], metavar="REGEX")]
Exclude = Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-e"], metavar="REGEX")]
Overrides = Annotated[Positional[tuple[str, ...]], arg(metavar="section.key=value")]


@dataclass(kw_only=True)
class Verb:
    """What every verb understands."""

    together: ClassVar[bool] = True  # several processes work on it together; else each runs it for itself
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """No progress on standard error."""
    verbose: Annotated[bool, arg(aliases=["-v"])] = False
    """Also the log messages of the libraries underneath."""
    debug: bool = False
    """Show the traceback of an error."""

    def run(self) -> None:
        """Call the recipe."""
        raise NotImplementedError


@dataclass(kw_only=True)
class FromConfig(Verb):
    """A verb that does what one config file says."""

    config: Positional[Path]
    """YAML file; docs/config.md lists its keys (sae run: docs/sae.md, steer: docs/steer.md)."""
    overrides: Overrides = ()
    """Values that replace those of the file, such as train.learning_rate=1e-4; quote those with brackets."""
    out_path: Path | None = None
    """Directory to write; default: the config's out_path, else runs/NAME."""
    resume: bool = False
    """Continue where an interruption stopped it: nothing that is there is computed again."""


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(flag: str, text: str, kind: type) -> tuple:
    """Numbers between commas; `InputError` names the flag if one is none."""
    try:
        return tuple(kind(word) for word in words(text))
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{flag}: expected {wanted} separated by commas, found '{text}'") from None
