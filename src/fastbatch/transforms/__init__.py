"""What is done with rows while they are written into a batch: in the same pass, by whoever fills it."""

from fastbatch.transforms.arithmetic import Cast, Normalize, Scale
from fastbatch.transforms.elements import written_elements
from fastbatch.transforms.images import CenterCrop, Cutout, Layout, RandomCrop, RandomFlip, RandomResizedCrop
from fastbatch.transforms.labels import OneHot
from fastbatch.transforms.matching import match
from fastbatch.transforms.mixing import CutMix, MixUp
from fastbatch.transforms.rows import Rows, Transform

__all__ = [
    "Cast",
    "CenterCrop",
    "CutMix",
    "Cutout",
    "Layout",
    "MixUp",
    "Normalize",
    "OneHot",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "Rows",
    "Scale",
    "Transform",
    "match",
    "written_elements",
]
