/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a configuration file means: values, and defaults. Of probes: test_config_health.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "config_text.h"
#include "lib/addr.h"
#include "lib/sizing.h"
#include "xdplb/counters.h"

static void what_is_not_given_has_the_documented_default(void **state)
{
	struct config *c = parse_config(VIP ", reals: [{address: 10.1.0.1}]}\n");
	const struct vip_spec *vip = &c->vips[0];

	assert_string_equal(c->file, "f.yaml");
	assert_string_equal(c->bpffs, "/sys/fs/bpf/xdplb");
	assert_int_equal(c->interfaces[0].mode, ATTACH_NATIVE);
	assert_int_equal(c->capacity.flows, 1000000);
	assert_int_equal(c->capacity.members, 64000);
	assert_int_equal(c->capacity.vips, 4000);
	assert_int_equal(c->capacity.ring_slots, 64000000);
	assert_int_equal(c->guard_removed_percent, 100);
	assert_int_equal(c->guard_syn_pps, 100000);
	assert_int_equal(c->gue_port, 6080);
	assert_false(c->gue_checksum6);
	assert_int_equal(vip->encap, ENCAP_IPIP);
	assert_int_equal(vip->scheduler, SCHEDULER_MAGLEV);
	assert_int_equal(vip->ring, 65537);
	assert_int_equal(vip->on_no_port, ON_NO_PORT_REPLY);
	assert_int_equal(vip->echo, ECHO_WHILE_UP);
	assert_int_equal(vip->on_down, ON_DOWN_REROUTE);
	assert_int_equal(vip->drain.timeout_ms, 0);
	assert_int_equal(vip->drain.then, DRAIN_KEEP);
	assert_false(vip->ejection.is_on);
	assert_int_equal(vip->ejection.max_ejected_percent, 10);
	assert_int_equal(vip->timeouts.tcp_ms, 3600000);
	assert_int_equal(vip->timeouts.tcp_closing_ms, 30000);
	assert_int_equal(vip->timeouts.tcp_unproven_ms, 30000);
	assert_int_equal(vip->timeouts.udp_ms, 60000);
	assert_int_equal(vip->health.type, HEALTH_TYPE_TCP);
	assert_int_equal(vip->health.port, 0);
	assert_int_equal(vip->health.interval_ms, 1000);
	assert_int_equal(vip->health.timeout_ms, 500);
	assert_int_equal(vip->health.fall, 3);
	assert_int_equal(vip->health.rise, 2);
	assert_int_equal(vip->health.jitter_percent, 10);
	assert_null(vip->health.path);
	assert_int_equal(vip->reals[0].weight, 100);
	config_free(c);
}

static void a_source_is_taken_key_by_key_and_only_where_the_scheduler_asks(void **state)
{
	struct config *c = parse_config(
		IF "defaults: {scheduler: source, source: {prefix4: 24, affinity: 5m}}\n"
		   "vips:\n"
		   "- {name: a, address: 192.0.2.1, port: 80, protocol: tcp}\n"
		   "- {name: b, address: 192.0.2.2, port: 80, protocol: tcp,\n"
		   "   source: {tuple: 3, prefix6: 56, affinity: 1s}}\n"
		   "- {name: c, address: 192.0.2.3, port: 80, protocol: tcp, scheduler: lc}\n");

	assert_int_equal(vip_schedule(&c->vips[0]), SCHEDULE_WORD(SCHEDULER_SOURCE, 1, 24, 128));
	assert_int_equal(c->vips[0].source.affinity_ms, 300000);
	assert_int_equal(vip_schedule(&c->vips[1]), SCHEDULE_WORD(SCHEDULER_SOURCE, 3, 24, 56));
	assert_int_equal(c->vips[1].source.affinity_ms, 1000);
	assert_int_equal(vip_schedule(&c->vips[2]), SCHEDULER_LC);
	assert_int_equal(config_schedulers(c),
			 1 << SCHEDULER_MAGLEV | 1 << SCHEDULER_SOURCE | 1 << SCHEDULER_LC);
	config_free(c);
}

