# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Fixtures of the end-to-end tests: labs that are always torn down, and a time limit per test."""

import signal
import subprocess

import pytest

from lab import ROOT, SLOWNESS, Lab, new_name
from receiver_lab import Real

TEST_LIMIT_S = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "limit_s(seconds): time limit of a test, instead of "
                            f"{TEST_LIMIT_S} s")
    # Asked to end, tear the labs down first. A worker's labs are removed by tests/run.sh.
    if not hasattr(config, "workerinput"):
        subprocess.run([ROOT / "tests" / "sweep.sh"], check=True)
        signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


def _limited(item):
    """Runs a phase of a test under the test's time limit."""
    marker = item.get_closest_marker("limit_s")
    limit = (marker.args[0] if marker else TEST_LIMIT_S) * SLOWNESS

    def expired(_signal, _frame):
        raise TimeoutError(f"test took over {limit} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from _limited(item)


def _make_labs():
    labs = []

    def make(**options):
        labs.append(Lab(new_name(), **options))
        return labs[-1]

    yield make
    for lab in labs:
        lab.down()


@pytest.fixture
def make_lab():
    """A function that makes labs: make_lab(reals=3, mtu=1600, balancer_links=1)."""
    yield from _make_labs()


@pytest.fixture(scope="module")
def make_shared_lab():
    """make_lab for tests of one file that share a lab."""
    yield from _make_labs()


@pytest.fixture
def lab(make_lab):
    """A lab with three bare reals."""
    return make_lab()


@pytest.fixture
def serving_lab(make_lab):
    """A lab whose three reals run nginx and the receiver for both VIPs."""
    made = make_lab()
    made.start_reals()
    return made


@pytest.fixture
def make_real():
    """A function that makes a single real on a wire (receiver_lab)."""
    reals = []

    def make(**options):
        reals.append(Real(**options))
        return reals[-1]

    yield make
    for made in reals:
        made.down()


@pytest.fixture
def real(make_real):
    return make_real()
