"""Which matrices are cut: leaf classes, regular expressions on names, and a smallest size."""

import re
from collections.abc import Callable, Iterable, Sequence

from jaxtrunc.core.errors import InputError
from jaxtrunc.spectral.view import MatrixRef, is_stacked_vector

SMALLEST = 1024
"""Matrices with fewer elements count as vectors."""


def shape_class(path: str, shape: tuple[int, ...]) -> str:
    """Leaf class by path ending and shape, for trees that no model family describes."""
    last = path.rsplit("/", 1)[-1]
    if is_stacked_vector(path, shape):
        return "vector"
    if "lm_head" in path:
        return "lm_head"
    if "embed" in path:
        return "embedding"
    return "linear" if last in ("kernel", "weight") else "other"


def select(refs: Sequence[MatrixRef], classes: Callable[[str], str], include: Iterable[str] = (),
           exclude: Iterable[str] = ()) -> list[MatrixRef]:
    """The references whose name matches any `include` (default: class `linear`) and no `exclude`.

    Args:
      classes: leaf class by path; linear, embedding, lm_head, vector or other.
      include, exclude: regular expressions, `re.search`ed in the name.

    Raises:
      InputError: an expression is malformed, an `include` matches nothing, or nothing is left.
    """
    wanted, unwanted = _compile("-i", include), _compile("-e", exclude)
    matrices = [ref for ref in refs if ref.shape[0] * ref.shape[1] >= SMALLEST and classes(ref.path) != "vector"]
    for pattern in wanted:
        if not any(pattern.search(ref.name) for ref in matrices):
            raise InputError(f"-i {pattern.pattern}: matches no matrix of at least {SMALLEST} elements; "
                             f"names look like {_sample(matrices)}")
    chosen = [ref for ref in matrices
              if _taken(ref, classes, wanted) and not any(pattern.search(ref.name) for pattern in unwanted)]
    if not chosen:
        raise InputError(f"no matrix is left to cut: expected at least one linear kernel of {SMALLEST} elements that no -e "
                         f"matches; names look like {_sample(matrices)}")
    return chosen


def _taken(ref: MatrixRef, classes: Callable[[str], str], wanted: list[re.Pattern[str]]) -> bool:
    if wanted:
        return any(pattern.search(ref.name) for pattern in wanted)
    return classes(ref.path) == "linear"


def _compile(flag: str, patterns: Iterable[str]) -> list[re.Pattern[str]]:
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise InputError(f"{flag} {pattern}: not a regular expression ({error})") from None
    return compiled


def _sample(refs: Sequence[MatrixRef]) -> str:
    return refs[len(refs) // 2].name if refs else "none"
