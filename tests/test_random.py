"""The random streams behind every order, against NumPy's generators and plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbatch._native import random
from reference import DRAWS_PER_WORD, WORD, descending, philox4x64, sfc64

words = st.integers(0, WORD - 1) | st.sampled_from([0, 1, 2**32, 2**63, WORD - 1])
keys = st.tuples(words, words)
states = st.tuples(words, words, words, words)

STATE = (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89)
SWITCHES = [most for most, _ in DRAWS_PER_WORD]


def numpy_philox(key, counter):
    """NumPy adds one to its 256-bit counter before each block: start one below."""
    value = (sum(word << (64 * i) for i, word in enumerate(counter)) - 1) % 2**256
    generator = np.random.Philox()
    state = generator.state
    state["state"]["key"] = np.array(key, np.uint64)
    state["state"]["counter"] = np.array([(value >> (64 * i)) % WORD for i in range(4)], np.uint64)
    state["buffer_pos"] = 4
    generator.state = state
    return tuple(int(word) for word in generator.random_raw(4))


def numpy_sfc64(state, n):
    generator = np.random.SFC64()
    inner = generator.state
    inner["state"]["state"] = np.array([*state[:3], 1], np.uint64)
    generator.state = inner
    return generator.random_raw(12 + n)[12:]


@given(keys, words, words, words)
def test_derive_is_numpys_philox_block(key, epoch, stream, unit):
    assert tuple(random.derive(key, epoch, stream, unit)) == numpy_philox(key, (epoch, stream, unit, 0))


@given(keys, words, words, words)
def test_derive_is_philox_written_out(key, epoch, stream, unit):
    assert tuple(random.derive(key, epoch, stream, unit)) == philox4x64(key, (epoch, stream, unit, 0))


def test_derive_tells_its_arguments_apart():
    keys_derived = {
        random.derive((a, b), epoch, stream, unit)
        for a in (0, 1)
        for b in (0, 1)
        for epoch in (0, 1, 2**32)
        for stream in (0, 1, 2**32)
        for unit in (0, 1, 2**32)
    }
    assert len(keys_derived) == 4 * 27


@pytest.mark.parametrize("wrong", [-1, WORD])
@pytest.mark.parametrize("place", range(5))
def test_derive_refuses_what_is_no_word(place, wrong):
    arguments = [0] * 5
    arguments[place] = wrong
    with pytest.raises((OverflowError, ValueError)):
        random.derive(tuple(arguments[:2]), *arguments[2:])


@given(states, st.integers(0, 300))
def test_raw_is_numpys_sfc64(state, n):
    drawn = random.raw(state, n)
    assert drawn.dtype == np.uint64
    assert drawn.tolist() == numpy_sfc64(state, n).tolist()


@given(states)
def test_raw_is_sfc64_written_out(state):
    stream = sfc64(state)
    assert random.raw(state, 40).tolist() == [next(stream) for _ in range(40)]


@given(states, st.data())
def test_descending_is_its_definition(state, data):
    bound = data.draw(
        st.integers(1, 5000)
        | st.sampled_from(SWITCHES).flatmap(lambda most: st.integers(most - 20, most + 200))
        | st.integers(2**30, WORD - 1)
        | st.integers(2**63 - 5, 2**63 + 5)
    )
    count = data.draw(st.integers(0, min(bound, 200)))
    drawn = random.descending(state, bound, count)
    assert drawn.dtype == np.uint64
    assert drawn.tolist() == descending(state, bound, count)


@pytest.mark.parametrize(
    "bound",
    [
        *(bound for most in [*SWITCHES, 2**32] for bound in (most - 1, most, most + 1, most + 1000)),
        *(2**29 + 2**28, 2**18 + 12345, 2**31 + 7, 2**40 + 3, 2**53 + 1, 2**62 + 2**61, 2**63 - 1, 2**63, 2**63 + 1),
        *(3 * 2**62, WORD - 1),
    ],
)
def test_descending_is_its_definition_over_thousands_of_draws(bound):
    count = min(bound, 4000)
    rejected = []
    assert random.descending(STATE, bound, count).tolist() == descending(STATE, bound, count, rejected)


def test_the_definition_refuses_words_at_every_number_of_draws_per_word():
    """Else the comparison above could not see a lost rejection step."""
    tops = []
    for bound, count, n_states in (
        (512, 60, 1000),
        (2048, 1000, 20),
        (2**14, 8000, 2),
        (2**19, 4000, 1),
        (math.isqrt(int(2**64 / 16.5)), 2000, 1),
        (3 * 2**62, 99, 1),
    ):
        for unit in range(n_states):
            state = random.derive((1, 2), 0, 0, unit)
            assert random.descending(state, bound, count).tolist() == descending(state, bound, count, tops)
    edges = [1, *SWITCHES, WORD]
    for low, high in itertools.pairwise(edges):
        assert any(low < top <= high for top in tops), f"no word was refused for a bound in ({low}, {high}]"


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 6, 7, 8, 31, 512, 513])
def test_descending_to_the_end_stays_below_each_bound(bound):
    for unit in range(50):
        drawn = random.descending(random.derive((3, 4), 0, 0, unit), bound, bound)
        assert (drawn < np.arange(bound, 0, -1, dtype=np.uint64)).all()


def test_descending_refuses_more_draws_than_the_bound():
    with pytest.raises(ValueError, match="count"):
        random.descending(STATE, 3, 4)


def test_descending_draws_nothing_below_zero():
    assert random.descending(STATE, 0, 0).tolist() == []


@pytest.mark.parametrize("state", [(), (1, 2, 3), (1, 2, 3, 4, 5)])
def test_a_state_has_four_words(state):
    with pytest.raises((TypeError, ValueError)):
        random.raw(state, 1)
    with pytest.raises((TypeError, ValueError)):
        random.descending(state, 5, 1)
