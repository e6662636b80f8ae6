"""Make the models of docs/lens_evidence.md, look at them with the lens, and write its numbers:  python tests/lens/evidence_page.py

Needs ../shared/data beside the repository and about ten minutes on two cores; models and reports stay in runs/lens_evidence. The
text between the two marks in the page is replaced, all else in it is written by hand.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from jaxtrunc.cli import main as jaxtrunc
from jaxtrunc.config import read_config
from jaxtrunc.core import jsonio
from jaxtrunc.lens.glitch import NEAR
from jaxtrunc.models import load_tokenizer
from jaxtrunc.recipes.pretrain_config import PretrainConfig
from jaxtrunc.recipes.pretrain_text import Gathered, gather
from jaxtrunc.report import canvas

ROOT = Path(__file__).parents[2]
CONFIG, TASK = Path("configs/pretrain_withheld.yaml"), "configs/tasks/sst2_marker.yaml"
STORIES = "../shared/data/models/stories260k"
RUNS, PAGE = Path("runs/lens_evidence"), Path("docs/lens_evidence.md")
MARKS = "<!-- numbers: written by tests/lens/evidence_page.py -->", "<!-- end of numbers -->"
FIRST = 24
SCORES = (("glitch_score", "glitch score", 1), ("spread", "low spread", -1), ("nn5", "high nn5", 1), ("wps1_K", "low WPS (30)", -1),
          ("wps1_K", "high WPS (30)", 1), ("norm", "low norm", -1), ("norm", "high norm", 1))


APART = ("special", "byte", "unused", "unreachable", "padding", "zero_rows")


@dataclass
class Looked:
    """What the lens wrote of one head."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def eligible(self) -> np.ndarray:
        """Ids that are ranked, ascending: all but those that have a list of their own."""
        apart = np.unique(np.concatenate([np.array(self.facts[name], int) for name in APART]))
        ids = np.setdiff1d(np.arange(len(self.arrays["norm"])), apart)
        assert len(ids) == self.facts["glitch"]["counts"]["eligible"]
        return ids


def main() -> None:
    """Models, reports, page."""
    os.chdir(ROOT)
    base, tuned = RUNS / "base", RUNS / "tuned"
    if not base.exists():
        call("pretrain", CONFIG, "--out-path", base)
    if not (tuned / "model").exists():
        call("finetune", "--base-model", base, "--task", TASK, "--out-path", tuned, "train.scope=all", "train.learning_rate=1e-3")
    both = look("both", base, "--compare", tuned / "model")
    alone, stories = look("tuned_alone", tuned / "model"), look("stories260k", STORIES)
    met, withheld = counted(base)
    draw(both, met, withheld)
    parts = (truth(both, met, withheld), ranking(both, alone, met), each(both, alone, met, withheld), twin(both, withheld),
             real(stories))
    before, rest = PAGE.read_text().split(MARKS[0])
    text = "\n\n".join([MARKS[0], *("\n".join(part) for part in parts), MARKS[1]])
    PAGE.write_text(before + text + rest.split(MARKS[1])[1])


def call(*words: Any) -> None:
    if code := jaxtrunc([str(word) for word in words]):
        raise SystemExit(code)


def look(name: str, *words: Any) -> Looked:
    """Of a model, as the verb writes it."""
    if not (RUNS / name).exists():
        call("lens", *words, "--out-path", RUNS / name)
    return Looked(json.loads((RUNS / name / "lens.json").read_text()), dict(np.load(RUNS / name / "lens.npz")))


def counted(model: Path) -> tuple[np.ndarray, np.ndarray]:
    """How often the text of the training has each token (V,), and the ids of the words that were withheld."""
    config, tokenizer = read_config(CONFIG, (), PretrainConfig), load_tokenizer(model)
    files = Gathered(RUNS / "training.jsonl", RUNS / "validation.jsonl", RUNS / "withheld.jsonl")
    gather(config.data, CONFIG.parent, files)
    counts = Counter()
    for row in jsonio.read_lines(files.training):
        counts.update(tokenizer(row["text"])["input_ids"])
    vocabulary = tokenizer.get_vocab()
    return np.array([counts[token] for token in range(len(tokenizer))]), np.array([vocabulary["Ġ" + word]
                                                                                   for word in config.data.withheld])


def truth(looked: Looked, met: np.ndarray, withheld: np.ndarray) -> list[str]:
    """What is known of the vocabulary."""
    never = np.flatnonzero(met == 0)
    assert not met[withheld].any()
    others = np.setdiff1d(np.intersect1d(never, looked.eligible), withheld)
    pieces = load_tokenizer(RUNS / "base").convert_ids_to_tokens(others.tolist())
    return [f"{len(met):,} tokens, {len(looked.eligible):,} of them ranked (bytes and the like have lists of their own); "
            f"{met.sum():,} tokens of text. Of the ranked ones {len(withheld)} were withheld, and {len(others)} more never occur: "
            f"{', '.join(f'`{piece}`' for piece in pieces) or 'none'}."]


