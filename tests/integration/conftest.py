"""Tests with real frameworks: run only when asked for, by ``-m integration``, so that nobody else needs them."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # the smallest of those that train


def pytest_ignore_collect(collection_path, config):
    if collection_path.name.startswith("test_") and "integration" not in (config.option.markexpr or ""):
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
