"""The root-cause worksheet: what the audit has to say to each cause that a person may settle on; it chooses none.

The taxonomy of Miyashita (2026) was not available; these causes are ours.
"""

import re
from collections.abc import Iterator
from typing import Any

CLEAR = 3.0
_OLD_LETTERS = re.compile("[ſﬀ-ﬆ]")


def worksheet(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per cause with sentences of evidence, from the facts of lens.json; `comparison` may be None."""
    causes = {
        "corpus composition": _groups(facts),
        "tokenizer–corpus mismatch": [
            *_some(facts["glitch"]["counts"]["never_trained"], "tokens have the profile of a row that was never trained"),
            *_some(len(facts["unreachable"]), "tokens are given by no text that was tried")],
        "spam contamination": _some(facts["glitch"]["counts"]["high_projection"], "tokens stand out by a high projection (WPS); "
                                    "published norm studies found spam tokens in such a tail"),
        "legacy or OCR orthography": _some(_old_spellings(facts), "listed tokens hold a long s or a typographic ligature"),
        "encoding fragments": [*_some(len(facts["undecodable"]), "tokens hold a part of a character"),
                               *_some(len(facts["byte"]), "tokens are single bytes")],
        "reserved or padding rows": [*_some(len(facts["padding"]), "rows have no token (padding)"),
                                     *_some(len(facts["unused"]), "tokens have a reserved name"),
                                     *_some(len(facts["zero_rows"]), "rows are zero"),
                                     *_some(len(facts["duplicates"]), "groups of rows are bit-identical")],
        "post-training shift": list(_shift(facts["comparison"])),
    }  # fmt: skip
    return [{"cause": cause, "evidence": evidence} for cause, evidence in causes.items()]


def _some(count: int, what: str) -> list[str]:
    return [f"{count} {what}."] if count else []


def _groups(facts: dict[str, Any]) -> list[str]:
    poles = [pole for entry in facts["directions"] for pole in entry["poles"].values()]
    clear = [pole for pole in poles if (pole["vcs_z"] or 0) > CLEAR]
    scripts = sorted({next(iter(pole["scripts"])) for pole in clear if pole["scripts"]} - {"Common", "Latin"})
    also = f"; the main script of some is {', '.join(scripts)}" if scripts else ""
    return [f"{len(clear)} of {len(poles)} poles are groups beyond chance (vcs_z > {CLEAR:g}){also}."]


def _old_spellings(facts: dict[str, Any]) -> int:
    listed = [entry["token"] for name in ("never_trained", "high_projection", "low_projection") for entry in facts["glitch"][name]]
    poles = [token for entry in facts["directions"] for pole in entry["poles"].values() for token in pole["tokens"]]
    return len({token for token in (*listed, *poles) if token and _OLD_LETTERS.search(token)})


def _shift(comparison: dict[str, Any] | None) -> Iterator[str]:
    if comparison is None:
        return
    counts = comparison["counts"]
    yield (f"Against the tuned model the head moved by {100 * comparison['relative_change']:.3g} % of its norm; of "
           f"{len(comparison['persistence'])} poles {counts['retained']} were retained, {counts['drifted']} drifted and "
           f"{counts['dissolved']} dissolved, and {counts['new']} are new.")
