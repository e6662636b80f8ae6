"""Strict YAML: one document of plain values, every key once, aliases that stay small when they are written out."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from jaxtrunc.core.bounded import read_text
from jaxtrunc.core.errors import InputError

MAX_BYTES = 1 << 18  # the parser needs a second per 100 kB
MAX_VALUES = 100_000  # with every alias written out: "billion laughs" has 10⁹ in a kilobyte
MAX_DIGITS = 100
PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")}
NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


def read_yaml(path: Path) -> Any:
    """Parse one YAML file of at most 256 KiB; `InputError` names the file and the fault."""
    return parse_yaml(read_text(path, MAX_BYTES), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text; nothing is constructed before the whole was found to be small and plain.

    Raises:
      InputError: not YAML, several documents, a key twice in one mapping, a tag of another language, aliases that write
        out to over 100,000 values or contain themselves; `where` names the place.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError) as error:  # the last four: !!int x, !!bool x, …
        raise InputError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from None


def _check(root: yaml.Node) -> None:
    if _size(root, {}) > MAX_VALUES:
        raise ValueError(f"aliases write out to over {MAX_VALUES} values")


def _size(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Values in `node` with its aliases written out; each node is looked at once."""
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise ValueError(f"the alias{node.start_mark} contains itself")
        return size
    known[id(node)] = None
    _check_node(node)
    size = 1 + sum(_size(child, known) for child in _children(node))
    known[id(node)] = size
    return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_node(node: yaml.Node) -> None:
    if node.tag not in PLAIN:
        raise ValueError(f"the tag {node.tag}{node.start_mark} is not read here")
    if node.tag in NUMBERS and len(node.value) > MAX_DIGITS:
        raise ValueError(f"a number of {len(node.value)} characters{node.start_mark}")
    if isinstance(node, yaml.MappingNode):
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        doubled = [key for key, count in keys.items() if count > 1]
        if doubled:
            raise ValueError(f"the key '{doubled[0]}' is there twice{node.start_mark}")
