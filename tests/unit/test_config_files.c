/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whole configuration files: the corpus in tests/unit/config, the example of the documentation, and
 * what becomes of files that are cut, damaged or huge. With --schema it prints the JSON Schema, for
 * tests/net/test_schema.py. Runs in the top directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <time.h>

#include "lib/addr.h"
#include "lib/config.h"
#include "lib/config_schema.h"

#define EXAMPLE	       "docs/example.yaml"
#define EXAMPLE_MAX    8192
#define MUTATIONS      20000
#define PARSE_LIMIT_MS 20000 /* of 10,000 VIPs x 100 reals, also under a sanitizer */

static struct config *load(const char *file)
{
	struct config *config = NULL;
	struct err err = {};

	if (config_load(file, &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

/* Parses from memory of the text's own size, so that a sanitizer sees a read past the end. */
static int parse_copy(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	struct config *config = NULL;
	struct err err = {};
	int ret;

	assert_non_null(copy);
	memcpy(copy, text, len);
	ret = config_parse("f.yaml", copy, len, &config, &err);
	free(copy);
	if (ret < 0)
		assert_int_equal(strncmp(err.text, "f.yaml:", 7), 0);
	config_free(config);
	return ret;
}

static size_t read_example(char *buf)
{
	FILE *f = fopen(EXAMPLE, "r");
	size_t len;

	assert_non_null(f);
	len = fread(buf, 1, EXAMPLE_MAX, f);
	assert_in_range(len, 100, EXAMPLE_MAX - 1);
	assert_int_equal(fclose(f), 0);
	return len;
}

static void the_example_is_a_configuration(void **state)
{
	struct config *config = load(EXAMPLE);

	assert_int_equal(config->n_vips, 2);
	assert_int_equal(config->vips[1].health.type, HEALTH_TYPE_HTTP);
	config_free(config);
}

static void good_files_parse(void **state)
{
	glob_t files;

	assert_int_equal(glob("tests/unit/config/good/*.yaml", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		config_free(load(files.gl_pathv[i]));
	globfree(&files);
}

static void bad_files_are_refused(void **state)
{
	struct config *config;
	struct err err;
	glob_t files;

	assert_int_equal(glob("tests/unit/config/bad/*.yaml", 0, NULL, &files), 0);
	assert_int_equal(glob("tests/unit/config/bad/semantic/*.yaml", GLOB_APPEND, NULL, &files),
			 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		if (config_load(files.gl_pathv[i], &config, &err) != -EINVAL)
			fail_msg("%s was taken", files.gl_pathv[i]);
		assert_int_equal(strncmp(err.text, files.gl_pathv[i], strlen(files.gl_pathv[i])),
				 0);
	}
	globfree(&files);
}

static void assert_same_reals(const struct real_spec *a, size_t n_a, const struct real_spec *b,
			      size_t n_b)
{
	assert_int_equal(n_a, n_b);
	for (size_t i = 0; i < n_a; i++) {
		assert_true(addr_equal(&a[i].address, &b[i].address));
		assert_int_equal(a[i].weight, b[i].weight);
		assert_int_equal(a[i].pool, b[i].pool);
		assert_int_equal(a[i].backup_level, b[i].backup_level);
	}
}

static void assert_same_vip(const struct vip_spec *a, const struct vip_spec *b)
{
	struct health_spec health = a->health;

	/* Shown as what it means, the VIP's. */
	if (health.port == 0)
		health.port = a->port;
	assert_string_equal(a->name, b->name);
	assert_true(addr_equal(&a->address, &b->address));
	assert_int_equal(a->host_bits, b->host_bits);
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->port_last, b->port_last);
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(vip_schedule(a), vip_schedule(b));
	assert_int_equal(a->source.affinity_ms, b->source.affinity_ms);
	assert_int_equal(a->ring, b->ring);
	assert_int_equal(a->on_no_port, b->on_no_port);
	assert_int_equal(a->echo, b->echo);
	assert_int_equal(a->on_down, b->on_down);
	assert_memory_equal(&a->drain, &b->drain, sizeof(a->drain));
	assert_int_equal(a->ejection.is_on, b->ejection.is_on);
	assert_int_equal(a->ejection.min_flows, b->ejection.min_flows);
	assert_int_equal(a->ejection.max_time_ms, b->ejection.max_time_ms);
	assert_memory_equal(&a->timeouts, &b->timeouts, sizeof(a->timeouts));
	assert_true(health_spec_equal(&health, &b->health));
	assert_int_equal(a->slow_start_ms, b->slow_start_ms);
	assert_int_equal(a->panic_percent, b->panic_percent);
	assert_int_equal(a->on_all_down, b->on_all_down);
	assert_int_equal(a->min_healthy.value, b->min_healthy.value);
	assert_int_equal(a->min_healthy.is_percent, b->min_healthy.is_percent);
	assert_int_equal(a->backup_below.value, b->backup_below.value);
	assert_int_equal(a->backup_below.is_percent, b->backup_below.is_percent);
	assert_int_equal(a->n_pools, b->n_pools);
	for (size_t i = 0; i < a->n_pools; i++) {
		assert_string_equal(a->pools[i].name, b->pools[i].name);
		assert_int_equal(a->pools[i].weight, b->pools[i].weight);
		assert_int_equal(a->pools[i].backup_level, b->pools[i].backup_level);
	}
	assert_same_reals(a->reals, a->n_reals, b->reals, b->n_reals);
}

static bool same_source(const struct encap_source *a, const struct encap_source *b)
{
	return a->is_set == b->is_set && a->prefix_len == b->prefix_len &&
	       addr_equal(&a->address, &b->address);
}

static void assert_same_config(const struct config *a, const struct config *b)
{
	assert_int_equal(a->n_interfaces, b->n_interfaces);
	for (size_t i = 0; i < a->n_interfaces; i++) {
		assert_string_equal(a->interfaces[i].name, b->interfaces[i].name);
		assert_int_equal(a->interfaces[i].mode, b->interfaces[i].mode);
	}
	assert_string_equal(a->bpffs, b->bpffs);
	assert_true(same_source(&a->source4, &b->source4));
	assert_true(same_source(&a->source6, &b->source6));
	assert_int_equal(a->gue_port, b->gue_port);
	assert_int_equal(a->gue_checksum6, b->gue_checksum6);
	assert_memory_equal(&a->capacity, &b->capacity, sizeof(a->capacity));
	assert_int_equal(a->guard_removed_percent, b->guard_removed_percent);
	assert_int_equal(a->guard_syn_pps, b->guard_syn_pps);
	assert_int_equal(a->n_pools, b->n_pools);
	for (size_t i = 0; i < a->n_pools; i++) {
		assert_string_equal(a->pools[i].name, b->pools[i].name);
		assert_same_reals(a->pools[i].reals, a->pools[i].n_reals, b->pools[i].reals,
				  b->pools[i].n_reals);
	}
	assert_int_equal(a->n_vips, b->n_vips);
	for (size_t i = 0; i < a->n_vips; i++)
		assert_same_vip(&a->vips[i], &b->vips[i]);
}

/* JSON is YAML: what is shown can be read again and means the same. */
static void what_is_shown_can_be_read_again(void **state)
{
	struct config *config, *again;
	struct err err = {};
	glob_t files;
	json_t *json;
	char *text;

	assert_int_equal(glob("tests/unit/config/good/*.yaml", 0, NULL, &files), 0);
	assert_int_equal(glob(EXAMPLE, GLOB_APPEND, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		config = load(files.gl_pathv[i]);
		json = config_to_json(config);
		text = json_dumps(json, JSON_INDENT(1));
		if (config_parse("shown", text, strlen(text), &again, &err) < 0)
			fail_msg("%s: %s", files.gl_pathv[i], err.text);
		assert_same_config(config, again);
		json_decref(json);
		free(text);
		config_free(again);
		config_free(config);
	}
	globfree(&files);
}

static void check_section(json_t *schema, const struct schema_section *section, const char *text)
{
	char key[64];

	for (size_t i = 0; i < section->n_fields; i++) {
		const struct schema_field *field = &section->fields[i];
		json_t *property = json_object_get(json_object_get(schema, "properties"),
						   field->key);

		snprintf(key, sizeof(key), "| `%s` |", field->key);
		assert_non_null(strstr(text, key));
		assert_non_null(property);
		assert_true(json_object_size(property) > 1);
		if (field->section && field->type == SCHEMA_LIST)
			property = json_object_get(property, "items");
		if (field->section)
			check_section(property, field->section, text);
	}
}

static void schema_and_reference_name_every_key(void **state)
{
	json_t *schema = config_json_schema();
	char *text = config_reference_markdown();

	assert_non_null(schema);
	assert_non_null(text);
	check_section(schema, &schema_file, text);
	json_decref(schema);
	free(text);
}

static void a_file_cut_anywhere_does_no_harm(void **state)
{
	char text[EXAMPLE_MAX];
	size_t len = read_example(text);

	for (size_t n = 0; n <= len; n++)
		(void)parse_copy(text, n); /* either answer is fine: it must give one */
}

static void a_damaged_file_does_no_harm(void **state)
{
	static const char spice[] = "[]{}:,-&*!|>'\"%@`#?\n\t \0\xff\xc3";
	char text[EXAMPLE_MAX], damaged[EXAMPLE_MAX];
	size_t len = read_example(text), refused = 0;
	uint32_t lcg = 1;

	for (size_t i = 0; i < MUTATIONS; i++) {
		memcpy(damaged, text, len);
		for (size_t k = 0; k <= i % 4; k++) {
			lcg = lcg * 1664525 + 1013904223;
			damaged[(lcg >> 8) % len] = i & 1 ? (char)(lcg >> 24)
							  : spice[(lcg >> 4) % sizeof(spice)];
		}
		refused += parse_copy(damaged, len) < 0;
	}
	assert_in_range(refused, MUTATIONS / 4, MUTATIONS);
}

static void deep_nesting_is_refused(void **state)
{
	const size_t depth = 1000000;
	char *text = malloc(depth);

	assert_non_null(text);
	memset(text, '[', depth);
	assert_int_equal(parse_copy(text, depth), -EINVAL);
	for (size_t i = 0; i < depth; i++)
		text[i] = i & 1 ? ' ' : '?';
	assert_int_equal(parse_copy(text, depth), -EINVAL);
	free(text);
}

static char *big_file(size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	assert_non_null(f);
	fprintf(f, "interfaces: [{name: eth0}]\nencap: {source4: 10.0.0.1}\n"
		   "capacity: {members: 1M, vips: 10k}\ndefaults: {ring: 251}\nvips:\n");
	for (unsigned int i = 0; i < 10000; i++) {
		fprintf(f, "- name: v%u\n  address: 192.0.%u.%u\n  port: 80\n  protocol: tcp\n", i,
			i >> 8, i & 255);
		fprintf(f, "  reals:\n");
		for (unsigned int j = 0; j < 100; j++)
			fprintf(f, "  - {address: 10.1.0.%u, weight: 5}\n", j + 1);
	}
	assert_int_equal(fclose(f), 0);
	return text;
}

static void a_million_reals_parse_in_reasonable_time(void **state)
{
	struct timespec start, end;
	size_t len;
	char *text = big_file(&len);

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_int_equal(parse_copy(text, len), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	free(text);
	assert_in_range((end.tv_sec - start.tv_sec) * 1000 +
				(end.tv_nsec - start.tv_nsec) / 1000000,
			0, PARSE_LIMIT_MS);
}

static int print_schema(void)
{
	json_t *schema = config_json_schema();
	int ret = json_dumpf(schema, stdout, JSON_INDENT(2));

	json_decref(schema);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_a_configuration),
		cmocka_unit_test(good_files_parse),
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(what_is_shown_can_be_read_again),
		cmocka_unit_test(schema_and_reference_name_every_key),
		cmocka_unit_test(a_file_cut_anywhere_does_no_harm),
		cmocka_unit_test(a_damaged_file_does_no_harm),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(a_million_reals_parse_in_reasonable_time),
	};

	if (argc == 2 && strcmp(argv[1], "--schema") == 0)
		return print_schema();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
