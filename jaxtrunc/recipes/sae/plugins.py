"""Functions of the user's own, named as module:function: a judge of answers, an explainer of features."""

import pkgutil
from collections.abc import Callable
from typing import Any

from jaxtrunc.core.errors import InputError


def resolve(named: str | None, key: str) -> Callable[..., Any] | None:
    """The function of that name, None for no name; `InputError` names `key` if there is none."""
    if named is None:
        return None
    try:
        found = pkgutil.resolve_name(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{key}: '{named}' cannot be imported ({error}); expected module:function") from None
    if not callable(found):
        raise InputError(f"{key}: '{named}' is no function; expected module:function")
    return found
