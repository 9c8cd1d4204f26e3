/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "answers.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

uint8_t *answer_put_headers(const struct frame *in, uint8_t protocol, size_t l4_len,
			    struct frame *ret_frame)
{
	const uint8_t *ip = in->bytes + FRAME_ETH_LEN;
	uint8_t *out = ret_frame->bytes + FRAME_ETH_LEN;
	bool is_v4 = ip[0] >> 4 == 4;

	memset(ret_frame->bytes, 0, FRAME_ETH_LEN + 40);
	memcpy(ret_frame->bytes, frame_router_mac, 6);
	memcpy(ret_frame->bytes + 6, frame_local_mac, 6);
	memcpy(ret_frame->bytes + 12, in->bytes + 12, 2);
	ret_frame->l3_len = (is_v4 ? 20 : 40) + l4_len;
	ret_frame->l4 = FRAME_ETH_LEN + ret_frame->l3_len - l4_len;
	ret_frame->len = FRAME_ETH_LEN + ret_frame->l3_len;
	if (!is_v4) {
		out[0] = 0x60;
		put16(out + 4, (uint32_t)l4_len);
		out[6] = protocol;
		out[7] = 64;
		memcpy(out + 8, ip + 24, 16);
		memcpy(out + 24, ip + 8, 16);
		return out + 40;
	}
	out[0] = 0x45;
	put16(out + 2, (uint32_t)(20 + l4_len));
	out[6] = 0x40;
	out[8] = 64;
	out[9] = protocol;
	memcpy(out + 12, ip + 16, 4);
	memcpy(out + 16, ip + 12, 4);
	put32(out + 8, 64u << 24 | protocol << 16 | frame_checksum(out, 20, 0));
	return out + 20;
}

void answer_expect(struct bed *bed, const struct frame *in, const struct frame *want,
		   const char *counter, const char *what)
{
	struct run run;

	bed_run(bed, in, &run);
	if (run.verdict != XDP_TX || strcmp(run_counter(&run), counter) != 0)
		fail_msg("%s: %s", what, run_counter(&run));
	if (run.out.len != want->len)
		fail_msg("%s: %zu bytes, not %zu", what, run.out.len, want->len);
	for (size_t i = 0; i < want->len; i++) {
		if (run.out.bytes[i] != want->bytes[i])
			fail_msg("%s: byte %zu is %02x, not %02x", what, i, run.out.bytes[i],
				 want->bytes[i]);
	}
}

void answer_build_reset(const struct frame *in, const struct answer_reset *reset,
			struct frame *ret_frame)
{
	uint8_t *tcp = answer_put_headers(in, IPPROTO_TCP, 20, ret_frame);
	const uint8_t *was = in->bytes + in->l4;

	memset(tcp, 0, 20);
	memcpy(tcp, was + 2, 2);
	memcpy(tcp + 2, was, 2);
	put32(tcp + 4, reset->seq);
	put32(tcp + 8, reset->ack);
	tcp[12] = 0x50;
	tcp[13] = reset->flags;
	put16(tcp + 16, frame_l4_checksum(ret_frame->bytes + FRAME_ETH_LEN,
					  ret_frame->l4 - FRAME_ETH_LEN, ret_frame->l3_len));
}

size_t answer_quote_len(const struct frame *in)
{
	size_t most = in->bytes[FRAME_ETH_LEN] >> 4 == 4 ? 576 - 28 : 1280 - 48;

	return in->l3_len < most ? in->l3_len : most;
}

void answer_build_error(const struct frame *in, const struct answer_error *error,
			struct frame *ret_frame)
{
	bool is_v4 = in->bytes[FRAME_ETH_LEN] >> 4 == 4;
	size_t quote_len = answer_quote_len(in);
	uint8_t *icmp = answer_put_headers(in, is_v4 ? 1 : 58, 8 + quote_len, ret_frame);

	put32(icmp, (uint32_t)error->type << 24 | error->code << 16);
	put32(icmp + 4, error->rest);
	memcpy(icmp + 8, in->bytes + FRAME_ETH_LEN, quote_len);
	if (is_v4)
		put16(icmp + 2, frame_checksum(icmp, 8 + quote_len, 0));
	else
		put16(icmp + 2,
		      frame_l4_checksum(ret_frame->bytes + FRAME_ETH_LEN, 40, ret_frame->l3_len));
}

static int limit_fd(const struct bed *bed)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/reply_limit", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

void answer_set_limit(const struct bed *bed, uint64_t last_jiffies, uint64_t tokens)
{
	unsigned int n_cpus = dataplane_n_cpus();
	struct reply_limit *rows = calloc(n_cpus, sizeof(*rows));
	int fd = limit_fd(bed);
	uint32_t row = 0;

	for (unsigned int i = 0; i < n_cpus; i++)
		rows[i] = (struct reply_limit){last_jiffies, tokens};
	assert_int_equal(bpf_map_update_elem(fd, &row, rows, BPF_ANY), 0);
	close(fd);
	free(rows);
}

uint64_t answer_tokens_left(const struct bed *bed)
{
	unsigned int n_cpus = dataplane_n_cpus();
	struct reply_limit *rows = calloc(n_cpus, sizeof(*rows));
	struct reply_limit last = {};
	int fd = limit_fd(bed);
	uint32_t row = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &row, rows), 0);
	for (unsigned int i = 0; i < n_cpus; i++) {
		if (rows[i].last_jiffies > last.last_jiffies)
			last = rows[i];
	}
	close(fd);
	free(rows);
	return last.tokens;
}
