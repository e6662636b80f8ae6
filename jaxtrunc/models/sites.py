"""States at named places inside a decoder, and passes that go on with other states there. Names: see `visits`."""

from collections.abc import Mapping, Sequence

import jax
from jaxtyping import Array, Float, Int

from jaxtrunc.core.trees import Params
from jaxtrunc.models.config import DecoderConfig, Execution
from jaxtrunc.models.forward import REFERENCE, arrangement, decoder
from jaxtrunc.models.visits import Edit, Visits


def site_states(params: Params, cfg: DecoderConfig, tokens: Int[Array, "B T"], lengths: Int[Array, " B"], sites: Sequence[str],
                execution: Execution = REFERENCE) -> dict[str, jax.Array]:
    """What stands at each site: float32 (B, T, width), right-padded rows as in `hidden_states`; padding holds anything.

    Layers above the highest site are not computed. Not meant to be differentiated: `watched` is.

    Raises:
      InputError: a name that is no site of this model.
    """
    visits = Visits(tuple(sites))
    positions, mask = arrangement(tokens, lengths)
    depth = visits.checked(cfg.num_layers).depth
    return decoder(params, cfg).run(tokens, positions, mask, execution, visits=visits, depth=depth).seen if sites else {}


def watched(params: Params, cfg: DecoderConfig, tokens: Int[Array, "B T"], lengths: Int[Array, " B"], sites: Sequence[str],
            execution: Execution = REFERENCE, *, edits: Mapping[str, Edit] | None = None,
            at: Int[Array, "B Q"] | None = None) -> tuple[Float[Array, "B T D"], dict[str, jax.Array]]:
    """Hidden states as `hidden_states` gives them, and the states of one whole pass at `sites`."""
    model = decoder(params, cfg)
    positions, mask = arrangement(tokens, lengths)
    passed = model.run(tokens, positions, mask, execution, visits=Visits(tuple(sites), edits or {}), at=at)
    return model.final_norm(passed.x), passed.seen


def edited(params: Params, cfg: DecoderConfig, tokens: Int[Array, "B T"], lengths: Int[Array, " B"], edits: Mapping[str, Edit],
           execution: Execution = REFERENCE, *, at: Int[Array, "B Q"] | None = None) -> Float[Array, "B T D"]:
    """Hidden states of a pass that continues, at every site named, with what its function makes of the state there.

    Args:
      edits: site → function (B, T, width) → the same shape: a reconstruction spliced in, features scaled, zeros.
    """
    return watched(params, cfg, tokens, lengths, (), execution, edits=edits, at=at)[0]
