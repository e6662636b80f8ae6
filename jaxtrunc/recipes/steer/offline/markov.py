"""A grammar to learn: a Markov chain over words, each with few successors."""

import numpy as np
from jaxtyping import Int

SHARES = (0.6, 0.2, 0.12, 0.08)


class Grammar:
    """Chain over the tokens `first` … `first + count − 1`; every one has four successors, likely in falling order."""

    def __init__(self, rng: np.random.Generator, first: int, count: int) -> None:
        self.first, self.count = first, count
        self.successors = np.stack([rng.permutation(count)[:len(SHARES)] for _ in range(count)])

    def sentences(self, rng: np.random.Generator, number: int, length: int) -> Int[np.ndarray, "N T"]:
        """`number` stretches of the chain, each begun anywhere."""
        word, found = rng.integers(self.count, size=number), []
        for _ in range(length):
            found.append(word)
            word = self.successors[word, rng.choice(len(SHARES), number, p=SHARES)]
        return self.first + np.stack(found, 1)
