"""The place a Loader has reached, as a few integers and names that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastbatch.arguments import as_integer
from fastbatch.samplers import Sampler, order_version
from fastbatch.seeding import check_epoch, check_seed
from fastbatch.user_samplers import Planned, UserSampler

#: The version of the format.
STATE_FORMAT = 1


class Place(NamedTuple):
    """Where an epoch is taken up.

    Attributes
    ----------
    position : int
        Rows of the epoch's order that were delivered.
    sampler_state : object
        What a user's sampler saved there; None where there is nothing to save.
    """

    epoch: int
    position: int
    sampler_state: Any = None


def state_of(
    place: Place, seed: int, sampler: Sampler | UserSampler | Planned, n_rows: int, batch_size: int | None
) -> dict[str, Any]:
    """The state of a Loader at a place; with a batch size where it is another than the Loader was made with."""
    state = {
        "format": STATE_FORMAT,
        "order": order_version,
        "seed": seed,
        "epoch": place.epoch,
        "position": place.position,
        "rows": n_rows,
        "sampler": sampler.fingerprint,
    }
    if batch_size is not None:
        state["batch_size"] = batch_size
    if isinstance(sampler, Sampler) and sampler.digest is not None:
        state["weights"] = sampler.digest
    if isinstance(sampler, UserSampler):
        state["sampler_state"] = place.sampler_state
    return state


def place_from(state: Mapping[str, Any], sampler: Sampler | UserSampler | Planned, n_rows: int) -> tuple[int, Place]:
    """The seed and the place in a state that fits the sampler and the data.

    Raises
    ------
    TypeError
        It is no mapping, or an entry of it no integer.
    ValueError
        It does not fit, it lacks an entry, or it lies inside an epoch of a sampler that cannot be taken up there.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"the state must be what state_dict() gave, got {type(state).__name__}")
    fitting = {"format": STATE_FORMAT, "order": order_version, "rows": n_rows, "sampler": sampler.fingerprint}
    if isinstance(sampler, Sampler) and sampler.digest is not None:
        fitting["weights"] = sampler.digest
    missing = {*fitting, "seed", "epoch", "position"} - set(state)
    if missing:
        raise ValueError(f"the state lacks {', '.join(map(repr, sorted(missing)))}")
    for key, value in fitting.items():
        if state[key] != value:
            if key == "weights":
                raise ValueError(
                    f"the state does not fit the sampler's weights: their digest is {value}, not {state[key]}; "
                    "load the sampler's own state first"
                )
            raise ValueError(f"the state does not fit this Loader: its {key!r} is {state[key]!r}, here it is {value!r}")
    seed = check_seed(as_integer(state["seed"], "seed"))
    place = Place(check_epoch(state["epoch"]), as_integer(state["position"], "position"), state.get("sampler_state"))
    if place.position < 0:
        raise ValueError(f"position must not be negative, got {place.position}")
    if not isinstance(sampler, UserSampler) and place.position > len(sampler):
        raise ValueError(f"position must be at most {len(sampler)}, the rows of an epoch, got {place.position}")
    if place.position % sampler.multiple != 0:
        raise ValueError(f"position must be a multiple of {sampler.multiple}, a group's rows, got {place.position}")
    if isinstance(sampler, UserSampler) and place.position > 0 and not sampler.can_resume(place.sampler_state):
        raise ValueError(
            f"the state lies {place.position} rows inside an epoch, where this sampler cannot be taken up: "
            "it needs state_dict and load_state_dict"
        )
    return seed, place
