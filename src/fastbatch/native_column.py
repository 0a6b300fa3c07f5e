"""A column that a function of the user's own writes, from Cython, cffi, Numba, ctypes or C."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fastbatch._native import native
from fastbatch.arguments import as_integer
from fastbatch.delivery import BFLOAT16

# What fastbatch_fill takes and returns; an integer is one of 64 bits.
RESULT, ARGUMENTS = "integer", ["pointer", "pointer", "integer", "pointer", "integer", "integer", "integer"]


def get_include() -> str:
    """The folder of fastbatch.h, for a compiler's include path."""
    return os.path.join(os.path.dirname(__file__), "include")


class NativeColumn:
    """A column whose rows a function of your own writes, as they are wanted: without the GIL, on any thread.

    It stands in the `data` of a `Loader` as an array does, next to others or alone. A batch of `rows` is::

        out = numpy.empty((len(rows), *row_shape), dtype)
        assert fill(state, rows, len(rows), out, seed, epoch, position) == len(rows)

    Parameters
    ----------
    fill : function
        Compiled by Numba (``numba.cfunc``); out of a library that cffi (``ffi.addressof(lib, "fill")``) or ctypes has
        opened; of Cython, in the capsule that ``fastbatch.fill_capsule`` makes, which is for cimport; in any PyCapsule
        named "fastbatch.fill.1"; or the address of one, an int. It does what ``fastbatch_fill`` in fastbatch.h says
        (see `get_include`), and is::

            int64_t fill(const void *state, const int64_t *rows, int64_t n, void *out,
                         uint64_t seed, uint64_t epoch, uint64_t position)

        It writes n rows into `out`, and returns n, or the place in `rows` of the first that it cannot write. Rows are
        checked before they come to it.
    n_rows : int
        How many there are; those that nobody holds count too.
    dtype : dtype
        Of the elements that it writes; also "bfloat16", which NumPy has by ml_dtypes only.
    row_shape : tuple of int
        Of one row that it writes.
    state : array, cffi pointer or int, optional
        What the function is told as `state`: the address of the first element of a C-contiguous array, that in a
        pointer, or an address. It is referred to, not copied, and may be changed between epochs.
    keep : object, optional
        What else has to live as long as the column: what an address points into, the library that a function is in.
        `fill` and `state` do by themselves.
    name : str, optional
        What messages call the function. None: its own name, where it has one in Python.

    Attributes
    ----------
    fill, n_rows, dtype, row_shape, state, keep
        As given.

    Raises
    ------
    TypeError
        `fill` is nothing of the kind, or of another type as far as it says; a dtype holds references; another argument
        is of another type.
    ValueError
        A null pointer; `n_rows` or `row_shape` out of range; a `state` that is not contiguous.
    IndexError
        By the Loader, while iterating: the function refused a row. The iterator is over then, the Loader is usable.

    Notes
    -----
    An address means nothing in another process, so that it cannot be pickled, nor a Loader over it, until a subclass
    says in ``__reduce__`` how to make it anew. A forked child needs nothing of the kind.

    Batches are the same for any number of threads if the function heeds nothing but what it is told; random numbers it
    has to make of `seed` and `position`.

    With `output` left out, batches of it are NumPy arrays.

    Examples
    --------
    A table of bytes that becomes floats, with Numba::

        @numba.cfunc("int64(voidptr, CPointer(int64), int64, voidptr, uint64, uint64, uint64)")
        def fill(state, rows, n, out, seed, epoch, position):
            table = numba.carray(state, (N, 784), np.uint8)
            batch = numba.carray(out, (n, 784), np.float32)
            for i in range(n):
                for j in range(784):
                    batch[i, j] = table[rows[i], j] / np.float32(255)
            return n

        images = fb.NativeColumn(fill, N, np.float32, (784,), state=table)
        loader = fb.Loader((images, labels), 256, shuffle=True)
    """

    def __init__(
        self,
        fill: Any,
        n_rows: int,
        dtype: npt.DTypeLike,
        row_shape: Sequence[int] = (),
        *,
        state: Any = None,
        keep: object = None,
        name: str | None = None,
    ) -> None:
        self.n_rows = as_integer(n_rows, "n_rows")
        held, dlpack_type = _element_type(dtype)
        self.column = native.NativeColumn(
            _address_of_function(fill),
            _address_of_state(state),
            self.n_rows,
            held,
            row_shape,
            name=str(getattr(fill, "__name__", "")) if name is None else name,
            dlpack_type=dlpack_type,
            kept=(fill, state, keep),
        )
        self.fill, self.state, self.keep = fill, state, keep
        self.dtype = self.column.dtype if dlpack_type is None else "bfloat16"
        self.row_shape = self.column.row_shape

    def __len__(self) -> int:
        """How many rows."""
        return self.n_rows

    def __repr__(self) -> str:
        """Rows, what they are, and who writes them."""
        return f"NativeColumn of {self.n_rows} rows of {self.dtype} {self.row_shape}, {self.column.kernel}"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled, because the address of a function means nothing in another "
            "process: say in __reduce__ of a subclass how to make it anew"
        )


