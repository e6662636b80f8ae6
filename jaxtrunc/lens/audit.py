"""One head, taken apart: everything that is later listed, drawn or compared is read from this."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.chunks import Rows
from jaxtrunc.core.errors import InputError
from jaxtrunc.lens.directions import directions
from jaxtrunc.lens.examine import Examined, examine
from jaxtrunc.lens.rows import as_rows
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.spectrum import centred_sigma, spectrum
from jaxtrunc.lens.svd import VocabSVD, vocab_svd
from jaxtrunc.lens.vocabulary import Vocabulary, unknown_vocabulary


@dataclass(frozen=True, eq=False)
class Audit:
    """A head `(V, d)` with its decomposition; `eligible` `(V,)` marks rows that count in lists and thresholds."""

    rows: Rows
    vocabulary: Vocabulary
    examined: Examined
    svd: VocabSVD
    directions: list[dict[str, Any]]
    spectrum: dict[str, Any]
    eligible: np.ndarray
    warnings: tuple[str, ...]


def audit(matrix: Any, vocabulary: Vocabulary | None = None, settings: LensSettings | None = None, *, mesh: Mesh | None = None,
          fast: bool = False, name: str = "head") -> Audit:
    """Examine and decompose a head and describe its leading directions.

    Args:
      matrix: `(V, d)`: an array, or rows on disk. vocabulary: what its rows stand for.
      mesh, fast: as for `vocab_svd`. name: what messages call the head.

    Raises:
      InputError: not a matrix with V ≥ d ≥ 2, NaN or infinite values, all zeros, fewer eligible tokens than `settings.m`.
    """
    rows, settings = as_rows(matrix), settings or LensSettings()
    vocabulary = vocabulary or unknown_vocabulary(rows.shape[0])
    examined = examine(rows, name)
    eligible = vocabulary.eligible(examined.zero)
    if not 2 <= settings.m <= eligible.sum():
        raise InputError(f"{name}: {settings.m} tokens per pole (--m) were asked for, expected from 2 to the {eligible.sum()} rows "
                         "that are eligible")
    svd = vocab_svd(rows, settings.k, mesh, fast=fast)
    found = directions(rows, svd, vocabulary, eligible, examined, settings)
    return Audit(rows, vocabulary, examined, svd, found, _spectra(rows, svd, examined), eligible,
                 tuple(_warnings(examined, svd, settings)))


def _spectra(rows: Rows, svd: VocabSVD, examined: Examined) -> dict[str, Any]:
    centred = centred_sigma(svd.sigma, svd.v, examined.mean, rows.shape[0])
    return spectrum(svd.sigma) | ({"centred": spectrum(centred)} if centred[0] > 0 else {})


def _warnings(examined: Examined, svd: VocabSVD, settings: LensSettings) -> list[str]:
    warnings = []
    zero = np.flatnonzero(examined.zero)
    if len(zero):
        warnings.append(f"{len(zero)} rows are zero (first: {', '.join(map(str, zero[:5]))}); they have no direction and stand "
                        "in no ranking")
    if svd.k < settings.k:
        warnings.append(f"{settings.k} directions were asked for; the numerical rank is {svd.rank}, so that {svd.k} are shown")
    if svd.cuts_block():
        warnings.append(f"singular values {svd.k} and {svd.k + 1} differ by less than 1 %: their directions are defined only up to "
                        f"a rotation, and so is every sum over the leading {svd.k} (wps1_K, wps2_K)")
    if svd.rank < len(svd.sigma):
        warnings.append(f"the numerical rank is {svd.rank}, below the width {len(svd.sigma)}")
    return warnings