static void networks_port_ranges_and_connection_ids_are_read(void **state)
{
	struct config *c = parse_config(
		IF "encap: {source4: 10.0.0.10}\n"
		   "vips:\n"
		   "- {name: net, address: 192.0.2.0/24, port: 8000-8100, protocol: tcp}\n"
		   "- {name: quic, address: 198.51.100.1, port: 443, protocol: udp,\n"
		   "   reals: [{address: 10.1.0.1, server_id: 0a0b}],\n"
		   "   quic: [{rotation: 1, server_id_length: 2, nonce_length: 6},\n"
		   "          {rotation: 2, server_id_length: 2, nonce_length: 7}]}\n");
	const struct vip_spec *net = config_find_vip(c, "net"), *quic = config_find_vip(c, "quic");

	assert_int_equal(net->host_bits, 8);
	assert_int_equal(net->port, 8000);
	assert_int_equal(net->port_last, 8100);
	assert_int_equal(quic->host_bits, 0);
	assert_int_equal(quic->n_quic, 2);
	for (uint8_t i = 0; i < 2; i++) {
		assert_int_equal(quic->quic[i].rotation, 1 + i);
		assert_int_equal(quic->quic[i].server_id_length, 2);
		assert_int_equal(quic->quic[i].nonce_length, 6 + i);
	}
	config_free(c);
}

static void values_are_read_with_their_units(void **state)
{
	struct config *c = parse_config(
		"interfaces: [{name: eth0.100, attach: exclusive, mode: generic}]\n"
		"bpffs: /sys/fs/bpf/other\n"
		"encap: {source4: 10.0.0.0/16, source6: \"fd00:1::1\", gue_port: 4754,\n"
		"  gue_checksum6: computed}\n"
		"capacity: {flows: 64k, members: 1M, vips: 100, ring_slots: \"2M\"}\n"
		"guard: {max_removed: 50%, syn_rate: 20k/s}\n"
		"vips:\n"
		"- name: dns\n  address: \"2001:db8::10\"\n  port: \"53\"\n  protocol: udp\n"
		"  encap: gue\n  ring: 251\n  slow_start: 0s\n  on_no_port: drop\n  echo: always\n"
		"  on_down: reset\n  drain: {timeout: 5m, then: move}\n"
		"  ejection: {enabled: true, interval: 2s, min_flows: 7, time: 3s, max_time: 1h,\n"
		"    max_ejected: 50%, trial: 1%}\n"
		"  timeouts: {tcp: 24h, tcp_closing: 1m, tcp_unproven: 1500ms, udp: 2s}\n"
		"  health: {type: none}\n"
		"  reals:\n  - {address: 10.1.0.1, weight: 0, backup: false}\n"
		"  - {address: \"fd00::2\", weight: 65535}\n");
	const struct vip_spec *vip = config_find_vip(c, "dns");
	struct ip_addr addr;

	assert_string_equal(c->interfaces[0].name, "eth0.100");
	assert_int_equal(c->interfaces[0].mode, ATTACH_GENERIC);
	assert_string_equal(c->bpffs, "/sys/fs/bpf/other");
	assert_int_equal(c->source4.prefix_len, 16);
	assert_int_equal(c->source6.prefix_len, 128);
	assert_int_equal(c->gue_port, 4754);
	assert_true(c->gue_checksum6);
	assert_int_equal(c->capacity.flows, 64000);
	assert_int_equal(c->capacity.members, 1000000);
	assert_int_equal(c->capacity.ring_slots, 2000000);
	assert_int_equal(c->guard_removed_percent, 50);
	assert_int_equal(c->guard_syn_pps, 20000);
	assert_int_equal(vip->port, 53);
	assert_int_equal(vip->protocol, IPPROTO_UDP);
	assert_int_equal(vip->encap, ENCAP_GUE);
	assert_int_equal(vip->ring, 251);
	assert_int_equal(vip->on_no_port, ON_NO_PORT_DROP);
	assert_int_equal(vip->echo, ECHO_ALWAYS);
	assert_int_equal(vip->on_down, ON_DOWN_RESET);
	assert_int_equal(vip->drain.timeout_ms, 300000);
	assert_int_equal(vip->drain.then, DRAIN_MOVE);
	assert_true(vip->ejection.is_on);
	assert_int_equal(vip->ejection.interval_ms, 2000);
	assert_int_equal(vip->ejection.min_flows, 7);
	assert_int_equal(vip->ejection.time_ms, 3000);
	assert_int_equal(vip->ejection.max_time_ms, 3600000);
	assert_int_equal(vip->ejection.max_ejected_percent, 50);
	assert_int_equal(vip->ejection.trial_percent, 1);
	assert_int_equal(vip->timeouts.tcp_ms, 86400000);
	assert_int_equal(vip->timeouts.tcp_closing_ms, 60000);
	assert_int_equal(vip->timeouts.tcp_unproven_ms, 1500);
	assert_int_equal(vip->timeouts.udp_ms, 2000);
	assert_int_equal(vip->health.type, HEALTH_TYPE_NONE);
	assert_int_equal(vip->mark.line, 8);
	assert_int_equal(vip->mark.column, 3);
	assert_int_equal(addr_parse("fd00::2", &addr), 0);
	assert_int_equal(vip_find_real(vip, &addr)->weight, 65535);
	assert_int_equal(vip_find_real(vip, &addr)->mark.line, 25);
	assert_null(config_find_vip(c, "web"));
	config_free(c);
}

