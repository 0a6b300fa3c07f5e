"""How a batch is cut for those who fill it. See csrc/fb_cursor.hpp."""

import ctypes

import pytest

import native_library

pytestmark = native_library.needed

MB = 2**20


@pytest.fixture(scope="module")
def sizes_of_parts(tmp_path_factory):
    parts = ["fb_ahead", "fb_asking", "fb_cursor", "fb_draw", "fb_engine", "fb_pace", "fb_pool"]
    library = native_library.build(tmp_path_factory.mktemp("filling"), "filling", parts)
    size = ctypes.c_size_t
    library.fill_batch.restype, library.fill_batch.argtypes = size, [size, size, ctypes.c_int, ctypes.POINTER(size)]

    def sizes_of_parts(n, row_nbytes, whole):
        sizes = (size * 64)()
        return sizes[: library.fill_batch(n, row_nbytes, whole, sizes)]

    return sizes_of_parts


@pytest.mark.parametrize(("n", "row_nbytes", "expected"), [
    (1000, 100, [1000]),
    (8, MB, [1] * 8),
    (16, MB // 4, [4] * 4),
    (10, MB // 2, [2] * 5),
])  # fmt: skip
def test_large_batches_are_filled_in_parts_unless_a_column_has_to_see_them_whole(
    sizes_of_parts, n, row_nbytes, expected
):
    assert sizes_of_parts(n, row_nbytes, whole=False) == expected
    assert sizes_of_parts(n, row_nbytes, whole=True) == [n]
