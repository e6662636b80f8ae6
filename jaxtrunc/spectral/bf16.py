"""What bfloat16 storage would do to an update, or has done."""

import numpy as np

ZERO_SHARE = 0.2
"""Above this share of exactly zero ΔW entries a checkpoint went through bfloat16, whatever its stored dtype."""

_LOWER_HALF = np.uint32(0xFFFF)
_EXPONENT = np.uint32(0x7F800000)


def ulp_rms(weights: np.ndarray) -> float:
    """Rms over entries of the bfloat16 spacing at float32 weights: 2^(⌊log₂|w|⌋ − 7)."""
    return rms(_spacing(weights))


def bf16_floor(weights: np.ndarray, update: np.ndarray) -> float | None:
    """Predicted top singular value of the rounding noise of bfloat16 fine-tuned weights `(m, n)`.

    rms(ulp)/√12 · (√m + √n); None where rms(ΔW) < rms(ulp)/2: small updates round away and there is no such bulk.
    """
    spacing = ulp_rms(weights)
    if rms(update) < spacing / 2:
        return None
    m, n = weights.shape
    return spacing / 12**0.5 * (m**0.5 + n**0.5)


def holds_bf16(weights: np.ndarray) -> bool:
    """Whether every float32 weight is a bfloat16 value, as in a bfloat16 checkpoint stored again as float32."""
    return not (np.ascontiguousarray(weights).view(np.uint32) & _LOWER_HALF).any()


def below_bf16(weights: np.ndarray, update: np.ndarray) -> float:
    """Share of the entries of an update smaller than half the bfloat16 spacing at its weight: they would not change."""
    return float(np.mean(np.abs(update) < _spacing(weights) / 2))


def rms(matrix: np.ndarray) -> float:
    """Root mean square, accumulated in float64."""
    return float(np.sqrt(np.mean(np.square(matrix, dtype=np.float64))))


def _spacing(weights: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(weights).view(np.uint32) & _EXPONENT).view(np.float32) * np.float32(2.0**-7)
