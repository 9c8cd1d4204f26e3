# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every packet of the corpus (corpus.py) and some mutated ones: model and packet path agree."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import breakages
import corpus
import fuzz
import scenarios

HERE = Path(__file__).parent
FILES = sorted((HERE / "corpus").glob("*.txt"))
COUNTERS = re.findall(r"^\tX\((\w+),", (HERE / "../../include/xdplb/counters.h").read_text(), re.M)

# What one packet at a time cannot bring about: two CPUs, a flood, a frame without headroom,
# encapsulations that the configuration does not let in, VIPs that reset flows.
OUT_OF_REACH = {"flow_lost_race", "flow_syn_flood", "drop_no_headroom", "drop_encap",
                "reply_flow_reset"}
# The host build forgets each packet, and all of its reals are up.
NEEDS_A_STATE = {"drop_no_next_hop", "drop_not_on_link", "drop_reply_limit", "drop_too_big",
                 "flow_evicted_unproven", "flow_fragment", "flow_mismatch", "flow_moved",
                 "flow_untracked"}


@pytest.fixture(scope="module", params=["express", "general"])
def bench(request):
    made = corpus.Bench(is_express=request.param == "express")
    yield made
    made.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_packet_of_the_corpus_goes_the_way_that_its_file_says(bench, path):
    case = corpus.Case.read(path)
    assert corpus.expectation(bench.run(case)) == case.expect


@pytest.mark.parametrize("name", [name for name in COUNTERS if name not in OUT_OF_REACH])
def test_the_corpus_has_a_packet_for_every_counter(name):
    expected = {word for path in FILES for word in corpus.Case.read(path).expect.split()}
    assert name in expected


def test_what_the_proof_breaks_is_still_there():
    breakages.check_table()


def test_the_host_build_stays_inside_the_frame_for_every_packet_of_the_corpus(tmp_path):
    build = Path(os.environ.get("XDPLB_BUILD", "build")).absolute()
    for name, spec in scenarios.CONFIGS.items():
        fuzz.write_snapshot(name, spec, tmp_path)
    fuzz.write_packets(tmp_path)
    counted = set()
    for maps in tmp_path.glob("*.maps"):
        env = {"HOST_MAPS": str(maps), "HOST_COUNTERS": str(tmp_path / "counters")}
        ran = subprocess.run([build / "tests/fuzz/host_parse", *(tmp_path / "seeds").iterdir()],
                             env={**os.environ, **env}, capture_output=True, text=True,
                             check=False, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        counted |= set((tmp_path / "counters").read_text().split())
    assert set(COUNTERS) - counted == OUT_OF_REACH | NEEDS_A_STATE, "it goes every way that it can"


@pytest.mark.parametrize("name", sorted(scenarios.CONFIGS))
def test_model_and_packet_path_agree_about_mutated_packets(name):
    seed = sorted(scenarios.CONFIGS).index(name)
    assert fuzz.fuzz_round(seed, deadline=time.monotonic() + 4) > 1000
