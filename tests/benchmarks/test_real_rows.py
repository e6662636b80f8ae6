"""The task files for the small real data beside the project: sizes, groups, and shortcuts that are really there."""

from collections import Counter
from pathlib import Path

from jaxtrunc.data import find_task, load_task

TASKS = Path(__file__).parents[2] / "configs" / "tasks"


def test_hans_after_mnli(shared_data):
    data = load_task(find_task(TASKS / "hans.yaml", TASKS))
    assert {split: len(rows) for split, rows in data.examples.items()} == {"train": 8703, "validation": 948, "test": 4925 + 9000}
    assert not data.warnings and data.aligned["overlap"] == (0, -1)
    cells = Counter((e.label, *e.attributes.values()) for e in data.examples["test"])
    heuristics = ((1, None, None), (None, 1, None), (None, None, 1))
    assert {cells[label, 1, *values] for label in (0, 1) for values in heuristics} == {1500}
    assert cells[0, 0, 0, 0, 0] + cells[1, 0, 0, 0, 0] == 4925 and len(cells) == 8


def test_identity_terms(shared_data):
    data = load_task(find_task(TASKS / "identity_toxicity.yaml", TASKS))
    assert not data.warnings and data.aligned == {"identity": (-1, 1)}
    (other_0, other_1), (abusive_0, abusive_1) = data.training_counts["identity"]
    odds = (abusive_1 / other_1) / (abusive_0 / other_0)
    assert 3 < odds < 5, "as in CivilComments, says the file"
    for split, least in (("test", 150), ("templates", 3500)):
        cells = Counter((e.label, e.attributes["identity"]) for e in data.examples[split])
        assert len(cells) == 4 and min(cells.values()) >= least
    terms = {"love gay": 1, "kill middle eastern": 0, "Being muslim is kind.": 1, "hug canadian": 0}
    found = {e.fields["Comment"]: e.attributes["identity"] for e in data.examples["templates"]}
    assert {text: found[text] for text in terms} == terms
    texts = [{e.fields["Comment"] for e in data.examples[split]} for split in ("train", "validation", "test")]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
