// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Snapshots as JSON: names and values that scripts rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/render.h"

static struct vip_spec specs[2];
static struct interface_spec interface_spec = {.name = "eth0.100", .mode = ATTACH_GENERIC};
static struct config config;
static struct snapshot_interface interfaces[1];
static struct snapshot_vip vips[2];
static struct snapshot_real reals[3];
static struct stats stats[2];
static uint64_t forwarded[2] = {30, 12};
static struct snapshot snapshot;

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void fill_real(struct snapshot_real *real, const char *vip, const char *text,
		      enum real_state state)
{
	*real = (struct snapshot_real){
		.vip = vip,
		.address = address(text),
		.weight = 100,
		.share = 0.25,
		.state = state,
		.packets = UINT64_C(5000000000),
		.reason_since_ms = 8000,
		.health = {.type = HEALTH_TYPE_TCP,
			   .address = address(text),
			   .port = 8080,
			   .next_at_ms = 10400,
			   .state = {.verdict = HEALTH_UP, .since_ms = 7000}},
	};
}

/* VIP web has a healthy and a removed real, VIP dns one that is down. */
static int setup(void **state)
{
	specs[0] = (struct vip_spec){.name = (char *)"web",
				     .address = address("192.0.2.10"),
				     .port = 80,
				     .protocol = IPPROTO_TCP,
				     .ring = 65537};
	specs[1] = (struct vip_spec){.name = (char *)"dns",
				     .address = address("2001:db8::1"),
				     .port = 53,
				     .protocol = IPPROTO_UDP,
				     .ring = 251};
	config = (struct config){.file = (char *)"/etc/x.yaml",
				 .bpffs = (char *)"/sys/fs/bpf/x",
				 .capacity = {.flows = 1000000}};
	interfaces[0] = (struct snapshot_interface){.spec = &interface_spec,
						    .is_present = true,
						    .is_attached = true,
						    .has_link = true,
						    .ifindex = 7,
						    .prog_id = 9};
	fill_real(&reals[0], "web", "10.1.0.1", REAL_UP);
	fill_real(&reals[1], "web", "10.1.0.2", REAL_REMOVED);
	fill_real(&reals[2], "dns", "2001:db8::2", REAL_DOWN);
	reals[0].has_next_hop = true;
	strcpy(reals[0].interface, "eth1");
	memcpy(reals[0].mac, "\x02\x00\x00\x00\x00\xfe", 6);
	reals[1].is_removed = true;
	reals[2].health.has_result = true;
	strcpy(reals[2].health.last_text, "connect: Connection refused");
	reals[2].health.last_at_ms = 9500;
	vips[0] = (struct snapshot_vip){.spec = &specs[0],
					.reals_up = 1,
					.first_real = 0,
					.n_reals = 2,
					.fingerprint = 0xabc,
					.standing = {.wanted = 1, .needed = 2},
					.alarms = 3,
					.joins = 4,
					.state_since_ms = 5000,
					.packets = 42};
	vips[1] = (struct snapshot_vip){
		.spec = &specs[1], .standing = {.state = VIP_DOWN}, .first_real = 2, .n_reals = 1};
	stats[0].drop_no_real = 3;
	stats[1].drop_no_real = 4;
	snapshot = (struct snapshot){
		.config = &config,
		.now_ms = 10000,
		.started_at_ms = 4000,
		.generation = 2,
		.flows = 17,
		.flows_scanned_at_ms = 9900,
		.flow_slots = 800,
		.interfaces = interfaces,
		.n_interfaces = 1,
		.vips = vips,
		.n_vips = 2,
		.reals = reals,
		.n_reals = 3,
		.n_cpus = 2,
		.stats = stats,
		.stats_total = {.drop_no_real = 7},
		.forwarded = forwarded,
		.forwarded_total = 42,
	};
	return 0;
}

/* The document as text; `document` is freed, the text by the caller. */
static char *dump(json_t *document)
{
	char *text;

	assert_non_null(document);
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s\nlacks %s", text, part);
}

