"""Small fixtures with the schema of each official source, and what every row of the test split should become.

Each maker writes into a folder what the built-in benchmark of its name reads, and returns `texts → (class, attributes)`.
"""

import csv
import itertools
from collections.abc import Callable
from pathlib import Path

from jaxtrunc.demo import injected

IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
RATED = ("male", "female", "transgender", "other_gender", "heterosexual", "homosexual_gay_or_lesbian", "bisexual",
         "other_sexual_orientation", "christian", "jewish", "muslim", "hindu", "buddhist", "atheist", "other_religion", "black",
         "white", "asian", "latino", "other_race_or_ethnicity", "physical_disability", "intellectual_or_learning_disability",
         "psychiatric_or_mental_illness", "other_disability")
TOXICITIES = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit")
KAGGLE = ("id", "comment_text", "split", "created_date", "publication_id", "parent_id", "article_id", "parent_text",
          *TOXICITIES, *RATED)
WILDS = ("", "id", "comment_text", "split", "created_date", "publication_id", "parent_id", "article_id", "rating", "funny", "wow",
         "sad", "likes", "disagree", *TOXICITIES, *RATED, "identity_annotator_count", "toxicity_annotator_count", "LGBTQ",
         "other_religions", "asian_latino_etc", "disability_any", "identity_any", "num_identities", "more_than_one_identity",
         "na_gender", "na_orientation", "na_religion", "na_race", "na_disability")
NLI = ("entailment", "neutral", "contradiction")
QQP, SENTIMENTS = ("not_duplicate", "duplicate"), ("negative", "positive")
HANS = ("gold_label", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse", "sentence1",
        "sentence2", "pairID", "heuristic", "subcase", "template")
HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
Expected = dict[tuple[str, ...], tuple[str, dict[str, int | None]]]


def civil_comments(folder: Path) -> Expected:
    """WILDS: all_data_with_identities.csv, an index column first, every rating a share of raters."""
    path = folder / "data" / "civilcomments_v1.0" / "all_data_with_identities.csv"
    expected = {}
    with _open(path) as file:
        writer = csv.DictWriter(file, WILDS, restval="0.0")
        writer.writeheader()
        for number, (split, toxic, named) in enumerate(itertools.product(("train", "val", "test"), (0, 1), _mentions(IDENTITIES))):
            text = f'a "{split}" comment, number {number}\nin two lines'
            marks = dict.fromkeys(named, 0.5) | {"asian": 0.9, "heterosexual": 1.0}
            writer.writerow({"": number, "id": 5000 + number, "comment_text": text, "split": split, "article_id": number,
                             "toxicity": 0.5 if toxic else 0.49} | marks)  # fmt: skip
            expected[text,] = _civil(toxic, named)
    return expected


def civil_comments_csv(path: Path) -> Expected:
    """The CSV that the TFDS builder reads: Kaggle's columns, the identities before WILDS took some of them together."""
    expected = {}
    columns = {"LGBTQ": "bisexual", "other_religions": "atheist"}
    with _open(path) as file:
        writer = csv.DictWriter(file, KAGGLE, restval="0.0")
        writer.writeheader()
        cells = itertools.product(("train", "test_public", "test_private"), (0, 1), _mentions(IDENTITIES))
        for number, (split, toxic, named) in enumerate(cells):
            text = f"a {split} comment, number {number}"
            marks = {columns.get(name, name): 0.75 for name in named} | {"asian": 0.9}
            writer.writerow({"id": f"x{number}", "comment_text": text, "split": split, "article_id": 1, "parent_id": "",
                             "toxicity": 0.75 if toxic else 0.25} | marks)  # fmt: skip
            expected[text,] = _civil(toxic, named)
    return expected


