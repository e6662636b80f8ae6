"""Functions of the user's own, named as module:function: a judge of answers, an explainer of features."""

import functools
import pkgutil
from collections.abc import Callable
from typing import Any

from jaxtrunc.core.errors import InputError, RunFailed


def resolve(named: str | None, key: str) -> Callable[..., Any] | None:
    """The function of that name, None for no name; `InputError` names `key` if there is none.

    What it raises becomes a `RunFailed` that names it.
    """
    if named is None:
        return None
    try:
        found = pkgutil.resolve_name(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{key}: '{named}' cannot be imported ({error}); expected module:function") from None
    if not callable(found):
        raise InputError(f"{key}: '{named}' is no function; expected module:function")

    @functools.wraps(found)
    def guarded(*given: Any, **further: Any) -> Any:
        try:
            return found(*given, **further)
        except Exception as error:
            raise RunFailed(f"{key}: '{named}' raised {type(error).__name__}: {error}") from error

    return guarded
