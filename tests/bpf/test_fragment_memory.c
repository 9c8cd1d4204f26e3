/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which fragments follow a first one, and for how long: what the balancer remembers of it. */
#include "expect.h"
#include "fragment_bed.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define REAL2 0x0a000102u

/* ---- Which datagram it is of ------------------------------------------------------------- */

static void a_fragment_before_its_first_is_dropped_and_one_after_it_is_not(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		struct packet p = fragment_datagram(vip, 3000);

		fragment_expect(*state, &p, 55 + vip, PIECE, "drop_fragment_unknown",
				"before the first");
		fragment_expect(*state, &p, 55 + vip, 0, "forwarded", "the first");
		fragment_expect(*state, &p, 55 + vip, 2 * PIECE, "forwarded",
				"the last before another");
		fragment_expect(*state, &p, 55 + vip, PIECE, "forwarded", "the one in between");
		fragment_expect(*state, &p, 55 + vip, PIECE, "forwarded", "the same twice");
	}
}

static void only_the_datagrams_own_fragments_follow(void **state)
{
	struct packet four = fragment_datagram(DNS4, 4000), six = fragment_datagram(DNS6, 4000);
	struct packet other;

	fragment_expect(*state, &four, 0x1234, 0, "forwarded", "the first");
	fragment_expect(*state, &four, 0x1235, PIECE, "drop_fragment_unknown", "another id");
	other = fragment_datagram(WEB4, 4000);
	fragment_expect(*state, &other, 0x1234, PIECE, "drop_fragment_unknown", "another protocol");
	other = four;
	other.src = "198.51.100.8";
	fragment_expect(*state, &other, 0x1234, PIECE, "drop_fragment_unknown", "another source");
	other = four;
	other.dst = PASS4;
	fragment_expect(*state, &other, 0x1234, PIECE, "pass_no_port", "another VIP");
	fragment_expect(*state, &four, 0x1234, PIECE, "forwarded", "its own");

	fragment_expect(*state, &six, 0x12345678, 0, "forwarded", "the first");
	fragment_expect(*state, &six, 0x12355678, PIECE, "drop_fragment_unknown", "another id");
	other = six;
	other.src = "2001:db8:c::8";
	fragment_expect(*state, &other, 0x12345678, PIECE, "drop_fragment_unknown",
			"another source");
	/* RFC 8200 section 4.5: what the later ones say comes next does not count. */
	other = fragment_datagram(WEB6, 4000);
	fragment_expect(*state, &other, 0x12345678, PIECE, "forwarded", "another next header");
}

static void a_used_id_belongs_to_the_newest_datagram(void **state)
{
	for (size_t vip = 0; vip < FRAGMENT_KINDS; vip++) {
		struct packet old = fragment_datagram(vip, 5000),
			      new = fragment_datagram(vip, 5001);
		struct run run;

		fragment_plant(*state, &old, &fragment_vips[vip], "10.0.1.1");
		fragment_plant(*state, &new, &fragment_vips[vip], "10.0.1.2");
		fragment_expect(*state, &old, 77, 0, "forwarded", "the old datagram");
		fragment_expect(*state, &new, 77, 0, "forwarded", "the new datagram");
		fragment_send(*state, &new, 77, PIECE, &run);
		assert_int_equal(run_real(&run).w[3], htonl(REAL2));
	}
}

static void an_atomic_fragment_is_a_whole_packet_and_not_remembered(void **state)
{
	struct packet p = fragment_datagram(DNS6, 6000);
	struct piece whole = {.id = 88};
	struct frame f;
	struct run run;

	fragment_build(&p, &whole, &f);
	bed_run(*state, &f, &run);
	expect_counter(&run, "forwarded", "an atomic fragment");
	fragment_expect(*state, &p, 88, PIECE, "drop_fragment_unknown", "after an atomic one");
}

/* ---- What is remembered ------------------------------------------------------------------ */

static int fragments_fd(const struct bed *bed)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/fragments", bed->bpffs);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* Changes the one datagram that is remembered: it is so much older, of that member. */
static void change_remembered(const struct bed *bed, uint64_t age, uint32_t member)
{
	int fd = fragments_fd(bed);
	struct fragment_key key;
	struct fragment first;

	assert_int_equal(bpf_map_get_next_key(fd, NULL, &key), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &first), 0);
	first.jiffies -= age;
	first.member = member;
	assert_int_equal(bpf_map_update_elem(fd, &key, &first, BPF_EXIST), 0);
	assert_int_not_equal(bpf_map_get_next_key(fd, &key, &key), 0);
	close(fd);
}

