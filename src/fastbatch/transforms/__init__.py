"""What is done with rows while they are written into a batch: in the same pass, by whoever fills it."""

from fastbatch.transforms.arithmetic import Cast, Normalize, Scale
from fastbatch.transforms.images import CenterCrop, Cutout, Layout, RandomCrop, RandomFlip
from fastbatch.transforms.labels import OneHot
from fastbatch.transforms.matching import match
from fastbatch.transforms.rows import Rows, Transform

__all__ = [
    "Cast",
    "CenterCrop",
    "Cutout",
    "Layout",
    "Normalize",
    "OneHot",
    "RandomCrop",
    "RandomFlip",
    "Rows",
    "Scale",
    "Transform",
    "match",
]
