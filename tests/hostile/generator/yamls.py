"""Task files and run configs."""

from collections.abc import Iterator

from generator.case import FINETUNE, RUN, SWEEP, Case, Place, change_text, pipe

LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}]}}\n" for i in range(1, 10))


def _appended(text: str | bytes):
    """A line more at the end of the task file."""

    def spoil(place: Place) -> None:
        place.task.write_bytes(place.task.read_bytes() + (text if isinstance(text, bytes) else text.encode()) + b"\n")

    return spoil


def _task(old: str, new: str):
    return lambda place: change_text(place.task, old, new)


def _config(old: str, new: str):
    return lambda place: change_text(place.config, old, new)


def syntax() -> Iterator[Case]:
    """What YAML can do besides saying plain values."""
    for id, text, word in [
        ("billion-laughs", LAUGHS, "aliases"),
        ("billion-merges", MERGES, "aliases"),
        ("alias-to-itself", "a: &a [*a]", "contains itself"),
        ("python-object", "a: !!python/object/apply:os.system ['touch owned']", "the tag"),
        ("other-tag", "a: !file x", "the tag"),
        ("set", "a: !!set {x}", "the tag"),
        ("two-documents", "---\na: 1", "single document"),
        ("key-twice", "label: label", "'label' is there twice"),
        ("deep", "a: " + "[" * 5000, "not valid YAML"),
        ("tab", "a:\n\t- b", "not valid YAML"),
        ("open", "a: [1", "not valid YAML"),
        ("bad-int", "a: !!int x", "not valid YAML"),
        ("bad-bool", "a: !!bool x", "not valid YAML"),
        ("bad-date", "a: 2024-99-99", "not valid YAML"),
        ("long-number", "a: " + "9" * 5000, "a number of 5000 characters"),
        ("list-as-key", "? [a]\n: b", "not valid YAML"),
        ("undefined-alias", "a: *b", "not valid YAML"),
        ("not-utf8", b"a: \xff", "UTF-8"),
        ("control-character", "a: \x01", "not valid YAML"),
        ("unknown-key", "sauce: x", "sauce"),
    ]:
        hazard = id.startswith("billion")
        yield Case(f"yaml-{id}", _appended(text), FINETUNE, ("task.yaml", word), hazard=hazard)
    for id, text in {"a-list": "[a, b]", "a-text": "hello", "empty": ""}.items():
        yield Case(f"yaml-{id}", lambda place, text=text: place.task.write_text(text), SWEEP, ("task.yaml", "mapping"))
    yield Case(
        "yaml-50-MB",
        lambda place: place.task.write_text("a: [" + "1, " * (16 << 20) + "1]"),
        FINETUNE,
        ("task.yaml", "at most"),
        hazard=True,
    )
    yield Case("yaml-a-pipe", lambda place: pipe(place.task), FINETUNE, ("task.yaml", "pipe"), hazard=True)


def tasks() -> Iterator[Case]:
    """Keys of a task with values that are none."""
    for id, old, new, word in [
        ("classes-bools", "classes: [negative, positive]", "classes: [no, yes]", "classes"),
        ("classes-text", "classes: [negative, positive]", "classes: x", "classes"),
        ("words-three", "label_words: [", "label_words: [third, ", "label_words"),
        ("text-list", "text: {Sentence: text}", "text: [text]", "text"),
        ("source-two", "source: {path: rows.jsonl}", "source: {path: rows.jsonl, hub: x}", "source"),
        ("source-number", "source: {path: rows.jsonl}", "source: {path: 3}", "path"),
        ("label-list", "label: label", "label: [label]", "label"),
        ("splits-share-nan", "test: test", "test: {share: [.nan, 1]}", "share"),
        ("splits-overlap", "test: test", "test: train", "share rows"),
        ("splits-many", "test: test", ", ".join(f"s{i}: s{i}" for i in range(2000)), "splits"),
        ("prompt-padded", "instruction:", 'prompt: "{fields:>9999999999}"\ninstruction:', "prompt"),
        ("prompt-attribute", "instruction:", 'prompt: "{fields.__class__}"\ninstruction:', "placeholder"),
        ("tokens-infinite", "instruction:", "max_text_tokens: .inf\ninstruction:", "max_text_tokens"),
        ("newline-in-key", "instruction:", '"a\\nb": 1\ninstruction:', "unknown key"),
    ]:
        yield Case(f"task-{id}", _task(old, new), FINETUNE, ("task.yaml", word))


def configs() -> Iterator[Case]:
    """The same for a run config."""
    for id, old, new, word in [
        ("rate-nan", "learning_rate: 1.0e-4", "learning_rate: .nan", "learning_rate"),
        ("rate-text", "learning_rate: 1.0e-4", "learning_rate: fast", "learning_rate"),
        ("rate-infinite", "learning_rate: 1.0e-4", "learning_rate: 1e999", "learning_rate"),
        ("steps-2**80", "max_steps: 1", f"max_steps: {2**80}", "max_steps"),
        ("steps-bool", "max_steps: 1", "max_steps: yes", "max_steps"),
        ("section-list", "sweep:", "mesh: []\nsweep:", "mesh"),
        ("sections-list", "ranks: [1]", "ranks: {a: 1}", "ranks"),
        ("name-leads-out", "name: little", "name: ../../owned", "name"),
        ("name-number", "name: little", "name: 3", "name"),
        ("model-number", "base_model: base", "base_model: 7", "base_model"),
        ("task-inline-wrong", "task: task.yaml", "task: {nome: x}", "nome"),
        ("date", "name: little", "name: 2024-01-01", "name"),
        ("laughs", "name: little", "name: little\n" + LAUGHS, "aliases"),
        ("python-object", "name: little", "name: !!python/name:os.system", "the tag"),
        ("huge-value", "name: little", f"name: {['x' * 99] * 999}", "name"),
    ]:
        yield Case(f"run-{id}", _config(old, new), RUN, ("task: " if id == "task-inline-wrong" else "run.yaml", word))
    yield Case("run-a-directory", lambda place: (place.config.unlink(), place.config.mkdir()), RUN, ("run.yaml", "expected a file"))


def overrides() -> Iterator[Case]:
    """Values on the command line are YAML too."""
    for id, text, word in [
        ("open", "train.epochs=[1", "not valid YAML"),
        ("tag", "name=!!python/name:os.system", "the tag"),
        ("into-a-text", "name.x=1", "no section"),
        ("bad-number", "train.seed=!!int x", "not valid YAML"),
    ]:
        yield Case(f"override-{id}", lambda place: None, (*RUN, text), (text, word))


FAULTS = (syntax, tasks, configs, overrides)
