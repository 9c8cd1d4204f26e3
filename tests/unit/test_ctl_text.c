// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How xdplbctl turns JSON into text, and its guess at mistyped words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/suggest.h"
#include "ctl/table.h"
#include "ctl/yaml_out.h"
#include "lib/config.h"

static void a_cell_reads_as_a_person_says_it(void **state)
{
	static const struct {
		const char *json;
		cell_fn format;
		const char *expect;
	} rows[] = {
		{"{\"x\": \"web\"}", cell_text, "web"},
		{"{\"x\": null}", cell_text, "-"},
		{"{}", cell_text, "-"},
		{"{\"x\": 7}", cell_text, "7"},
		{"{\"x\": true}", cell_text, "true"},
		{"{\"x\": 7}", cell_number, "7"},
		{"{\"x\": true}", cell_yes_no, "yes"},
		{"{\"x\": false}", cell_yes_no, "no"},
		{"{}", cell_yes_no, "-"},
		{"{\"x\": 0}", cell_count, "0"},
		{"{\"x\": 999}", cell_count, "999"},
		{"{\"x\": 1000}", cell_count, "1.0k"},
		{"{\"x\": 12345}", cell_count, "12.3k"},
		{"{\"x\": 999999}", cell_count, "1.0M"},
		{"{\"x\": 7654321}", cell_count, "7.7M"},
		{"{\"x\": 5000000000000000}", cell_count, "5000.0T"},
		{"{\"x\": null}", cell_count, "-"},
		{"{\"x\": 1023}", cell_bytes, "1023 B"},
		{"{\"x\": 1024}", cell_bytes, "1.0 KiB"},
		{"{\"x\": 1572864}", cell_bytes, "1.5 MiB"},
		{"{\"x\": 0}", cell_duration, "0ms"},
		{"{\"x\": 999}", cell_duration, "999ms"},
		{"{\"x\": 1500}", cell_duration, "1.5s"},
		{"{\"x\": 59999}", cell_duration, "59s"},
		{"{\"x\": 192000}", cell_duration, "3m12s"},
		{"{\"x\": 7260000}", cell_duration, "2h1m"},
		{"{\"x\": 187200000}", cell_duration, "2d4h"},
		{"{\"x\": null}", cell_duration, "-"},
		{"{\"x\": 182}", cell_next, "182ms"},
		{"{\"x\": 0}", cell_next, "now"},
		{"{\"x\": null}", cell_next, "-"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *row = json_loads(rows[i].json, 0, NULL);
		char cell[CELL_MAX];

		rows[i].format(row, "x", cell);
		assert_string_equal(cell, rows[i].expect);
		json_decref(row);
	}
}

/* WHY of real list, and of health list. */
static void a_real_says_why(void **state)
{
	static const struct {
		const char *json, *why, *reason;
	} rows[] = {
		{"'state': 'up', 'reason': 'status 200', 'reason_since_ms': 9000, 'last_ok': true,"
		 " 'last_result': 'status 200', 'weight': 1, 'effective_weight': 1",
		 "status 200, 9.0s", "status 200"},
		{"'state': 'unknown', 'reason': null, 'reason_since_ms': 900, 'last_ok': null",
		 "no result yet, 900ms", "no result yet"},
		{"'state': 'up', 'reason': 'not probed', 'reason_since_ms': 9000",
		 "not probed, 9.0s", "not probed"},
		{"'state': 'up', 'reason': 'not probed: ENFILE', 'reason_since_ms': 9000,"
		 " 'assumed': true",
		 "not probed: ENFILE, 9.0s; assumed up until its first result",
		 "not probed: ENFILE; assumed up until its first result"},
		/* Down since before the last news of it. */
		{"'state': 'down', 'reason': 'agent: drain', 'since_ms': 90000,"
		 " 'reason_since_ms': 5000, 'weight': 1, 'effective_weight': 0",
		 "agent: drain, 1m30s", "agent: drain"},
		{"'state': 'drained', 'reason': 'agent: drain', 'since_ms': 90000,"
		 " 'reason_since_ms': 5000, 'weight': 1, 'effective_weight': 0",
		 "agent: drain, 5.0s", "agent: drain"},
		{"'state': 'down', 'reason': 'status 503', 'since_ms': 90000, 'held_down_ms': 8000,"
		 " 'flaps': 2, 'last_result': 'status 200', 'last_ok': true",
		 "status 503, 1m30s; held down 8.0s more, 2 flaps; last: status 200",
		 "status 503; held down 8.0s more, 2 flaps; last: status 200"},
		{"'state': 'up', 'reason': 'status 429', 'reason_since_ms': 1, 'flaps': 3,"
		 " 'lowered_percent': 70, 'weight': 10, 'effective_weight': 3",
		 "status 429, 1ms; weight lowered by 70%; 3 flaps",
		 "status 429; weight lowered by 70%; 3 flaps"},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 1, 'held_back_percent': 60,"
		 " 'weight': 10, 'effective_weight': 4",
		 "x, 1ms; slow start, 60% held back", NULL},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 1, 'weight': 0,"
		 " 'backup_level': 1, 'effective_weight': 0",
		 "x, 1ms; no new flows: its weight is 0", NULL},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 1, 'weight': 5,"
		 " 'backup_level': 2, 'effective_weight': 0",
		 "x, 1ms; no new flows: it is a backup of level 2", NULL},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 1, 'weight': 5,"
		 " 'backup_level': 2, 'effective_weight': 5",
		 "x, 1ms; serves, a backup of level 2", NULL},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 1, 'weight': 5,"
		 " 'backup_level': 0, 'effective_weight': 0",
		 "x, 1ms; no new flows: its pool has none", NULL},
		{"'state': 'down', 'reason': 'x', 'since_ms': 1, 'weight': 5, 'effective_weight': "
		 "5",
		 "x, 1ms; gets new flows all the same: too few are up", NULL},
		{"'state': 'ejected', 'reason': 'x', 'reason_since_ms': 9000, 'weight': 5,"
		 " 'circuit': {'state': 'open', 'since_ms': 5000, 'left_ms': 25000,"
		 " 'repeated_share': 0.826, 'others_share': 0.002}, 'effective_weight': 0",
		 "83% of its SYNs repeated, others 0%, 5.0s, ends in 25s; x, 9.0s", "x"},
		{"'state': 'ejected', 'reason': 'x', 'reason_since_ms': 9000, 'weight': 5,"
		 " 'circuit': {'state': 'open', 'since_ms': 5000, 'left_ms': 25000,"
		 " 'repeated_share': 0.826, 'others_share': 0.002}, 'effective_weight': 5",
		 "83% of its SYNs repeated, others 0%, 5.0s, ends in 25s; x, 9.0s; gets new flows "
		 "all the "
		 "same: too few are up",
		 NULL},
		{"'state': 'up', 'reason': 'x', 'reason_since_ms': 9000, 'weight': 5,"
		 " 'circuit': {'state': 'half-open', 'since_ms': 5000, 'left_ms': null},"
		 " 'effective_weight': 1",
		 "on trial after an ejection, 5.0s; x, 9.0s", "x"},
		/* The operator's doing; what its probe says only if that speaks against it. */
		{"'state': 'draining', 'admin': 'drain', 'admin_since_ms': 7000, 'last_ok': true,"
		 " 'drain': {'left_ms': 60000, 'then': 'move'}, 'reason': 'x'",
		 "drain by operator, 7.0s, move in 1m0s", NULL},
		{"'state': 'drained', 'admin': 'drain', 'admin_since_ms': null, 'reason': 'x'",
		 "drain by operator", NULL},
		{"'state': 'down', 'admin': 'drain', 'admin_since_ms': 7000, 'reason': 'x',"
		 " 'since_ms': 5000, 'last_ok': true, 'held_down_ms': 1000, 'flaps': 2",
		 "drain by operator, 7.0s; x, 5.0s; held down 1.0s more, 2 flaps", NULL},
		{"'state': 'disabled', 'admin': 'disabled', 'admin_since_ms': 7000, 'reason': 'x',"
		 " 'reason_since_ms': 5000, 'last_ok': false, 'last_result': 'y'",
		 "disabled by operator, 7.0s; x, 5.0s; last: y", NULL},
		{"'state': 'removed', 'admin': 'removed', 'removed': true, 'admin_since_ms': 7000,"
		 " 'last_ok': null, 'reason': null",
		 "removed by operator, 7.0s", NULL},
		{"'state': 'removed', 'admin': 'enabled', 'removed': true, 'reason': null",
		 "no longer in the configuration; its flows finish", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512], cell[CELL_MAX];
		json_t *row;

		snprintf(text, sizeof(text), "{%s}", rows[i].json);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		row = json_loads(text, 0, NULL);
		assert_non_null(row);
		cell_why(row, "reason", cell);
		assert_string_equal(cell, rows[i].why);
		json_object_del(row, "effective_weight"); /* a probe has none */
		cell_reason(row, "reason", cell);
		if (rows[i].reason)
			assert_string_equal(cell, rows[i].reason);
		json_decref(row);
	}
}

