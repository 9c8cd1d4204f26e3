# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The pages for people name what the program has."""

import re

import pytest

from lab import ROOT

COUNTERS = re.findall(r"^\tX\((\w+),", (ROOT / "include/xdplb/counters.h").read_text(), re.M)
DROPS = [name for name in COUNTERS if name.startswith("drop_")]


@pytest.mark.parametrize("name", DROPS)
def test_every_drop_has_its_cause_and_fix_in_the_operations_page(name):
    page = (ROOT / "docs/operations.md").read_text()
    assert re.search(rf"^\|.*`{name}`.*\|.+\|.+\|$", page, re.M)
