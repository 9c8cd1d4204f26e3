# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The model's connection IDs (quic.py) are those of draft-ietf-quic-load-balancers."""

import pytest

import quic

KEY = "8f95f09245765f80256934e50c66207f"
# Appendix "Load Balancer Test Vectors" and the example of "Four-Pass Encryption": server ID, nonce,
# connection ID, key. Left out: a plaintext one whose nonce has nine digits. The last of the encrypted
# ones begins with rotation 0 in the draft, which says 3.
VECTORS = [
    (0, "c4605e", "4504cc4f", "07c4605e4504cc4f", None),
    (0, "ed793a", "ee080dbf", "0720b1d07b359d3c", KEY),
    (1, "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2", KEY),
    (2, "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3", KEY),
    (3, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d", "725779c9cc86beb3a3a4a3ca96fce4bfe0cdbc", KEY),
    (0, "31441a", "9c69c275", "0767947d29be054a", "fdf726a9893ec05c0632d3956680baf0"),
]


def config_of(rotation, server_id_len, nonce_len, key):
    spec = {"rotation": rotation, "server_id_length": server_id_len, "nonce_length": nonce_len}
    return quic.Config({**spec, "key": key} if key else spec)


@pytest.mark.parametrize("rotation,server_id,nonce,cid,key", VECTORS)
def test_the_model_makes_and_reads_the_drafts_connection_ids(rotation, server_id, nonce, cid, key):
    server_id, nonce, cid = map(bytes.fromhex, (server_id, nonce, cid))
    config = config_of(rotation, len(server_id), len(nonce), key)
    assert config.encode(server_id, nonce, cid[0] & 31) == cid
    assert config.server_id(cid) == server_id


@pytest.mark.parametrize("server_id_len", range(1, 16))
def test_the_model_reads_what_it_makes_for_every_pair_of_lengths(server_id_len):
    for nonce_len in range(4, 20 - server_id_len):
        for key in (None, KEY):
            config = config_of(0, server_id_len, nonce_len, key)
            server_id = bytes(range(1, server_id_len + 1))
            cid = config.encode(server_id, bytes(range(80, 80 + nonce_len)))
            assert len(cid) == 1 + server_id_len + nonce_len
            assert config.server_id(cid) == server_id
            assert key is None or server_id not in cid or server_id_len == 1
