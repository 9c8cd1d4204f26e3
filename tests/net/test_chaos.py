# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reals that fail in every way under load, in short; `make chaos` does the same at full length."""

import pathlib
import sys

import pytest

from traffic import config, start, vip

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))
import chaos  # noqa: E402


@pytest.fixture(scope="module")
def balanced(make_shared_lab):
    """A lab that serves, and its daemon."""
    lab = make_shared_lab()
    lab.start_reals()
    return lab, start(lab, config(vip(lab.reals4), health=chaos.SHORT.health()))


@pytest.mark.parametrize("name", chaos.CASES)
def test_what_fails_is_found_in_time_and_costs_requests_only_until_then(balanced, name):
    result = chaos.run(*balanced, chaos.CASES[name], chaos.SHORT)
    assert not result.broken(), result
