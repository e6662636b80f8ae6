"""Trained classes that are taken together at evaluation, such as neutral and contradiction to non-entailment."""

from dataclasses import dataclass

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.keys import Keys

RULES = ("sum", "argmax")


@dataclass(frozen=True)
class Merge:
    """The classes of every evaluated split.

    Attributes:
      classes: name → the trained classes in it.
      rule: how the model decides. "sum": the probabilities of a class's members are added and the largest sum wins;
        "argmax": the trained class of highest score wins, and counts as the class it is in.
    """

    classes: dict[str, tuple[str, ...]]
    rule: str = "sum"

    def index(self, trained: str) -> int:
        """Position of the class that the trained class is in."""
        return next(i for i, members in enumerate(self.classes.values()) if trained in members)


def read_merge(keys: Keys, classes: tuple[str, ...]) -> Merge | None:
    """The key `merge` of a task file, or None; every trained class must stand in exactly one merged class."""
    if keys.raw("merge", None) is None:
        return None
    part = Keys(keys.raw("merge"), f"{keys.where}, merge", ("classes", "rule"))
    given = part.mapping("classes")
    members = Keys(given, f"{part.where}, classes", given)
    merged = {name: members.names(name) for name in given}
    if len(merged) < 2 or sorted(sum(merged.values(), ())) != sorted(classes) or not all(merged.values()):
        raise part.fail("classes", f"at least two lists that hold each of {', '.join(classes)} once")
    for name, inside in merged.items():
        if name in classes and name not in inside:
            raise InputError(f"{members.where}: '{name}' is also a trained class, and stands in another list; rename it")
    return Merge(merged, part.choice("rule", RULES, "sum"))