static void status_tells_totals_and_interfaces(void **state)
{
	static const char *const parts[] = {
		"\"config\":\"/etc/x.yaml\"",
		"\"uptime_ms\":6000",
		"\"generation\":2",
		"\"adopted\":false",
		"\"name\":\"eth0.100\"",
		"\"mode\":\"generic\"",
		"\"attached\":true,\"link\":true",
		"\"vips\":2",
		"\"vips_up\":1,\"vips_degraded\":0,\"vips_panic\":1",
		"\"reals\":2",
		"\"reals_up\":1",
		"\"flows\":17",
		"\"capacity\":{\"flows\":1000000",
		"\"bpffs\":\"/sys/fs/bpf/x\"",
		"\"version\":",
		"\"pid\":",
	};
	char *text;

	vips[0].standing.state = VIP_PANIC;
	text = dump(render_status(&snapshot));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_has(text, parts[i]);
	free(text);
}

static void a_vip_has_the_fields_that_scripts_rely_on(void **state)
{
	json_t *list = render_vips(&snapshot);
	char *text = dump(json_incref(json_array_get(list, 0)));

	assert_string_equal(
		text,
		"{\"name\":\"web\",\"address\":\"192.0.2.10\",\"port\":80,"
		"\"protocol\":\"tcp\",\"scheduler\":\"maglev\",\"state\":\"up\","
		"\"since_ms\":5000,\"reals_up\":1,\"reals\":1,\"active_flows\":0,\"new_flows\":0,"
		"\"packets\":42,\"bytes\":0,\"ring\":65537,\"encap\":\"ipip\","
		"\"fingerprint\":\"0000000000000abc\",\"pools\":null,\"file_pools\":null,"
		"\"on_backup\":false,\"reason\":null,\"backup_level\":0,"
		"\"backup_below\":2,\"backup_joins\":4,\"min_healthy\":1,"
		"\"below_min_healthy\":false,\"min_healthy_alarms\":3}");
	free(text);
	json_decref(list);
}

static void a_vip_without_a_real_that_is_up_is_down(void **state)
{
	char *text = dump(render_vip(&snapshot, &vips[1]));

	assert_has(text, "\"state\":\"down\"");
	assert_has(text, "\"members\":[{\"vip\":\"dns\"");
	free(text);
}

static void a_vip_and_its_reals_name_their_pools(void **state)
{
	struct pool_use uses[] = {{.name = "blue", .weight = 90},
				  {.name = "spare", .weight = 100, .backup_level = 1}};
	char *text;

	specs[0].pools = uses;
	specs[0].n_pools = 2;
	specs[0].file_pools = (char *)"blue";
	reals[0].pool = "blue";
	text = dump(render_vip(&snapshot, &vips[0]));
	assert_has(text, "\"pools\":\"blue:90,spare:backup\"");
	assert_has(text, "\"file_pools\":\"blue\"");
	assert_has(text, "\"pool\":\"blue\"");
	free(text);
}

static void removed_reals_are_shown_by_themselves_and_not_among_the_vips(void **state)
{
	struct real_spec two[] = {{.address = address("10.1.0.1")},
				  {.address = address("10.1.0.2")}};
	char *text = dump(render_vip(&snapshot, &vips[1]));

	assert_has(text, "\"removed\":[]");
	free(text);
	reals[1].admin = ADMIN_REMOVED;
	vips[0].n_reals = 1;
	specs[0].reals = two;
	specs[0].n_reals = specs[0].n_removed = 1;
	text = dump(render_vip(&snapshot, &vips[0]));
	assert_has(text, "\"removed\":[\"10.1.0.2\"]");
	assert_null(strstr(text, "\"address\":\"10.1.0.2\""));
	free(text);
	vips[0].n_reals = 2;
	text = dump(render_real(&snapshot, &reals[1]));
	assert_has(text, "\"port\":80");
	assert_has(text, "\"state\":\"removed\",\"admin\":\"removed\","
			 "\"admin_since_ms\":null,\"drain\":null,\"removed\":true");
	assert_has(text, "\"health\":null");
	free(text);
}

