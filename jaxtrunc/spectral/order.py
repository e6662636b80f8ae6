"""Whether spectra have an order to speak of: among equal singular values, rounding decides which components come first."""

from collections.abc import Iterable

from jaxtrunc.spectral.decomposition import Spectrum

FLAT = 1.01
"""Largest ratio of the first to the last singular value, up to the numerical rank, at which a spectrum counts as flat."""


def flat_share(spectra: Iterable[Spectrum]) -> float:
    """Share of the matrices of rank 2 or more whose spectrum is flat; 0 if there are none."""
    flat = [spectrum.s[0] <= FLAT * spectrum.s[:spectrum.rank][-1] for spectrum in spectra if spectrum.rank > 1]
    return sum(flat) / len(flat) if flat else 0.0
