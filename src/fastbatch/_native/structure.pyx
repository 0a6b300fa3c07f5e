"""Batches in the shape of the user's data: arrays, tuples, lists, dicts, namedtuples and dataclasses, nested."""

import dataclasses
from collections.abc import Mapping

cimport cython
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_New, PyTuple_SET_ITEM


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        object (*tp_alloc)(PyTypeObject *type, Py_ssize_t n)

cdef extern from *:
    """
    /* A tuple keeps its hash from Python 3.14 on, and zeros are one. */
    #if PY_VERSION_HEX >= 0x030E0000
    #define fb_set_no_hash(made) ((void)(((PyTupleObject *)(made))->ob_hash = -1))
    #else
    #define fb_set_no_hash(made) ((void)(made))
    #endif
    """
    void fb_set_no_hash(object made)


cdef enum:
    IS_LEAF
    IS_TUPLE
    IS_LIST
    IS_DICT
    IS_NAMEDTUPLE
    IS_DATACLASS

CODES = {"leaf": IS_LEAF, "tuple": IS_TUPLE, "list": IS_LIST, "dict": IS_DICT, "namedtuple": IS_NAMEDTUPLE,
         "dataclass": IS_DATACLASS}


cdef bint makes_plain_tuples(object factory):
    """Whether a namedtuple's __new__ is the one that `collections.namedtuple` wrote, which only makes a tuple."""
    written = getattr(factory.__new__, "__globals__", {}).get("_tuple_new")
    return factory.__base__ is tuple and written is tuple.__new__


@cython.final
cdef class Structure:
    """A tree with arrays as leaves.

    Attributes
    ----------
    kind : str
        "leaf", "tuple", "list", "dict", "namedtuple" or "dataclass".
    children : tuple of Structure
    n_leaves : int
        How many arrays the tree holds.
    keys : tuple or None
        Of the children, in a dict, namedtuple or dataclass.
    factory : type or None
        What makes a namedtuple or dataclass.
    """

    def __cinit__(self, kind, children=(), keys=None, factory=None):
        cdef Structure child
        self.kind = kind
        self.code = CODES[kind]
        self.children = tuple(children)
        self.n_leaves = 1 if self.code == IS_LEAF else 0
        for child in self.children:
            self.n_leaves += child.n_leaves
        self.keys = keys
        self.factory = factory
        self.is_plain = self.code == IS_TUPLE or (self.code == IS_NAMEDTUPLE and makes_plain_tuples(factory))

    def __reduce__(self):
        return Structure, (self.kind, self.children, self.keys, self.factory)

    def __eq__(self, other):
        return isinstance(other, Structure) and self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash(self.__reduce__())

    def unflatten(self, leaves):
        """The tree over `leaves`, from left to right."""
        if len(leaves) != self.n_leaves:
            raise ValueError(f"the structure has {self.n_leaves} leaves, got {len(leaves)}")
        cdef Py_ssize_t at = 0
        return self.build(tuple(leaves), &at)

    cdef tuple new_tuple(self, Py_ssize_t n):
        """Room for n parts, of the class that they are handed out in if that is all there is to it."""
        if self.is_plain and self.code == IS_NAMEDTUPLE:
            made = <tuple>(<PyTypeObject *>self.factory).tp_alloc(<PyTypeObject *>self.factory, n)
            fb_set_no_hash(made)
            return made
        return PyTuple_New(n)

    cdef object build(self, tuple leaves, Py_ssize_t *at):
        cdef Py_ssize_t i, n = len(self.children)
        cdef object built
        cdef Structure child
        if self.code == IS_LEAF:
            built = <object>PyTuple_GET_ITEM(leaves, at[0])
            at[0] += 1
            return built
        if self.code == IS_DICT:
            return {key: (<Structure>child).build(leaves, at) for key, child in zip(self.keys, self.children)}
        cdef tuple parts = self.new_tuple(n)
        for i in range(n):
            child = <Structure>self.children[i]
            built = child.build(leaves, at)
            Py_INCREF(built)
            PyTuple_SET_ITEM(parts, i, built)
        if self.is_plain:
            return parts
        if self.code == IS_LIST:
            return list(parts)
        if self.code == IS_NAMEDTUPLE:
            return self.factory(*parts)
        return self.factory(**dict(zip(self.keys, parts)))


LEAF = Structure("leaf")

# How deep data may be nested: deeper, it most likely holds itself.
cdef enum:
    MAX_DEPTH = 32


def flatten(data, is_leaf, opened=None, path="data", int depth=0):
    """The structure of `data`, its leaves and their paths, from left to right.

    Parameters
    ----------
    is_leaf : callable
        Whether an object is an array; asked first.
    opened : callable, optional
        What an object stands for, given its path: the object itself, or another one that is flattened in its place.
    path : str
        What to call the root in messages.
    depth : int
        How deep below the root it is.

    Returns
    -------
    structure : Structure
    leaves : list
    paths : list of str
    """
    if opened is not None:
        data = opened(data, path)
    if is_leaf(data):
        return LEAF, [data], [path]
    if depth == MAX_DEPTH:
        raise ValueError(f"data may be nested {MAX_DEPTH} deep: does it hold itself?")
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        kind, keys, factory = "namedtuple", data._fields, type(data)
        items = [(f"{path}.{key}", item) for key, item in zip(keys, data)]
    elif isinstance(data, tuple):
        kind, keys, factory = "tuple", None, None
        items = [(f"{path}[{i}]", item) for i, item in enumerate(data)]
    elif isinstance(data, list):
        kind, keys, factory = "list", None, None
        items = [(f"{path}[{i}]", item) for i, item in enumerate(data)]
    elif isinstance(data, Mapping):
        kind, keys, factory = "dict", tuple(data), None
        items = [(f"{path}[{key!r}]", data[key]) for key in keys]
    elif dataclasses.is_dataclass(data) and not isinstance(data, type):
        keys = tuple(field.name for field in dataclasses.fields(data) if field.init)
        kind, factory = "dataclass", type(data)
        items = [(f"{path}.{key}", getattr(data, key)) for key in keys]
    else:
        raise TypeError(f"{path} must be an array, or a tuple, list, dict, namedtuple or dataclass of arrays, "
                        f"got {type(data).__name__}")
    structures, leaves, paths = [], [], []
    for item_path, item in items:
        structure, below, paths_below = flatten(item, is_leaf, opened, item_path, depth + 1)
        structures.append(structure)
        leaves += below
        paths += paths_below
    return Structure(kind, structures, keys, factory), leaves, paths