static void a_drain_says_what_comes_of_it(void **state)
{
	char *text;

	reals[0].admin = ADMIN_DRAIN;
	reals[0].drain = (struct snapshot_drain){
		.has_deadline = true,
		.left_ms = 5,
		.then = DRAIN_MOVE,
		.removes = true,
		.waits_for = "handshakes",
	};
	text = dump(render_real(&snapshot, &reals[0]));
	assert_has(text, "\"drain\":{\"left_ms\":5,\"then\":\"move\",\"disables\":false,"
			 "\"removes\":true,\"waits_for\":\"handshakes\"}");
	free(text);
}

static void a_vip_says_why_its_backups_serve(void **state)
{
	static const struct {
		struct share below;
		uint8_t first, last;
		size_t slow;
		const char *reason;
	} rows[] = {
		{{50, true}, 0, 0, 0, "null"},
		{{50, true},
		 0,
		 1,
		 0,
		 "\"3 of 10 up, fewer than backup_below 50%: backups of level 1 serve too\""},
		{{4, false},
		 0,
		 3,
		 2,
		 "\"3 of 10 up (2 starting slowly), fewer than backup_below 4: "
		 "backups of levels 1 to 3 serve too\""},
		{{0, false}, 1, 1, 0, "\"no primary is up: backups of level 1 serve\""},
		{{5, false}, 2, 3, 0, "\"no primary is up: backups of levels 2 to 3 serve\""},
	};
	char *text, part[160];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		specs[0].backup_below = rows[i].below;
		vips[0].standing = (struct vip_standing){
			.up = 3,
			.slow = rows[i].slow,
			.counted = 10,
			.first_level = rows[i].first,
			.last_level = rows[i].last,
			.is_on_backup = rows[i].last > 0,
		};
		text = dump(render_vip(&snapshot, &vips[0]));
		snprintf(part, sizeof(part), "\"reason\":%s,\"backup_level\":%u", rows[i].reason,
			 rows[i].last);
		assert_has(text, part);
		free(text);
	}
}

static void a_vip_that_is_not_simply_up_says_why(void **state)
{
	static const struct {
		enum vip_condition state;
		size_t up;
		bool is_proven, is_below_min;
		enum all_down on_all_down;
		const char *reason;
	} rows[] = {
		{VIP_UP, 4, true, false, ALL_DOWN_DROP, "null"},
		{VIP_DEGRADED, 2, true, true, ALL_DOWN_DROP,
		 "\"2 of 4 up, fewer than min_healthy 75%\""},
		{VIP_PANIC, 1, true, false, ALL_DOWN_DROP,
		 "\"1 of 4 up, fewer than panic 50%: those that are down serve too\""},
		{VIP_PANIC, 0, true, false, ALL_DOWN_DROP,
		 "\"no real is well: those that are down or ejected serve\""},
		{VIP_DOWN, 0, true, true, ALL_DOWN_DROP,
		 "\"no real takes new flows: they are dropped\""},
		{VIP_DOWN, 0, false, true, ALL_DOWN_DROP,
		 "\"no real is proven up yet: new flows are dropped\""},
		{VIP_DOWN, 0, true, true, ALL_DOWN_RESET,
		 "\"no real takes new flows: they are refused\""},
		{VIP_DOWN, 0, false, true, ALL_DOWN_UNREACHABLE,
		 "\"no real is proven up yet: new flows are refused\""},
	};
	char *text, part[160];

	specs[0].min_healthy = (struct share){75, true};
	specs[0].panic_percent = 50;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		specs[0].on_all_down = rows[i].on_all_down;
		vips[0].standing = (struct vip_standing){
			.state = rows[i].state,
			.up = rows[i].up,
			.counted = 4,
			.is_proven = rows[i].is_proven,
			.is_below_min = rows[i].is_below_min,
		};
		text = dump(render_vip(&snapshot, &vips[0]));
		snprintf(part, sizeof(part), "\"reason\":%s,", rows[i].reason);
		assert_has(text, part);
		free(text);
	}
}

