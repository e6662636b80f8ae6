"""The rules of a task file applied to one row: its class, and attributes that are no plain columns."""

import string
from collections.abc import Mapping
from typing import Any

from jaxtrunc.core.errors import shown
from jaxtrunc.data.rules import AnyOf, Fixed, LabelRule, Overlap, Rule, Threshold, ValueMap, WordList
from jaxtrunc.data.values import BadRow, binary_of, number_of, value_of, whole_number


def class_name(rule: LabelRule, values: Mapping[str, Any], classes: tuple[str, ...], named: tuple[str, ...]) -> str:
    """The class of a row.

    Args:
      classes: those that an index in the column counts.
      named: every name that may stand there.
    """
    if rule.at_least is not None:
        return classes[int(number_of(values, rule.column) >= rule.at_least)]
    value = value_of(values, rule.column)
    if rule.values:
        if str(value) not in rule.values:
            raise BadRow(f"the label {shown(value)} in column '{rule.column}' is none of {', '.join(rule.values)}")
        return rule.values[str(value)]
    if str(value) in named:
        return str(value)
    index = whole_number(value)
    if index is None or not 0 <= index < len(classes):
        raise BadRow(f"the label {shown(value)} in column '{rule.column}' is none of the classes {', '.join(named)} "
                     f"nor an index from 0 to {len(classes) - 1}")
    return classes[index]


def attributes_of(names: list[str], rules: Mapping[str, Rule], values: Mapping[str, Any],
                  texts: Mapping[str, str]) -> dict[str, int | None]:
    """Attributes of one row, None where one is missing.

    Args:
      names: the attributes wanted; one without a rule is a column of 0 and 1.
      values: column → value as the source gave it; texts: text column of the task → text.
    """
    plain = {name: rule for name in names if not isinstance(rule := rules.get(name), AnyOf)}
    found = {name: binary_of(values, name) if rule is None else _apply(rule, values, texts) for name, rule in plain.items()}
    for name in names:
        rule = rules.get(name)
        if isinstance(rule, AnyOf):
            found[name] = _any([found[member] for member in rule.any_of])
    return {name: found[name] for name in names}


def _apply(rule: Rule, values: Mapping[str, Any], texts: Mapping[str, str]) -> int | None:
    match rule:
        case WordList():
            return has_word(rule, texts[rule.field])
        case Overlap():
            first, second = (words_of(texts[column]) for column in rule.overlap)
            return int(word_overlap(first, second) >= rule.at_least)
        case Threshold():
            return int(max(number_of(values, column) for column in rule.columns) >= rule.at_least)
        case ValueMap():
            return rule.values.get(str(value_of(values, rule.column)))
        case Fixed():
            return rule.value
        case _:
            raise AssertionError(rule)


def has_word(rule: WordList, text: str) -> int:
    """1 if one of the words stands in `text` as a token."""
    return int(not words_of(text).isdisjoint(word.lower() for word in rule.words))


def words_of(text: str) -> set[str]:
    """The distinct tokens of a text: split at spaces, punctuation stripped, lower-cased."""
    return {token.strip(string.punctuation).lower() for token in text.split()} - {""}


def word_overlap(first: set[str], second: set[str]) -> float:
    """Size of the intersection over that of the union (Jaccard); 0 where both are empty."""
    return len(first & second) / len(first | second) if first | second else 0.0


def _any(members: list[int | None]) -> int | None:
    return 1 if 1 in members else None if None in members else 0
