"""Who works on which matrix, where several processes share the work."""

from collections.abc import Sequence

from jaxtrunc.spectral.view import MatrixRef


def cost(shape: tuple[int, int]) -> int:
    """Work of decomposing one matrix, in multiplications: the Gram matrix and its eigenvectors."""
    return max(shape) * min(shape) ** 2 + 6 * min(shape) ** 3


def divide(refs: Sequence[MatrixRef], count: int) -> list[list[MatrixRef]]:
    """`count` shares of about equal cost, costliest first: the same ones in every process, whatever the order of `refs`."""
    shares: list[list[MatrixRef]] = [[] for _ in range(count)]
    loads = [0] * count
    for ref in sorted(refs, key=lambda ref: (-cost(ref.shape), ref.name)):
        lightest = loads.index(min(loads))
        shares[lightest].append(ref)
        loads[lightest] += cost(ref.shape)
    return shares