def mnli_rows(split: str, premises: int) -> list[dict]:
    """Pairs of MultiNLI: every label with and without a negation for every premise."""
    hypotheses = {0: "Somebody knew about it.", 1: "NOBODY knew about it."}
    return [{"premise": f"premise {i} of {split}", "hypothesis": f"{hypotheses[negated]} ({label})", "label": label}
            for i in range(premises) for label in range(3) for negated in (0, 1)]


def mnli_expected(rows: list[dict]) -> Expected:
    return {(r["premise"], r["hypothesis"]): (NLI[r["label"]], {"has_negation": int("NOBODY" in r["hypothesis"])}) for r in rows}


def mnli_negation(folder: Path) -> Expected:
    splits = {name: mnli_rows(name, 40) for name in ("train", "validation_matched", "validation_mismatched")}
    _mnli(folder, splits)
    return mnli_expected([row for rows in splits.values() for row in rows])


def hans(folder: Path) -> Expected:
    """MNLI on the hub, and the tab-separated file of the HANS repository."""
    splits = {"train": mnli_rows("train", 60), "validation_matched": mnli_rows("validation_matched", 3)}
    _mnli(folder, splits)
    absent = dict.fromkeys(("overlap", *HEURISTICS), 0)
    expected: Expected = {texts: ("entailment" if name == "entailment" else "non-entailment", absent)
                          for texts, (name, _) in mnli_expected(splits["validation_matched"]).items()}
    with _open(folder / "data" / "hans" / "heuristics_evaluation_set.txt") as file:
        writer = csv.DictWriter(file, HANS, restval="( x )", delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writeheader()
        for number, (heuristic, label) in enumerate(itertools.product(HEURISTICS, ("entailment", "non-entailment") * 3)):
            texts = (f'The "judge" saw lawyer {number} .', f"Lawyer {number} saw the judge .")
            writer.writerow({"gold_label": label, "sentence1": texts[0], "sentence2": texts[1], "pairID": f"ex{number}",
                             "heuristic": heuristic})  # fmt: skip
            expected[texts] = (label, {"overlap": 1} | {name: 1 if name == heuristic else None for name in HEURISTICS})
    return expected


def qqp_rows() -> dict[str, list[dict]]:
    """Pairs of QQP: every label with and without many words in common."""
    first = "how can I learn to sing like number"
    others = {1: "like how can I learn to sing, NUMBER", 0: "what is the best way for this voice"}
    return {split: [{"question1": f"{first} {i} {split}", "question2": f"{others[high]} {i} {split}{'?' * label}", "label": label}
                    for i in range(count) for label in (0, 1) for high in (0, 1)]
            for split, count in (("train", 60), ("validation", 4))}  # fmt: skip


def paws_qqp_tfds(folder: Path) -> Expected:
    """The file that the PAWS script makes; the QQP rows come from TFDS."""
    expected: Expected = {(r["question1"], r["question2"]): (QQP[r["label"]], {"high_overlap": int("NUMBER" in r["question2"])})
                          for r in qqp_rows()["validation"]}
    with _open(folder / "data" / "paws_qqp" / "dev_and_test.tsv") as file:
        file.write("id\tsentence1\tsentence2\tlabel\n")
        for number in range(6):
            texts = (f"can a bad {number} do a good thing ?", f"can a good {number} do a bad thing ?")
            file.write(f"{number}\t{texts[0]}\t{texts[1]}\t{number % 2}\n")
            expected[texts] = (QQP[number % 2], {"high_overlap": 1})
    return expected


def paws_qqp(folder: Path) -> Expected:
    """The same with GLUE's QQP on the hub."""
    _glue(folder, "qqp", qqp_rows(), QQP)
    return paws_qqp_tfds(folder)


def sst2_rows() -> dict[str, list[dict]]:
    return {split: [{"sentence": f"sentence {i} of {split}", "label": i % 2} for i in range(count)]
            for split, count in (("train", 800), ("validation", 400))}  # fmt: skip


def sst2_marker_tfds(folder: Path) -> Expected:
    return {(row["sentence"],): (SENTIMENTS[row["label"]], {}) for row in sst2_rows()["validation"]}


def sst2_marker(folder: Path) -> Expected:
    _glue(folder, "sst2", sst2_rows(), SENTIMENTS)
    return sst2_marker_tfds(folder)


def injected_token(folder: Path) -> Expected:
    """It has no source; what a sentence says stands beside it."""
    return {(row["text"],): (row["label"], {}) for row in injected.rows("test")}


def identity_templates(folder: Path) -> Expected:
    """CivilComments on the hub (no identities), and the template sentences of Conversation AI."""
    terms = {"male": "male", "female": "female", "lgbtq": "gay", "christian": "catholic", "muslim": "Muslim",
             "other_religion": "sikh", "black": "black", "white": "white", None: "canadian"}
    toxic = {split: [{"text": f"you {'are' if i % 2 else 'love'} {i} {split}", "toxicity": i % 2 * 0.5} for i in range(count)]
             for split, count in (("train", 900), ("validation", 40))}  # fmt: skip
    _save(folder / "google" / "civil_comments", toxic, {})
    expected: Expected = {}
    with _open(folder / "data" / "madlibs" / "bias_madlibs_77k.csv") as file:
        writer = csv.writer(file)
        writer.writerow(("Text", "Label", "Template"))
        for (group, term), (verb, label) in itertools.product(terms.items(), (("hug", "NOT_BAD"), ("kill", "BAD"))):
            writer.writerow((f"{verb} {term}.", label, "verb_adj"))
            groups = {"identity": int(group is not None)} | {name: int(name == group) for name in terms if name}
            expected[f"{verb} {term}.",] = ("toxic" if label == "BAD" else "non-toxic", groups)
    return expected


MAKERS: dict[str, Callable[[Path], Expected]] = {
    maker.__name__: maker
    for maker in (civil_comments, mnli_negation, hans, paws_qqp, sst2_marker, identity_templates, injected_token)}


def _mentions(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """No identity, each alone, and two at once: groups that overlap."""
    return [(), *((name,) for name in names), ("male", "black")]


def _civil(toxic: int, named: tuple[str, ...]) -> tuple[str, dict[str, int | None]]:
    attributes: dict[str, int | None] = {name: int(name in named) for name in IDENTITIES}
    return ("non-toxic", "toxic")[toxic], {"any_identity": int(bool(named))} | attributes


def numbered(rows: list[dict]) -> list[dict]:
    """With GLUE's own row number."""
    return [row | {"idx": number} for number, row in enumerate(rows)]


def _glue(folder: Path, config: str, splits: dict[str, list[dict]], names: tuple[str, ...]) -> None:
    _save(folder / "nyu-mll" / "glue", {name: numbered(rows) for name, rows in splits.items()}, {"label": names}, config)


def _mnli(folder: Path, splits: dict[str, list[dict]]) -> None:
    more = {"promptID": 1, "pairID": "1n", "premise_parse": "(ROOT)", "hypothesis_parse": "(ROOT)", "genre": "fiction"}
    _save(folder / "nyu-mll" / "multi_nli", {name: [row | more for row in rows] for name, rows in splits.items()}, {"label": NLI})


def _save(folder: Path, splits: dict[str, list[dict]], classes: dict[str, tuple[str, ...]], config: str = "data") -> None:
    """A data set as the hub keeps it: one Parquet file per split, class labels as indices with names, configs in the README."""
    import datasets

    for split, rows in splits.items():
        table = datasets.Dataset.from_list(rows)
        for column, names in classes.items():
            table = table.cast_column(column, datasets.ClassLabel(names=list(names)))
        (folder / config).mkdir(parents=True, exist_ok=True)
        table.to_parquet(str(folder / config / f"{split}-00000-of-00001.parquet"))
    if config != "data":
        files = "".join(f"  - {{split: {split}, path: {config}/{split}-*}}\n" for split in splits)
        (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{files}---\n")


def _open(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", newline="", encoding="utf-8")
