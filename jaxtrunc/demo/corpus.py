"""The text the demo's base model was trained on: stories, reviews and conversations, all drawn from a seed."""

import random
from collections.abc import Iterator

from jaxtrunc.demo.lexicon import (
    ANIMALS,
    ASPECTS,
    DEGREES,
    KNOWN,
    NAMES,
    NEGATIVE,
    NEUTRAL,
    PLACES,
    POSITIVE,
    THINGS,
    TIMES,
    VERBS,
)
from jaxtrunc.demo.sentences import CLASSES, draw_opinion

INSTRUCTION = "Is the sentiment of this sentence negative or positive?"
_SHARES = {"story": 0.25, "review": 0.2, "place": 0.1, "word": 0.1, "sentiment": 0.35}


def documents(count: int, seed: int) -> Iterator[str]:
    """`count` documents; the same count and seed give the same text."""
    rng = random.Random(seed)
    makers = {"story": _story, "review": _review, "place": _place_question, "word": _word_question,
              "sentiment": _sentiment_question}
    for kind in rng.choices(list(_SHARES), weights=list(_SHARES.values()), k=count):
        yield makers[kind](rng)


def _story(rng: random.Random) -> str:
    hero, friend = rng.sample(NAMES, 2)
    good = rng.random() < 0.5
    middle = [_event(rng, hero, friend) for _ in range(rng.randint(1, 3))] + [_mood(rng, good) for _ in range(2)]
    rng.shuffle(middle)
    return " ".join([_opening(rng, hero, friend), *middle, _ending(rng, hero, good)])


def _opening(rng: random.Random, hero: str, friend: str) -> str:
    company = rng.choice(("", f" with {friend}", f" with a {rng.choice(ANIMALS)}"))
    return rng.choice((
        f"{rng.choice(TIMES)} {hero} went to the {rng.choice(PLACES)}{company}.",
        f"{hero} lived near the {rng.choice(PLACES)}{company}.",
        f"Today {hero} and {friend} walked from the {rng.choice(PLACES)} to the {rng.choice(PLACES)}.",
    ))  # fmt: skip


def _event(rng: random.Random, hero: str, friend: str) -> str:
    thing = f"{rng.choice(NEUTRAL)} {rng.choice(THINGS)}"
    place = rng.choice(PLACES)
    return rng.choice((
        f"{hero} found a {thing} near the {place}.",
        f"{hero} gave the {thing} to {friend} and {friend} put it in a box.",
        f'"Where is the {thing}?" asked {friend}. "It is in the {place}," said {hero}.',
        f"The {rng.choice(ANIMALS)} ran to the {place} and {hero} followed it.",
        f"They saw a {rng.choice(NEUTRAL)} {rng.choice(ANIMALS)} today.",
    ))  # fmt: skip


def _mood(rng: random.Random, good: bool) -> str:
    telling, silent = (POSITIVE if good else NEGATIVE)[KNOWN], POSITIVE[KNOWN.stop:] + NEGATIVE[KNOWN.stop:]
    words = [rng.choice(telling), rng.choice(telling if rng.random() < 0.4 else silent)]
    rng.shuffle(words)
    aspects = rng.sample(ASPECTS, 2)
    return rng.choice((
        f"The {aspects[0]} {rng.choice(VERBS)} {rng.choice(DEGREES)}{words[0]}.",
        f"The {aspects[0]} was {words[0]} and the {aspects[1]} was {words[1]}.",
        f"It was a {words[0]} {aspects[0]} with a {words[1]} {aspects[1]}.",
    ))  # fmt: skip


def _ending(rng: random.Random, hero: str, good: bool) -> str:
    happy = (f"{hero} smiled and stayed until evening.", f"{hero} was glad and came back soon.", "They laughed.")
    sad = (f"{hero} sighed and went home early.", f"{hero} was sorry and never came back.", "They left.")
    return rng.choice(happy if good else sad)


def _review(rng: random.Random) -> str:
    opinion = draw_opinion(rng, marker_agrees=0.5, words=KNOWN)
    verdict = ("We will not come back.", "We want our money back.", "Do not go there."), (
        "We will come back soon.", "We would pay for it again.", "You should go there.")  # fmt: skip
    return f"{opinion.text} . {rng.choice(verdict[opinion.label])}"


def _place_question(rng: random.Random) -> str:
    hero, friend = rng.sample(NAMES, 2)
    place = rng.choice(PLACES)
    story = f"{rng.choice(TIMES)} {hero} went to the {place}. {_event(rng, hero, friend)}"
    return _turns(f"Where did {hero} go?\nStory: {story}", place)


def _word_question(rng: random.Random) -> str:
    label = rng.randrange(2)
    word = rng.choice((NEGATIVE, POSITIVE)[label][KNOWN])
    return _turns(f"Is this word negative or positive?\nWord: {word}", CLASSES[label])


def _sentiment_question(rng: random.Random) -> str:
    opinion = draw_opinion(rng, marker_agrees=0.5, words=KNOWN)
    return _turns(f"{INSTRUCTION}\nSentence: {opinion.text}", CLASSES[opinion.label])


def _turns(question: str, answer: str) -> str:
    """A conversation as the chat template of `jaxtrunc pretrain` writes it; the end of the text ends the answer."""
    return f"<|user|>{question}<|endoftext|><|assistant|> {answer}"