static void a_dotted_field_is_found_in_its_parent(void **state)
{
	json_t *row = json_loads("{\"next_hop\": {\"mac\": \"aa\"}, \"none\": null}", 0, NULL);
	char cell[CELL_MAX];

	cell_text(row, "next_hop.mac", cell);
	assert_string_equal(cell, "aa");
	cell_text(row, "none.mac", cell);
	assert_string_equal(cell, "-");
	json_decref(row);
}

static void a_text_longer_than_a_cell_is_cut(void **state)
{
	char text[2 * CELL_MAX], cell[CELL_MAX];
	json_t *row;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	row = json_pack("{s:s}", "x", text);
	cell_text(row, "x", cell);
	assert_int_equal(strlen(cell), CELL_MAX - 1);
	json_decref(row);
}

static const struct column columns[] = {
	{"name", "NAME", cell_text},
	{"n", "PACKETS", cell_count},
	{"state", "STATE", cell_state},
};

static char *print(const char *json, bool has_colour)
{
	json_t *rows = json_loads(json, 0, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(table_print(out, rows, columns, 3, has_colour), 0);
	fclose(out);
	json_decref(rows);
	return text;
}

static const char two_rows[] = "[{\"name\": \"web\", \"n\": 5, \"state\": \"up\"},"
			       " {\"name\": \"dns\", \"n\": 2000, \"state\": \"down\"}]";

static void numbers_stand_to_the_right(void **state)
{
	char *text = print(two_rows, false);

	assert_string_equal(text, "NAME PACKETS STATE\n"
				  "web        5 up\n"
				  "dns     2.0k down\n");
	free(text);
}

static void colours_appear_only_when_asked_for(void **state)
{
	char *plain = print(two_rows, false);
	char *coloured = print(two_rows, true);

	assert_null(strchr(plain, '\033'));
	assert_non_null(strstr(coloured, "\033[32mup"));
	assert_non_null(strstr(coloured, "\033[31mdown"));
	free(plain);
	free(coloured);
}

static void a_record_is_one_line_per_column(void **state)
{
	json_t *row = json_loads("{\"name\": \"web\", \"n\": 5, \"state\": \"up\"}", 0, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(record_print(out, row, columns, 3, false), 0);
	fclose(out);
	assert_string_equal(text, "NAME    web\nPACKETS 5\nSTATE   up\n");
	free(text);
	json_decref(row);
}

static void the_nearest_word_is_suggested(void **state)
{
	static const char *const words[] = {"status", "vip", "real", "health", "stats", "config"};
	static const struct {
		const char *typed;
		const char *expect;
	} rows[] = {
		{"satus", "status"},
		{"reals", "real"},
		{"rael", "real"},
		{"vips", "vip"},
		{"helth", "health"},
		{"cofnig", "config"},
		{"stat", "stats"},
		{"xyzzy", NULL},
		{"completely-other-and-far-too-long-to-be-one", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *nearest = suggest_nearest(rows[i].typed, words, 6);

		if (rows[i].expect)
			assert_string_equal(nearest, rows[i].expect);
		else
			assert_null(nearest);
	}
}

static void yaml_quotes_what_would_not_be_read_back_as_text(void **state)
{
	static const struct {
		const char *text;
		bool expect;
	} rows[] = {
		{"web", false},		{"10.0.0.1", false}, {"/healthz", false}, {"1h", false},
		{"80", true},		{"1.5", true},	     {"", true},	  {"yes", true},
		{"Null", true},		{"fd00::1", true},   {"0x10", true},	  {"1e3", true},
		{"10.0.0.0/16", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(yaml_needs_quotes(rows[i].text), rows[i].expect);
}

static void a_document_becomes_yaml(void **state)
{
	json_t *document = json_loads("{\"bpffs\": \"/sys\", \"vips\": [{\"name\": \"web\","
				      " \"address\": \"2001:db8::1\", \"port\": 80,"
				      " \"verify\": true, \"reals\": []}]}",
				      0, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(yaml_print(out, document), 0);
	fclose(out);
	assert_string_equal(text, "bpffs: /sys\n"
				  "vips:\n"
				  "- name: web\n"
				  "  address: \"2001:db8::1\"\n"
				  "  port: 80\n"
				  "  verify: true\n"
				  "  reals: []\n");
	free(text);
	json_decref(document);
}

static void the_running_configuration_as_yaml_can_be_applied_again(void **state)
{
	static const char text[] =
		"interfaces: [{name: eth0.100}]\n"
		"encap: {source4: 10.0.0.0/16, source6: \"fd00:1::/64\"}\n"
		"vips:\n"
		"  - name: web\n"
		"    address: \"2001:db8::10\"\n"
		"    port: 80\n"
		"    protocol: tcp\n"
		"    health: {type: http, path: /healthz, expect: [200, 204], host: \"80\"}\n"
		"    reals: [{address: 10.1.0.1, weight: 7}]\n"
		"  - {name: empty, address: 192.0.2.1, port: 53, protocol: udp,\n"
		"     health: {type: none}, reals: []}\n";
	struct config *before, *after;
	json_t *first, *second;
	struct err err = {};
	char *yaml = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&yaml, &len);

	if (config_parse("before", text, strlen(text), &before, &err) < 0)
		fail_msg("%s", err.text);
	first = config_to_json(before);
	assert_int_equal(yaml_print(out, first), 0);
	fclose(out);
	if (config_parse("after", yaml, len, &after, &err) < 0)
		fail_msg("%s\n%s", err.text, yaml);
	second = config_to_json(after);
	assert_true(json_equal(first, second));
	json_decref(first);
	json_decref(second);
	config_free(before);
	config_free(after);
	free(yaml);
}

static void path_segments_and_queries_are_escaped(void **state)
{
	char *path = client_path("reals", "a/b c", "2001:db8::1", NULL);

	path = client_path_query(path, "name", "x&y");
	path = client_path_query(path, "force", "1");
	assert_string_equal(path, "/v1/reals/a%2Fb%20c/2001%3Adb8%3A%3A1?name=x%26y&force=1");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cell_reads_as_a_person_says_it),
		cmocka_unit_test(a_real_says_why),
		cmocka_unit_test(a_dotted_field_is_found_in_its_parent),
		cmocka_unit_test(a_text_longer_than_a_cell_is_cut),
		cmocka_unit_test(numbers_stand_to_the_right),
		cmocka_unit_test(colours_appear_only_when_asked_for),
		cmocka_unit_test(a_record_is_one_line_per_column),
		cmocka_unit_test(the_nearest_word_is_suggested),
		cmocka_unit_test(yaml_quotes_what_would_not_be_read_back_as_text),
		cmocka_unit_test(a_document_becomes_yaml),
		cmocka_unit_test(the_running_configuration_as_yaml_can_be_applied_again),
		cmocka_unit_test(path_segments_and_queries_are_escaped),
	};

	return cmocka_run_group_tests_name("ctl_text", tests, NULL, NULL);
}