def _element_type(dtype: Any) -> tuple[Any, tuple[int, int, int] | None]:
    """What holds elements of a dtype, and DLPack's type where that is not what they are."""
    if str(dtype) in ("bfloat16", "torch.bfloat16"):
        return np.dtype(np.uint16), BFLOAT16
    dtype = np.dtype(dtype)
    return dtype, BFLOAT16 if dtype.name == "bfloat16" else None


# ---------------------------------------------------------------------------------------------------------------------
# What a function is, and where
# ---------------------------------------------------------------------------------------------------------------------


def _address_of_function(fill: Any) -> int:
    if isinstance(fill, int) and not isinstance(fill, bool):
        return fill
    if (address := native.address_in_capsule(fill)) is not None:
        return address
    if isinstance(fill, _ctypes.CFuncPtr):
        return _address_of_ctypes(fill)
    if isinstance(fill, _cffi_data()):
        return _address_of_cffi(fill)
    if type(fill).__module__.partition(".")[0] == "numba" and hasattr(fill, "address"):
        return _address_of_numba(fill)
    raise TypeError(
        "fill must be a compiled function: one of Numba's cfunc, a pointer of cffi (ffi.addressof(lib, 'fill')), a "
        f"function of ctypes, a capsule, or an address, got {type(fill).__name__}"
    )


def _address_of_ctypes(fill: Any) -> int:
    # Private, but nothing else tells: what a function pointer keeps alive.
    if any(type(kept).__name__ == "CThunkObject" for kept in (fill._objects or {}).values()):
        _refuse_python()
    if fill.argtypes is not None:  # a library's function need not say
        _check_types(_kind_in_ctypes(fill.restype), [_kind_in_ctypes(kind) for kind in fill.argtypes])
    return ctypes.cast(fill, ctypes.c_void_p).value or 0


def _address_of_numba(fill: Any) -> int:
    try:
        described = fill.ctypes
    except TypeError:  # a type that ctypes does not have, such as a pointer to records
        return int(fill.address)
    return _address_of_ctypes(described)


def _address_of_cffi(fill: Any) -> int:
    kind = _cffi().typeof(fill)
    if kind.kind == "function":
        if type(fill) is not _cffi_data():  # one that owns what it calls
            _refuse_python()
        _check_types(_kind_in_cffi(kind.result), [_kind_in_cffi(argument) for argument in kind.args])
    elif kind.kind != "pointer" or kind.item.kind != "void":
        raise TypeError(f"fill must point to a function, got a cffi {kind.cname}")
    return int(_cffi().cast("uintptr_t", fill))


def _refuse_python() -> NoReturn:
    raise TypeError(
        "fill must be a compiled function, got one of Python's, which would take the GIL while a batch is filled: give "
        "it to the Loader as map"
    )


def _check_types(result: str, arguments: list[str]) -> None:
    if (result, arguments) != (RESULT, ARGUMENTS):
        raise TypeError(
            "fill must be of type int64_t (const void *, const int64_t *, int64_t, void *, uint64_t, uint64_t, "
            f"uint64_t), got {result} ({', '.join(arguments)})"
        )


def _kind_in_ctypes(kind: Any) -> str:
    if isinstance(kind, type):
        if issubclass(kind, (ctypes._Pointer, _ctypes.CFuncPtr, ctypes.c_void_p, ctypes.c_char_p)):
            return "pointer"
        if issubclass(kind, (ctypes.c_int64, ctypes.c_uint64, ctypes.c_longlong, ctypes.c_ulonglong)):
            return "integer"
    return getattr(kind, "__name__", str(kind))


def _kind_in_cffi(kind: Any) -> str:
    if kind.kind in ("pointer", "function"):
        return "pointer"
    is_integer = kind.kind == "primitive" and "float" not in kind.cname and "double" not in kind.cname
    return "integer" if is_integer and _cffi().sizeof(kind) == 8 else str(kind.cname)


# ---------------------------------------------------------------------------------------------------------------------
# Where the state is
# ---------------------------------------------------------------------------------------------------------------------


def _address_of_state(state: Any) -> int | None:
    if state is None or (isinstance(state, int) and not isinstance(state, bool)):
        return state
    if isinstance(state, np.ndarray):
        return native.address_of_array(state, "state")
    if isinstance(state, _cffi_data()) and _cffi().typeof(state).kind in ("pointer", "array"):
        return int(_cffi().cast("uintptr_t", state))
    raise TypeError(f"state must be an array, a pointer of cffi, an address or None, got {type(state).__name__}")


def _cffi_data() -> Any:
    """The class of what cffi points with; none where nothing has imported it."""
    backend = sys.modules.get("_cffi_backend")
    return () if backend is None else backend.FFI.CData


def _cffi() -> Any:
    return sys.modules["_cffi_backend"].FFI()
