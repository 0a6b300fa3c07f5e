"""Contenders from packages that need not be installed: a case without them is the case of those that are left."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version


def version_of(package):
    """Its version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def needs(*packages):
    """Mark a contender that imports `packages`, which it does when it is called."""

    def mark(contender):
        contender.needs = packages
        return contender

    return mark


def missing(contender):
    """A package that the contender lacks, None where it can be called."""
    return next((package for package in getattr(contender, "needs", ()) if version_of(package) is None), None)


def installed(case):
    """The case with the contenders that can be called, and the goals that speak of no other."""
    absent = {contender for contender in case.contenders if missing(contender)}
    return replace(
        case,
        contenders=tuple(contender for contender in case.contenders if contender not in absent),
        goals=tuple(goal for goal in case.goals if absent.isdisjoint({goal.contender, *goal.than})),
    )
