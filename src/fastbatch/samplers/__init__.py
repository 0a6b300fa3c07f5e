"""Which rows, in which order: pure functions of (seed, epoch).

Every sampler has `n`, the rows it draws from, `len`, the rows of an epoch, and ``order(seed, epoch)``. Orders do not
depend on batch size, ranks, threads or machine; they change with `order_version` only.
"""

from fastbatch.samplers.balanced import Balanced, Mixture, Stratified
from fastbatch.samplers.blocks import Blocks
from fastbatch.samplers.bucketed import Bucketed
from fastbatch.samplers.curriculum import Curriculum
from fastbatch.samplers.perclass import PerClass
from fastbatch.samplers.prioritized import Prioritized
from fastbatch.samplers.rows import Given, Sequential, Shuffle
from fastbatch.samplers.sampler import Sampler, order_version
from fastbatch.samplers.subset import Subset, split
from fastbatch.samplers.token_budget import Plan, TokenBudget
from fastbatch.samplers.weighted import Weighted

__all__ = [
    "Balanced",
    "Blocks",
    "Bucketed",
    "Curriculum",
    "Given",
    "Mixture",
    "PerClass",
    "Plan",
    "Prioritized",
    "Sampler",
    "Sequential",
    "Shuffle",
    "Stratified",
    "Subset",
    "TokenBudget",
    "Weighted",
    "order_version",
    "split",
]
