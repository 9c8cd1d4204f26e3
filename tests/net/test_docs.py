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


@pytest.mark.parametrize("name", COUNTERS)
def test_every_counter_is_in_the_table_of_the_packet_path(name):
    page = (ROOT / "docs/packet-path.md").read_text()
    assert re.search(rf"^\| `{name}` \| .+ \|$", page, re.M)


@pytest.mark.parametrize("name", COUNTERS)
def test_the_packet_path_says_of_every_counter_what_packet_it_counts(name):
    by_hand, generated, _ = (ROOT / "docs/packet-path.md").read_text().partition("<!-- generated")
    assert generated and f"`{name}`" in by_hand
