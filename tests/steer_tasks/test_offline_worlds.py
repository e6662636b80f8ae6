"""The four worlds: what is asked for is what follows, and what the test split asks for stands in no batch."""

import numpy as np
import pytest

from jaxtrunc.recipes.steer.offline import hallucination, safety, second_modality, unlearning
from jaxtrunc.recipes.steer.offline.rows import rows
from jaxtrunc.recipes.steer.offline.tasks import WORLDS

ROWS = 200


def tables(name, seed=3):
    return WORLDS[name](seed).tables(np.random.default_rng(5), ROWS)


@pytest.mark.parametrize("name", WORLDS)
def test_labels_are_the_tokens_that_follow(name):
    drawn = WORLDS[name](3).corpus(np.random.default_rng(1), ROWS)
    asked = drawn.labels[:, :-1] >= 0
    assert asked.any(1).all() or name == "unlearning"
    assert (drawn.labels[:, :-1][asked] == drawn.tokens[:, 1:][asked]).all()
    assert drawn.tokens.max() < WORLDS[name].cfg.vocab_size and drawn.tokens.shape[1] <= WORLDS[name].cfg.max_positions


@pytest.mark.parametrize("name", WORLDS)
def test_a_seed_is_a_world(name):
    one, same, other = (tables(name, seed) for seed in (3, 3, 4))
    for group, arrays in one.items():
        assert all(len(array) == ROWS and (array == same[group][key]).all() for key, array in arrays.items())
        assert any((array != other[group][key]).any() for key, array in arrays.items())


def test_rows_ask_at_shared_places_or_by_a_mask():
    shared = rows(np.array([[5, 6, 7], [8, 9, 4]]), [2])
    assert shared.tokens.tolist() == [[5, 6], [8, 9]] and shared.labels.tolist() == [[-1, 7], [-1, 4]]
    assert (rows(np.array([[5, 6, 7]]), np.array([[False, True, False]])).labels == [[6, -1]]).all()


def test_what_is_retained_is_measured_on_other_subjects():
    world = unlearning.Unlearning(3)
    found = world.tables(np.random.default_rng(5), 2000)
    place = unlearning.ANSWER - 2
    held = {part: set((found[part][f"{part}_tokens"][:, place] - 1).tolist()) for part in ("forget", "retain")}
    assert held["forget"] == set(world.subjects["forget"].tolist()) and len(held["forget"]) == 6
    assert not (held["forget"] | held["retain"]) & set(world.subjects["test"].tolist())
    assert not set(world.subjects["validation"].tolist()) & set(world.subjects["test"].tolist())


def test_pairs_of_a_split_are_its_own_and_only_pairs_are_hazards():
    world, rng = safety.Safety(3), np.random.default_rng(5)
    kinds = {}
    for kind in ("hazard", "borderline", "plain"):
        words = world.prompts(rng, 2000, kind, "test")[:, 2:-1] - safety.WORD
        tool, target = words < safety.TOOLS, (words >= safety.TOOLS) & (words < safety.TOOLS + safety.TARGETS)
        kinds[kind] = tool.sum(1), target.sum(1), words
    assert (kinds["hazard"][0] == 1).all() and (kinds["hazard"][1] == 1).all()
    assert (kinds["borderline"][0] + kinds["borderline"][1] == 1).all() and 0.4 < kinds["borderline"][0].mean() < 0.6
    assert not (kinds["plain"][0] + kinds["plain"][1]).any()
    words = kinds["hazard"][2]
    seen = {tuple(sorted(row[row < safety.TOOLS + safety.TARGETS].tolist())) for row in words}
    assert seen == {(int(tool), int(target) + safety.TOOLS) for tool, target in world.pairs["test"]}
    assert not {tuple(pair) for pair in world.pairs["train"].tolist()} & {tuple(pair) for pair in world.pairs["test"].tolist()}


def test_codec_tokens_stand_two_for_each_word():
    world = second_modality.SecondModality(3)
    spoken = world.spoken(np.random.default_rng(5), 50)
    whole = np.concatenate([spoken.tokens, spoken.labels[:, -1:]], 1)
    words, codec = whole[:, 1:14], whole[:, 15:]
    assert codec.shape == (50, 26) and (codec >= second_modality.CODEC).all() and (whole[:, 0] == 1).all()
    assert (codec.reshape(50, 13, 2) == world.codes[words - second_modality.WORD]).all()
    assert len({tuple(pair) for pair in world.codes.tolist()}) <= second_modality.WORDS
    assert max(len(set(column)) for column in world.codes.T.tolist()) <= second_modality.CODES  # many to one


def test_only_what_is_asked_last_is_not_in_the_context():
    world = hallucination.Hallucination(3)
    for split in ("train", "validation", "test"):
        asked = world.asked(np.random.default_rng(5), 300, split)
        tokens = asked["span"].tokens
        context = tokens[:, 1:hallucination.CONTEXT].reshape(300, -1, 2)
        supported, missing = tokens[:, hallucination.CONTEXT + 1], tokens[:, hallucination.CONTEXT + 4]
        place = (context[:, :, 0] == supported[:, None]).argmax(1)
        answer = context[np.arange(300), place, 1]
        assert (asked["prefix"].labels.max(1) == answer).all() and set(place.tolist()) == {0, 1, 2, 3}
        assert not (context[:, :, 0] == missing[:, None]).any()
        assert set((missing - hallucination.SUBJECT).tolist()) <= set(world.subjects[split].tolist())
        assert (asked["corrected"].labels.max(1) == hallucination.ABSTAIN).all()
