"""Tokenizers that do not belong to the model, are broken, or bring a chat template that does harm."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from generator.case import FINETUNE, RUN, SWEEP, Case, Place, pipe, sparse

TEMPLATE, TOKENIZER = "chat_template.jinja", "tokenizer.json"


def _tokenizer(change: Callable[[dict[str, Any]], Any]):
    """Change the parsed tokenizer.json."""

    def spoil(place: Place) -> None:
        file = place.model / TOKENIZER
        values = json.loads(file.read_text())
        change(values)
        file.write_text(json.dumps(values))

    return spoil


def _raw(name: str, content: bytes):
    return lambda place: (place.model / name).write_bytes(content)


def vocabularies() -> Iterator[Case]:
    """Token ids that the embedding has no row for."""

    def added(id: int):
        token = {
            "id": id,
            "content": "sentiment",  # any prompt has it
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        return _tokenizer(lambda values: values["added_tokens"].append(token))

    yield Case("tokenizer-larger", added(895), FINETUNE, ("model", "the id 895", "vocab_size 895"))
    yield Case(
        "tokenizer-id-far-out",
        _tokenizer(lambda values: values["model"]["vocab"].update({"zzzz": 10**6})),
        FINETUNE,
        ("model", "the id 1000000"),
    )

    def smaller(place: Place) -> None:
        _tokenizer(lambda values: values["model"]["vocab"].update({"zzzz": 900}))(place)
        for file in (place.model / TOKENIZER,):
            (place.base / TOKENIZER).write_bytes(file.read_bytes())

    yield Case("tokenizer-larger-in-a-run", smaller, RUN, ("base", "the id 900"))


def broken() -> Iterator[Case]:
    """Files that are no tokenizer."""
    for id, content in {
        "not-json": b"{",
        "not-utf8": b"\xff\xfe",
        "a-list": b"[]",
        "empty": b"",
        "deep": b"[" * 100_000,
        "no-model": b'{"version": "1.0"}',
    }.items():
        yield Case(f"tokenizer-{id}", _raw(TOKENIZER, content), FINETUNE, ("model", "tokenizer"))
    for id, change in {
        "merges-unknown": lambda values: values["model"].update(merges=[["q", "zzzz"]]),
        "vocab-a-list": lambda values: values["model"].update(vocab=[]),
        "id-negative": lambda values: values["model"]["vocab"].update(a=-1),
        "id-beyond-32-bits": lambda values: values["model"]["vocab"].update(a=2**40),
        "vocab-of-nothing": lambda values: (values["model"].update(vocab={}, merges=[]), values.update(added_tokens=[])),
        "pattern-bad": lambda values: values.update(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}
        ),
    }.items():
        yield Case(f"tokenizer-{id}", _tokenizer(change), FINETUNE, ("model",))
    yield Case("tokenizer-missing", lambda place: (place.model / TOKENIZER).unlink(), FINETUNE, ("model",))
    yield Case("tokenizer-config-not-json", _raw("tokenizer_config.json", b"{"), FINETUNE, ("model", "tokenizer"))
    yield Case("tokenizer-a-pipe", lambda place: pipe(place.model / TOKENIZER), FINETUNE, (TOKENIZER, "pipe"), hazard=True)
    yield Case(
        "tokenizer-huge", lambda place: sparse(place.model / TOKENIZER, 1 << 40), FINETUNE, (TOKENIZER, "bytes"), hazard=True
    )


def templates() -> Iterator[Case]:
    """Chat templates are programs."""
    for id, text in {
        "syntax": "{% for",
        "raises": "{{ raise_exception('no system role') }}",
        "divides-by-zero": "{{ 1 // 0 }}",
        "wants-what-is-not-there": "{{ messages[9].content.upper() }}",
        "escapes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "recurses": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "long-range": "{% for i in range(10 ** 12) %}{% endfor %}",
        "leaves-the-text-out": "{% if false %}{% endif %}",
    }.items():
        yield Case(f"template-{id}", _raw(TEMPLATE, text.encode()), FINETUNE, ())
    ten = "{{ loop.index }}"
    for level in "abcdef":
        ten = f"{{% for {level} in range(9999) %}}{ten}{{% endfor %}}"
    doubling = "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}"
    for id, text in {
        "never-ends": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
        "{% endfor %}{% endfor %}{% endfor %}",
        "gigabytes": "{{ 'x' * 20000000000 }}",
        "doubles": doubling,
        "pads": "{{ 'x'|center(20000000000) }}",
        "prints-for-ever": ten,
    }.items():
        yield Case(f"template-{id}", _raw(TEMPLATE, text.encode()), FINETUNE, ("chat template fails",), hazard=True)
    yield Case("template-a-pipe", lambda place: pipe(place.model / TEMPLATE), FINETUNE, (TEMPLATE, "pipe"), hazard=True)


def in_a_run() -> Iterator[Case]:
    """The base model of a finished run has another tokenizer now."""

    def spoil(place: Place) -> None:
        facts = json.loads((place.run / "manifest.json").read_text())
        facts["verbs"]["decompose"]["base_model"] = str(place.base)
        (place.run / "manifest.json").write_text(json.dumps(facts))
        (place.base / TOKENIZER).write_bytes(b"{")

    yield Case("tokenizer-of-a-sweep", spoil, SWEEP, ("base", "tokenizer"))


FAULTS = (vocabularies, broken, templates, in_a_run)