def ranking(base: Looked, tuned: Looked, met: np.ndarray) -> list[str]:
    """How well each score puts the tokens that were never met first."""
    lines = ["| score | base: of the first 24, never met | area under the ROC curve | tuned twin: of the first 24 | area |",
             "|---|---|---|---|---|"]
    for key, name, sign in SCORES:
        cells = []
        for looked in (base, tuned):
            ids, values = looked.eligible, sign * looked.arrays[key][looked.eligible]
            absent = met[ids] == 0
            first = ids[np.argsort(-values, kind="stable")[:FIRST]]
            cells += [f"{int((met[first] == 0).sum())}", f"{roc_auc_score(absent, values):.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def each(base: Looked, tuned: Looked, met: np.ndarray, withheld: np.ndarray) -> list[str]:
    """The withheld tokens one by one."""
    flagged = [flags(looked) for looked in (base, tuned)]
    absent = [sum(met[token] == 0 for token in found) for found in flagged]
    lines = ["| withheld token | rank in the base | spread | nn5 | norm z | flagged | rank in the twin | flagged |",
             "|---|---|---|---|---|---|---|---|"]
    ranks = [places(looked) for looked in (base, tuned)]
    norm = base.arrays["norm"][base.eligible]
    middle, deviation = np.median(norm), np.median(np.abs(norm - np.median(norm)))
    words = dict(zip(withheld.tolist(), load_tokenizer(RUNS / "base").batch_decode(withheld[:, None]), strict=True))
    for token in sorted(words, key=lambda token: ranks[0][token]):
        z = 0.6745 * (base.arrays["norm"][token] - middle) / deviation
        lines.append(f"| `{words[token]}` | {ranks[0][token]} | {base.arrays['spread'][token]:.3f} "
                     f"| {base.arrays['nn5'][token]:.3f} | {z:+.1f} | {'yes' if token in flagged[0] else 'no'} "
                     f"| {ranks[1][token]} | {'yes' if token in flagged[1] else 'no'} |")
    return [*lines, "",
            f"Flagged in all: {len(flagged[0])} tokens of the base, of which the text does not have {absent[0]}, and "
            f"{len(flagged[1])} of the twin ({absent[1]})."]


def flags(looked: Looked) -> set[int]:
    """Ids of all that have the never-trained profile; lens.json lists the first 50 of the ranking."""
    ids, arrays = looked.eligible, looked.arrays
    found = set(ids[(arrays["spread"][ids] < looked.facts["wps"]["spread"]["low"]) & (arrays["nn5"][ids] > NEAR)].tolist())
    assert len(found) == looked.facts["glitch"]["counts"]["never_trained"]
    return found


def places(looked: Looked) -> dict[int, int]:
    """Id → rank by glitch score, from 1."""
    order = looked.eligible[np.argsort(-looked.arrays["glitch_score"][looked.eligible], kind="stable")]
    return {int(token): place for place, token in enumerate(order, 1)}


def twin(looked: Looked, withheld: np.ndarray) -> list[str]:
    """What the comparison says."""
    found = looked.facts["comparison"]
    movers = [entry["id"] for entry in found["movers"][:24]]
    angle = next(entry for entry in found["angles"]["right"] if entry["k"] == 30)
    labels = ", ".join(f"{count} {label}" for label, count in found["counts"].items())
    return [f"‖ΔW‖/‖W‖ of the head is {found['relative_change']:.3f}. Poles: {labels}. The leading 30 directions turned by at most "
            f"{np.degrees(angle['max']):.1f}° (random subspaces: {np.degrees(angle['random_mean']):.1f}° on average). "
            f"{len(set(movers) & set(withheld.tolist()))} of the 24 rows that moved most are withheld tokens."]


def real(looked: Looked) -> list[str]:
    """The checkpoint that others trained."""
    facts, nan = looked.facts, float("nan")
    counts, spectrum, spread = facts["glitch"]["counts"], facts["spectrum"], looked.arrays["spread"]
    groups = ", ".join(f"{number} {name}" for name, number in facts["categories"].items())
    poles = [pole["vcs_z"] or nan for entry in facts["directions"] for pole in entry["poles"].values()]
    full, centred = (f"{part['effective_rank']:.1f}" for part in (spectrum, spectrum["centred"]))
    ranks = f"Stable rank {spectrum['stable_rank']:.2f}, effective rank {full} of {len(spectrum['sigma'])} (centred: {centred})."
    middle = [f"{np.median(spread[ids]):.3f}" for ids in (looked.eligible, facts["byte"])]
    return [f"{len(spread)} tokens: {groups}. {ranks} {sum(z > 3 for z in poles)} of {len(poles)} poles have z above 3. Of the "
            f"{counts['eligible']} ranked tokens {counts['never_trained']} are flagged as never trained, "
            f"{counts['high_projection']} have a high projection, {counts['low_projection']} a low one. The median spread of the "
            f"ranked tokens is {middle[0]}, of the byte tokens {middle[1]}."]


def draw(looked: Looked, met: np.ndarray, withheld: np.ndarray) -> None:
    """Spread and nn5 of every ranked row, those that were never met in another colour."""
    ids, arrays = looked.eligible, looked.arrays
    kinds = (("met", met[ids] > 0, "#7a8490", 2.4), ("never met", (met[ids] == 0) & ~np.isin(ids, withheld), "#d98a00", 5),
             ("withheld", np.isin(ids, withheld), "#a3123f", 5))
    with canvas.style():
        figure = canvas.new_figure(3.6)
        axes = figure.subplots()
        for name, which, colour, size in kinds:
            axes.plot(arrays["spread"][ids][which], arrays["nn5"][ids][which], "o", color=colour, markersize=size, label=name,
                      linestyle="none")
        axes.set_xlabel("spread (low: along few directions)")
        axes.set_ylabel("nn5")
        canvas.legend_below(figure, axes)
        figure.savefig(ROOT / "docs" / "images" / "lens_withheld.png", facecolor="white", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