static void a_vip_overrides_defaults_key_by_key(void **state)
{
	struct config *c = parse_config(VIP
					", health: {fall: 9}, timeouts: {udp: 5s}, ring: 1009, "
					"drain: {timeout: 3s}}\n"
					"defaults:\n"
					"  ring: 503\n  on_no_port: pass\n  echo: \"off\"\n"
					"  on_down: reset\n  drain: {timeout: 9s, then: reset}\n"
					"  timeouts: {tcp: 2h, udp: 7s}\n"
					"  health: {type: http, path: /up, fall: 5, rise: 4}\n");
	const struct vip_spec *vip = &c->vips[0];

	assert_int_equal(vip->ring, 1009);
	assert_int_equal(vip->on_no_port, ON_NO_PORT_PASS);
	assert_int_equal(vip->echo, ECHO_OFF);
	assert_int_equal(vip->on_down, ON_DOWN_RESET);
	assert_int_equal(vip->drain.timeout_ms, 3000);
	assert_int_equal(vip->drain.then, DRAIN_RESET);
	assert_int_equal(vip->timeouts.udp_ms, 5000);
	assert_int_equal(vip->timeouts.tcp_ms, 7200000);
	assert_int_equal(vip->health.fall, 9);
	assert_int_equal(vip->health.rise, 4);
	assert_string_equal(vip->health.path, "/up");
	config_free(c);
}

