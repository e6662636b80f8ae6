"""What the numbers say, in a few sentences, with no verdict in them."""

from jaxtrunc.report.lens.cells import Facts, count, plural, share
from jaxtrunc.report.lens.directions import COHERENT, coherent_poles

ANOMALIES = (("never_trained", "with the never-trained profile"), ("high_projection", "in the high-projection tail"),
             ("low_projection", "in the low-projection tail"))


def headline(facts: Facts) -> str:
    """The name of the page."""
    twin = facts["comparison"]
    return facts["source"]["model"] + (f", compared with {twin['source']['model']}" if twin else "")


def sentences(facts: Facts) -> list[str]:
    """Spectrum, groups, anomalies, rows that are the same, and the comparison if there is one."""
    said = [_spectrum(facts["spectrum"]), _groups(facts["directions"]), _anomalies(facts["glitch"]["counts"]), *_same(facts)]
    return said + (_comparison(facts["comparison"]) if facts["comparison"] else [])


def _spectrum(spectrum: Facts) -> str:
    half, most = spectrum["energy_k"]["0.5"], spectrum["energy_k"]["0.9"]
    return (f"The leading direction holds {share(spectrum['cumulative_energy'][0])} of the energy; half of it lies in "
            f"{plural(half, 'direction')}, 90\u00a0% in {count(most)} of {count(len(spectrum['sigma']))}.")


def _groups(listed: list[Facts]) -> str:
    return (f"{count(coherent_poles(listed))} of the {plural(2 * len(listed), 'pole')} hang together more than tokens chosen by "
            f"one coordinate would by chance (z above {COHERENT:g}).")


def _anomalies(counts: Facts) -> str:
    found = ", ".join(f"{count(counts[key])} {words}" for key, words in ANOMALIES if counts.get(key) is not None)
    return f"Of {plural(counts['eligible'], 'row')} that were ranked, flagged are {found}: candidates, unverified."


def _same(facts: Facts) -> list[str]:
    groups = facts["duplicates"]
    if not groups:
        return []
    return [f"{plural(sum(map(len, groups)), 'row')} are bit for bit the same as another, in {plural(len(groups), 'group')}."]


def _comparison(comparison: Facts) -> list[str]:
    if comparison["unchanged"]:
        return ["The two heads are bit for bit the same."]
    counts = comparison["counts"]
    labels = ", ".join(f"{count(counts[label])} {label}" for label in ("retained", "drifted", "dissolved", "new"))
    return [f"The tuned head differs by {share(comparison['relative_change'])} of the norm. Of the poles: {labels}."]
