# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab itself: what the other tests stand on."""

import os
import subprocess

import pytest

from lab import CLIENT4, CLIENT6, VIP4, VIP6, Lab, wait_for


@pytest.mark.parametrize("links", [1, 2])
def test_client_and_balancer_reach_every_real_in_both_families(make_lab, links):
    lab = make_lab(balancer_links=links)
    for address in lab.reals4 + lab.reals6:
        for host in (lab.client, lab.balancer):
            lab.run(host, ["ping", "-c1", "-W2", address])


def test_nginx_says_which_real_it_is_and_sees_the_clients_address(lab):
    lab.start_nginx("real2")
    assert lab.curl(f"http://{lab.reals4[1]}/") == "real2"
    assert lab.curl(f"http://[{lab.reals6[1]}]/") == "real2"
    assert lab.curl(f"http://{lab.reals4[1]}/healthz") == "ok"
    seen = wait_for(lambda: [row for row in lab.access_log("real2") if row[2] == "/"][1:] and
                    [row[0] for row in lab.access_log("real2") if row[2] == "/"],
                    15, "two requests in the log")
    assert seen == [CLIENT4, CLIENT6]


def test_a_stopped_nginx_refuses_connections(lab):
    lab.start_nginx("real1")
    lab.stop_nginx("real1")
    assert lab.curl(f"http://{lab.reals4[0]}/") is None


def test_packets_to_a_vip_are_routed_to_the_balancer(lab):
    # The balancer forwards nothing, but an address of its own shows that the packet came.
    lab.run(lab.balancer, ["ip", "address", "add", "192.0.2.77/32", "dev", "lo"])
    lab.run(lab.balancer, ["ip", "address", "add", "2001:db8::77/128", "dev", "lo"])
    lab.run(lab.client, ["ping", "-c1", "-W2", "192.0.2.77"])
    lab.run(lab.client, ["ping", "-c1", "-W2", "2001:db8::77"])


def test_packets_of_the_links_mtu_arrive(lab):
    # 1600 less an IPv4 and an ICMP header, not to be fragmented.
    lab.run(lab.balancer, ["ping", "-c1", "-W2", "-M", "do", "-s", "1572", lab.reals4[0]])


def test_down_leaves_no_namespace_process_pin_or_file(make_lab):
    lab = make_lab(reals=1)
    lab.start_nginx("real1")
    # A process of which the Lab knows nothing, and which ignores the polite signal.
    stray = subprocess.Popen(["nsenter", f"--net=/run/netns/{lab.name}-real1", "sh", "-c",
                              "trap '' TERM; while :; do sleep 1; done"],
                             start_new_session=True)
    os.makedirs(lab.bpffs / "deep" / "er")
    lab.down()
    assert stray.wait(20) != 0
    assert not lab.dir.exists() and not lab.bpffs.exists()
    assert lab.name not in subprocess.check_output(["ip", "netns", "list"], text=True)


def test_a_lab_that_cannot_come_up_leaves_nothing_behind(make_lab):
    name = make_lab(reals=0).name + "x"
    with pytest.raises(AssertionError, match="mtu"):
        Lab(name, mtu=99999999)
    assert name not in subprocess.check_output(["ip", "netns", "list"], text=True)


def test_a_second_lab_of_the_same_name_is_refused(make_lab):
    lab = make_lab(reals=1)
    lab.dir.rename(f"{lab.dir}-kept")
    with pytest.raises(AssertionError, match="already"):
        Lab(lab.name, reals=1)
    os.rename(f"{lab.dir}-kept", lab.dir)
    lab.run(lab.client, ["ping", "-c1", "-W2", lab.reals4[0]])


@pytest.mark.parametrize("links", [1, 2])
def test_a_balancer_in_the_lab_answers_for_both_vips(make_lab, links):
    lab = make_lab(balancer_links=links)
    lab.start_reals()
    daemon = lab.start_daemon(f"""
interfaces: [{{name: eth0}}]
bpffs: {{bpffs}}
encap: {{source4: 10.1.0.10, source6: "fd00:1::10"}}
capacity: {{flows: 64k, members: 1k, vips: 64, ring_slots: 4M}}
vips:
  - {{name: web, address: {VIP4}, port: 80, protocol: tcp, reals: [{{address: {lab.reals4[0]}}}]}}
  - {{name: web6, address: "{VIP6}", port: 80, protocol: tcp,
     reals: [{{address: "{lab.reals6[1]}"}}]}}
""")
    daemon.wait_states({lab.reals4[0]: "up", lab.reals6[1]: "up"})
    assert lab.curl(f"http://{VIP4}/") == "real1"
    assert lab.curl(f"http://[{VIP6}]/") == "real2"
    assert daemon.stop() == 0
    assert lab.curl(f"http://{VIP4}/") == "real1", "the data plane outlives the daemon"