static void a_vip_has_the_reals_of_its_pools(void **state)
{
	struct config *c = parse_config(
		IF "encap: {source4: 10.0.0.10}\n"
		   "defaults: {panic: 50%, slow_start: 30s, min_healthy: 2, backup_below: 40%}\n"
		   "pools:\n"
		   "- {name: blue, reals: [{address: 10.1.0.1, weight: 7}, {address: 10.1.0.2, "
		   "backup: 3}]}\n"
		   "- {name: green, reals: [{address: 10.1.1.1}]}\n"
		   "vips:\n"
		   "- {name: canary, address: 192.0.2.1, port: 80, protocol: tcp, on_all_down: "
		   "backup,\n"
		   "   pools: [{name: green, weight: 10, backup: true}, {name: blue}]}\n"
		   "- {name: late, address: 192.0.2.4, port: 80, protocol: tcp, backup_below: 3,\n"
		   "   pools: [{name: green, backup: 7}, {name: blue, backup: 2}]}\n"
		   "- {name: one, address: 192.0.2.2, port: 80, protocol: tcp, pool: blue, "
		   "min_healthy: 60%,\n"
		   "   slow_start: 0s, panic: 0%}\n"
		   "- {name: own, address: 192.0.2.3, port: 80, protocol: tcp}\n"
		   "- {name: told, address: 192.0.2.5, port: 80, protocol: tcp, on_all_down: "
		   "reset}\n");
	const struct vip_spec *canary = &c->vips[0], *late = &c->vips[1];
	const struct vip_spec *one = &c->vips[2], *own = &c->vips[3], *told = &c->vips[4];

	assert_int_equal(canary->n_pools, 2);
	assert_string_equal(canary->pools[0].name, "green");
	assert_int_equal(canary->pools[0].weight, 10);
	assert_int_equal(canary->pools[0].backup_level, 1);
	assert_int_equal(canary->pools[1].weight, 100);
	assert_int_equal(canary->n_reals, 3);
	assert_int_equal(canary->reals[0].pool, 0);
	assert_int_equal(canary->reals[0].backup_level, 1); /* by its pool */
	assert_int_equal(canary->reals[1].pool, 1);
	assert_int_equal(canary->reals[1].weight, 7);
	assert_int_equal(canary->reals[1].backup_level, 0);
	assert_int_equal(canary->reals[2].backup_level, 3); /* by itself */
	assert_int_equal(canary->on_all_down, ALL_DOWN_BACKUP);
	assert_int_equal(canary->slow_start_ms, 30000);
	assert_int_equal(canary->min_healthy.value, 2);
	assert_false(canary->min_healthy.is_percent);
	assert_int_equal(canary->backup_below.value, 40);
	assert_true(canary->backup_below.is_percent);
	assert_int_equal(late->backup_below.value, 3);
	assert_false(late->backup_below.is_percent);
	assert_int_equal(late->reals[0].backup_level, 7);
	assert_int_equal(late->reals[1].backup_level, 2); /* by its pool */
	assert_int_equal(late->reals[2].backup_level, 3); /* the higher of both */
	assert_int_equal(one->n_pools, 1);
	assert_int_equal(one->n_reals, 2);
	assert_int_equal(one->on_all_down, ALL_DOWN_DROP);
	assert_int_equal(one->slow_start_ms, 0);
	assert_int_equal(one->min_healthy.value, 60);
	assert_true(one->min_healthy.is_percent);
	assert_int_equal(own->n_pools, 0);
	assert_int_equal(own->on_all_down, ALL_DOWN_ALL); /* panic includes it, unless told */
	assert_int_equal(told->on_all_down, ALL_DOWN_RESET);
	config_free(c);
}

static void the_encapsulations_in_use_are_those_of_the_vips(void **state)
{
	struct config *c = parse_config(VIP
					"}\n"
					"- {name: b, address: 192.0.2.11, port: 80, protocol: tcp, "
					"encap: ipip}\n"
					"defaults: {encap: gue}\n");

	assert_int_equal(c->vips[0].encap, ENCAP_GUE);
	assert_int_equal(c->vips[1].encap, ENCAP_IPIP);
	assert_int_equal(config_encaps(c), 1u << ENCAP_GUE | 1u << ENCAP_IPIP);
	c->n_vips = 1;
	assert_int_equal(config_encaps(c), 1u << ENCAP_GUE);
	c->n_vips = 2;
	config_free(c);
}