static void a_vip_says_how_it_does(void **state)
{
	static const char *const names[] = {
		[VIP_UP] = "up",
		[VIP_DEGRADED] = "degraded",
		[VIP_PANIC] = "panic",
		[VIP_DOWN] = "down",
	};
	char part[32], *text;

	for (int i = VIP_UP; i <= VIP_DOWN; i++) {
		vips[0].standing.state = i;
		vips[0].is_alarmed = i == VIP_DEGRADED;
		text = dump(render_vip(&snapshot, &vips[0]));
		snprintf(part, sizeof(part), "\"state\":\"%s\"", names[i]);
		assert_has(text, part);
		assert_has(text, i == VIP_DEGRADED ? "\"below_min_healthy\":true"
						   : "\"below_min_healthy\":false");
		free(text);
	}
}

static void a_real_has_the_fields_that_scripts_rely_on(void **state)
{
	json_t *list = render_reals(&snapshot);
	char *text = dump(json_incref(json_array_get(list, 0)));

	assert_string_equal(text, "{\"vip\":\"web\",\"address\":\"10.1.0.1\",\"port\":80,"
				  "\"protocol\":\"tcp\",\"weight\":100,\"effective_weight\":0,"
				  "\"state\":\"up\",\"admin\":\"enabled\","
				  "\"admin_since_ms\":null,\"drain\":null,"
				  "\"removed\":false,"
				  "\"member_id\":0,\"next_hop\":{\"interface\":\"eth1\","
				  "\"mac\":\"02:00:00:00:00:fe\"},\"active_flows\":0,"
				  "\"new_flows\":0,\"packets\":5000000000,\"bytes\":0,"
				  "\"reason\":null,\"since_ms\":3000,\"share\":0.25,"
				  "\"pool\":null,\"backup\":false,\"backup_level\":0,"
				  "\"last_ok\":null,\"last_result\":null,"
				  "\"last_duration_ms\":null,\"last_ago_ms\":null,"
				  "\"next_in_ms\":400,\"successes\":0,\"failures\":0,"
				  "\"reason_since_ms\":2000,\"held_back_percent\":0,"
				  "\"repeated_syns\":0,"
				  "\"circuit\":{\"state\":\"closed\",\"since_ms\":null,"
				  "\"left_ms\":null,"
				  "\"ejections\":0,\"repeated_share\":0.0,\"others_share\":0.0},"
				  "\"assumed\":false,\"lowered_percent\":0,\"flaps\":0,"
				  "\"held_down_ms\":0,\"transitions\":0,\"target\":0,"
				  "\"shared_by\":0}");
	free(text);
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "port")), 53);
	json_decref(list);
}

static void a_real_without_a_next_hop_says_null(void **state)
{
	char *text = dump(render_real(&snapshot, &reals[2]));

	assert_has(text, "\"next_hop\":null");
	assert_has(text, "\"reason\":\"connect: Connection refused\"");
	assert_has(text, "\"health\":{\"vip\":\"dns\"");
	free(text);
}

static void health_counts_time_from_now(void **state)
{
	json_t *list = render_health(&snapshot);
	char *text = dump(json_incref(json_array_get(list, 1)));

	assert_int_equal(json_array_size(list), 2); /* not the real that is removed */
	json_decref(list);
	assert_has(text, "\"port\":8080,\"type\":\"tcp\",\"state\":\"up\",\"since_ms\":3000");
	assert_has(text, "\"last_ago_ms\":500,\"next_in_ms\":400");
	free(text);
}

static void a_real_explains_itself(void **state)
{
	struct snapshot_real *real = &reals[2];
	char *text;

	real->reason = "status 503";
	real->advice.lowered_percent = 50;
	real->health.state.verdict = HEALTH_DOWN;
	real->health.state.held_until_ms = 12500;
	real->health.flaps = 3;
	real->health.transitions = 7;
	real->health.target = 9;
	real->health.shared_by = 2;
	text = dump(render_real(&snapshot, real));
	assert_has(text, "\"reason\":\"status 503\",\"since_ms\":3000,");
	assert_has(text, "\"last_ok\":false,\"last_result\":\"connect: Connection refused\"");
	assert_has(text, "\"last_ago_ms\":500,\"next_in_ms\":400");
	assert_has(text, "\"lowered_percent\":50,\"flaps\":3,\"held_down_ms\":2500,"
			 "\"transitions\":7,\"target\":9,\"shared_by\":2");
	free(text);
}