static void what_came_first_is_forgotten_after_30_seconds(void **state)
{
	struct packet p = fragment_datagram(DNS4, 7000);
	struct bed *bed = *state;
	uint64_t timeout = 30ULL * bed->knobs.hz;
	uint32_t member;

	fragment_plant(bed, &p, &fragment_vips[DNS4], "10.0.1.1");
	member = bed_member_id(bed, &fragment_vips[DNS4], "10.0.1.1");
	fragment_expect(bed, &p, 1, 0, "forwarded", "the first");
	change_remembered(bed, timeout - bed->knobs.hz, member);
	fragment_expect(bed, &p, 1, PIECE, "forwarded", "29 seconds later");
	change_remembered(bed, bed->knobs.hz + 1, member);
	fragment_expect(bed, &p, 1, PIECE, "drop_fragment_unknown", "30 seconds later");
	fragment_expect(bed, &p, 1, 0, "forwarded", "the first of another");
	fragment_expect(bed, &p, 1, PIECE, "forwarded", "30 seconds later, again");
}

static void a_fragment_does_not_follow_to_a_member_of_another_vip(void **state)
{
	struct packet p = fragment_datagram(DNS4, 7000);
	struct bed *bed = *state;
	static const struct {
		const char *what;
		size_t vip;
	} rows[] = {
		{"another address", DNS6},
		{"another protocol and port", WEB4},
		{"another VIP of that port", 4},
	};

	fragment_expect(bed, &p, 1, 0, "forwarded", "the first");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		change_remembered(bed, 0,
				  bed_member_id(bed, &fragment_vips[rows[i].vip], "10.0.1.1"));
		fragment_expect(bed, &p, 1, PIECE, "drop_fragment_unknown", rows[i].what);
	}
	change_remembered(bed, 0, bed->dp->control->members);
	fragment_expect(bed, &p, 1, PIECE, "drop_fragment_unknown", "no member at all");
	change_remembered(bed, 0, bed->dp->control->members - 1);
	fragment_expect(bed, &p, 1, PIECE, "drop_fragment_unknown", "a free member");
	change_remembered(bed, 0, bed_member_id(bed, &fragment_vips[DNS4], "10.0.1.1"));
	fragment_expect(bed, &p, 1, PIECE, "forwarded", "its own");
}

static void a_fragment_follows_to_a_real_that_drains_and_not_to_one_that_is_down(void **state)
{
	struct packet p = fragment_datagram(DNS4, 7000);
	struct bed_vip vip = fragment_vips[DNS4];
	struct bed *bed = *state;

	fragment_plant(bed, &p, &vip, "10.0.1.1");
	fragment_expect(bed, &p, 1, 0, "forwarded", "the first");
	vip.reals[0].is_drained = true;
	bed_apply_members(bed, &vip, 1);
	fragment_expect(bed, &p, 1, PIECE, "forwarded", "its real drains");
	vip.reals[0].is_down = true;
	vip.reals[0].is_drained = false;
	bed_apply(bed, &vip, 1);
	fragment_expect(bed, &p, 1, PIECE, "drop_fragment_unknown", "its real is down");
	fragment_expect(bed, &p, 1, 0, "forwarded", "the first of the next datagram");
	fragment_expect(bed, &p, 1, PIECE, "forwarded", "the next datagram");
	bed_apply(bed, NULL, 0);
	fragment_expect(bed, &p, 1, PIECE, "pass_no_vip", "the VIP is gone");
}

static void a_full_table_forgets_the_oldest(void **state)
{
	struct packet p = fragment_datagram(DNS4, 8000);
	struct frame f;
	struct run run;

	fragment_build(&p, &(struct piece){.id = 1, .len = PIECE}, &f);
	bed_run(*state, &f, &run);
	for (uint32_t i = 0; i < 2 * FRAGMENTS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.len,
			    .repeat = 1);

		memcpy(f.bytes + FRAME_ETH_LEN + 12, &i, 4); /* the source */
		assert_int_equal(
			bpf_prog_test_run_opts(dataplane_prog_fd(((struct bed *)*state)->dataplane),
					       &opts),
			0);
		assert_int_equal(opts.retval, XDP_TX);
	}
	fragment_expect(*state, &p, 1, PIECE, "drop_fragment_unknown", "the oldest");
	fragment_expect(*state, &p, 2, 0, "forwarded", "the newest");
	fragment_expect(*state, &p, 2, PIECE, "forwarded", "the newest");
}

/* What changes the bed, or what it remembers, has one of its own: loading is slow. */
#define on_bed(test) cmocka_unit_test_setup_teardown(test, fragment_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fragment_before_its_first_is_dropped_and_one_after_it_is_not),
		cmocka_unit_test(only_the_datagrams_own_fragments_follow),
		cmocka_unit_test(a_used_id_belongs_to_the_newest_datagram),
		cmocka_unit_test(an_atomic_fragment_is_a_whole_packet_and_not_remembered),
		on_bed(what_came_first_is_forgotten_after_30_seconds),
		on_bed(a_fragment_does_not_follow_to_a_member_of_another_vip),
		on_bed(a_fragment_follows_to_a_real_that_drains_and_not_to_one_that_is_down),
		on_bed(a_full_table_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, fragment_setup, bed_teardown);
}