static void l2dsr_needs_no_source_and_takes_reals_of_either_family(void **state)
{
	struct config *c = parse_config(IF
					"vips:\n"
					"- {name: a, address: 192.0.2.1, port: 80, protocol: tcp,\n"
					"   encap: l2dsr, reals: [{address: 10.1.0.1}, "
					"{address: \"fd00::1\"}]}\n");

	assert_int_equal(c->vips[0].encap, ENCAP_L2DSR);
	assert_int_equal(c->vips[0].n_reals, 2);
	config_free(c);
}

static void a_file_may_have_no_vips_and_a_vip_no_reals(void **state)
{
	struct config *none = parse_config(IF), *empty = parse_config(VIP ", reals: []}\n");

	assert_int_equal(none->n_vips, 0);
	assert_int_equal(empty->vips[0].n_reals, 0);
	config_free(none);
	config_free(empty);
}

static void tcp_and_udp_may_share_address_and_port(void **state)
{
	struct config *c = parse_config(
		VIP "}\n"
		    "- {name: b, address: 192.0.2.10, port: 80, protocol: udp}\n");

	assert_int_equal(c->n_vips, 2);
	config_free(c);
}

static void capacity_may_be_used_to_the_last_row(void **state)
{
	config_free(parse_config(VIP ", ring: 251, reals: [{address: 10.1.0.1}]}\n"
				     "capacity: {vips: 1, ring_slots: 576}\n"));
}

static void memory_follows_the_capacities(void **state)
{
	struct config *c = parse_config(
		IF "capacity: {flows: 1M, members: 1000, vips: 10, ring_slots: 32000}\n");
	uint64_t bytes = config_memory_bytes(c, 4);
	const size_t a_cpu = sizeof(struct stats) + sizeof(struct reply_limit) +
			     sizeof(struct syn_window);

	assert_int_equal(config_memory_bytes(c, 5) - bytes, 1000 * 32 + 10 * 8 + a_cpu);
	bytes -= FRAGMENTS * (40 + 24 + 48);
	bytes -= 4 * a_cpu;
	bytes -= 16 * (128 + 1024); /* for 7 * 10 configurations and 1000 server IDs of QUIC */
	bytes -= 1000 * 16 + 65536 * 64; /* loads; sources that came before */
	assert_in_range(bytes, 16000000 + 64000 + 4 * 32000 + 64000 + 65536,
			16000000 + 64000 + 4 * 32000 + 64000 + 65536 + 10500);
	config_free(c);
}

static void flow_buckets_are_even_and_half_full_with_a_margin_for_small_tables(void **state)
{
	static const uint32_t cases[][2] = {{0, 2},
					    {1, 2},
					    {8, 2},
					    {9, 4},
					    {999, 250},
					    {1000, 258},
					    {1001, 258},
					    {100000, 25782},
					    {999999, 257812},
					    {1000000, 250000},
					    {4294967295u, 1073741824}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(sizing_flow_buckets(cases[i][0]), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_has_the_documented_default),
		cmocka_unit_test(a_source_is_taken_key_by_key_and_only_where_the_scheduler_asks),
		cmocka_unit_test(networks_port_ranges_and_connection_ids_are_read),
		cmocka_unit_test(values_are_read_with_their_units),
		cmocka_unit_test(a_vip_overrides_defaults_key_by_key),
		cmocka_unit_test(a_vip_has_the_reals_of_its_pools),
		cmocka_unit_test(the_encapsulations_in_use_are_those_of_the_vips),
		cmocka_unit_test(l2dsr_needs_no_source_and_takes_reals_of_either_family),
		cmocka_unit_test(a_file_may_have_no_vips_and_a_vip_no_reals),
		cmocka_unit_test(tcp_and_udp_may_share_address_and_port),
		cmocka_unit_test(capacity_may_be_used_to_the_last_row),
		cmocka_unit_test(memory_follows_the_capacities),
		cmocka_unit_test(
			flow_buckets_are_even_and_half_full_with_a_margin_for_small_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