static void who_is_not_probed_says_so(void **state)
{
	struct snapshot_real *real = &reals[0];
	char *text;

	real->health.type = HEALTH_TYPE_NONE;
	text = dump(render_real(&snapshot, real));
	assert_has(text, "\"reason\":\"not probed\"");
	assert_has(text, "\"next_in_ms\":null");
	free(text);
	setup(state);
}

static void orders_and_ejections_say_since_when(void **state)
{
	struct snapshot_real *real = &reals[0];
	char *text;

	real->admin = ADMIN_DISABLED;
	real->has_admin_since = true;
	real->admin_for_ms = 77;
	real->held_back_percent = 60;
	real->circuit = (struct circuit){
		.state = CIRCUIT_OPEN, .since_ms = 9000, .until_ms = 13000, .permille = 500};
	text = dump(render_real(&snapshot, real));
	assert_has(text, "\"admin\":\"disabled\",\"admin_since_ms\":77,");
	assert_has(text, "\"reason_since_ms\":2000,\"held_back_percent\":60,");
	assert_has(text, "\"circuit\":{\"state\":\"open\",\"since_ms\":1000,\"left_ms\":3000,");
	free(text);
	setup(state);
}

static void a_probe_without_a_result_says_null(void **state)
{
	char *text = dump(render_health(&snapshot));

	assert_has(text, "\"last_result\":null,\"last_duration_ms\":null,\"last_ago_ms\":null");
	free(text);
}

static void a_reply_that_is_no_text_does_not_break_the_document(void **state)
{
	char *text;

	strcpy(reals[2].health.last_text, "status \xff\xfe.");
	text = dump(render_health(&snapshot));
	assert_has(text, "\"last_result\":\"status ??.\"");
	free(text);
}

static void stats_name_every_counter(void **state)
{
	json_t *total = render_stats(&snapshot, false);

	assert_int_equal(json_object_size(total), XDPLB_STATS + 1);
	assert_int_equal(json_integer_value(json_object_get(total, "forwarded")), 42);
	assert_int_equal(json_integer_value(json_object_get(total, "drop_no_real")), 7);
	json_decref(total);
}

static void stats_can_be_split_by_cpu(void **state)
{
	json_t *document = render_stats(&snapshot, true);
	json_t *cpu = json_array_get(json_object_get(document, "per_cpu"), 1);

	assert_int_equal(json_integer_value(json_object_get(cpu, "cpu")), 1);
	assert_int_equal(json_integer_value(json_object_get(cpu, "forwarded")), 12);
	assert_int_equal(json_integer_value(json_object_get(cpu, "drop_no_real")), 4);
	json_decref(document);
}

static void the_flow_count_says_how_old_it_is(void **state)
{
	char *text = dump(render_flow_count(&snapshot));

	assert_string_equal(text, "{\"flows\":17,\"unproven\":0,\"closing\":0,\"slots\":800,"
				  "\"scanned_ago_ms\":100}");
	free(text);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(status_tells_totals_and_interfaces),
		TEST(a_vip_has_the_fields_that_scripts_rely_on),
		TEST(a_vip_without_a_real_that_is_up_is_down),
		TEST(a_real_has_the_fields_that_scripts_rely_on),
		TEST(a_vip_and_its_reals_name_their_pools),
		TEST(removed_reals_are_shown_by_themselves_and_not_among_the_vips),
		TEST(a_drain_says_what_comes_of_it),
		TEST(a_vip_that_is_not_simply_up_says_why),
		TEST(a_vip_says_how_it_does),
		TEST(a_vip_says_why_its_backups_serve),
		TEST(a_real_without_a_next_hop_says_null),
		TEST(a_real_explains_itself),
		TEST(health_counts_time_from_now),
		TEST(who_is_not_probed_says_so),
		TEST(orders_and_ejections_say_since_when),
		TEST(a_probe_without_a_result_says_null),
		TEST(a_reply_that_is_no_text_does_not_break_the_document),
		TEST(stats_name_every_counter),
		TEST(stats_can_be_split_by_cpu),
		TEST(the_flow_count_says_how_old_it_is),
	};

	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
