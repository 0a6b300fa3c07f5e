"""Mini-batches from arrays you already have, as fast as memory allows."""

from fastbatch import pacing
from fastbatch._native.permutation import permutation
from fastbatch._native.shuffle import shuffle
from fastbatch._native.take import take
from fastbatch.concatenation import concat
from fastbatch.describing import Statistics, statistics
from fastbatch.loader import Loader
from fastbatch.materializing import materialize
from fastbatch.native_column import NativeColumn, get_include
from fastbatch.packed import PackedRows
from fastbatch.packing import FirstFit
from fastbatch.ragged import Packed, Padded, Ragged
from fastbatch.samplers import (
    Balanced,
    Blocks,
    Bucketed,
    Curriculum,
    Mixture,
    PerClass,
    Prioritized,
    Sequential,
    Shuffle,
    Stratified,
    Subset,
    TokenBudget,
    Weighted,
    split,
)
from fastbatch.transforms import (
    Cast,
    CenterCrop,
    CutMix,
    Cutout,
    Layout,
    MixUp,
    Normalize,
    OneHot,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    Scale,
)

__version__ = "0.1.0"

__all__ = [
    "Balanced",
    "Blocks",
    "Bucketed",
    "Cast",
    "CenterCrop",
    "Curriculum",
    "CutMix",
    "Cutout",
    "FirstFit",
    "Layout",
    "Loader",
    "MixUp",
    "Mixture",
    "NativeColumn",
    "Normalize",
    "OneHot",
    "Packed",
    "PackedRows",
    "Padded",
    "PerClass",
    "Prioritized",
    "Ragged",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Scale",
    "Sequential",
    "Shuffle",
    "Statistics",
    "Stratified",
    "Subset",
    "TokenBudget",
    "Weighted",
    "concat",
    "get_include",
    "materialize",
    "pacing",
    "permutation",
    "shuffle",
    "split",
    "statistics",
    "take",
]
