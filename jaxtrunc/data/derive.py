"""Attributes computed from the text: does it have one of these words?"""

import string

from jaxtrunc.data.task import WordList


def has_word(rule: WordList, text: str) -> int:
    """1 if one of the words stands in `text` as a token: split at spaces, punctuation stripped, lower-cased."""
    tokens = {token.strip(string.punctuation).lower() for token in text.split()}
    return int(not tokens.isdisjoint(word.lower() for word in rule.words))
