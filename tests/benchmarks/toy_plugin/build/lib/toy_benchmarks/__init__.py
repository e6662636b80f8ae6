"""Benchmarks that a third party brings: a mapping, a function that returns one, and a task file."""

FILE = "toy_file.yaml"
COMMON = {
    "splits": {"train": "train", "validation": "validation", "test": "test"},
    "text": {"Text": "text"},
    "label": "label",
    "classes": ["negative", "positive"],
    "label_words": [" bad", " good"],
    "attributes": ["red"],
    "aligned": {"red": "positive"},
    "instruction": "Is this good or bad?",
}
COLOURS = {"name": "toy_colours", "source": {"python": "toy_benchmarks:rows"}, **COMMON}


def shapes() -> dict:
    """The mapping of a task file, made when it is asked for."""
    return {**COLOURS, "name": "toy_shapes", "instruction": "Is this shape good or bad?"}


def rows(split: str):
    """The rows of a split: mappings from columns to values."""
    for i in range(40):
        red = i // 2 % 2
        yield {"id": f"{split}-{i}", "text": f"{'red' if red else 'blue'} thing {i}", "label": i % 2, "red": red}
