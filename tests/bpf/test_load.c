/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the verifier makes of each program: it prints instructions walked and stack depth, so that a
 * change that brings a limit near is seen before a kernel refuses it.
 */
#include "harness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "call_stack.h"
#include "probe.skel.h"
#include "receiver.skel.h"
#include "script.skel.h"
#include "verifier_record.h"
#include "xdplb/receiver_abi.h"
#include "xdplb.skel.h"

#define LOG_BYTES    (1u << 20)
#define MAX_VERIFIED 500000 /* half of the kernel's limit */
#define LAST_WORDS   1500
#define MAX_PROGRAMS 8 /* of one object */
#define STACK_LINE   "stack depth "

static char *log_of(struct bpf_program *prog)
{
	char *log = calloc(1, LOG_BYTES);

	assert_non_null(log);
	assert_int_equal(bpf_program__set_log_buf(prog, log, LOG_BYTES), 0);
	assert_int_equal(bpf_program__set_log_level(prog, 4), 0); /* statistics only */
	return log;
}

static const char *last_words(const char *log)
{
	size_t len = strlen(log);

	return len > LAST_WORDS ? log + len - LAST_WORDS : log;
}

/* "stack depth 168+24+0": all functions together. */
static uint32_t stack_bytes(const char *line)
{
	uint32_t sum = 0;
	char *at = (char *)line + strlen(STACK_LINE) - 1;

	do
		sum += strtoul(at + 1, &at, 10);
	while (*at == '+');
	return sum;
}

static const struct verifier_record *find_record(const char *program)
{
	for (size_t i = 0; i < sizeof(verifier_records) / sizeof(verifier_records[0]); i++) {
		if (!strcmp(verifier_records[i].program, program))
			return &verifier_records[i];
	}
	fail_msg("%s is not in verifier_record.h", program);
	return NULL;
}

static bool has_grown(uint32_t was, uint32_t is)
{
	return is > was + was / 10;
}

static void check_growth(const char *program, uint32_t instructions, uint32_t stack)
{
	const struct verifier_record *record = find_record(program);
	struct utsname kernel;

	assert_int_equal(uname(&kernel), 0);
	if (strncmp(kernel.release, VERIFIER_RECORD_KERNEL, strlen(VERIFIER_RECORD_KERNEL)) != 0)
		return;
	if (has_grown(record->instructions, instructions) || has_grown(record->stack, stack))
		fail_msg("%s has grown by over 10 %%: %u instructions verified, were %u; %u bytes "
			 "of stack, were %u. If that is meant, say so in verifier_record.h",
			 program, instructions, record->instructions, stack, record->stack);
}

static void check_call_stack(const struct bpf_program *prog, const char *depths)
{
	char chain[512] = "";
	uint32_t bytes = call_stack_deepest(bpf_program__fd(prog), depths, chain, sizeof(chain));

	print_message("# %s: the deepest calls take %u bytes of stack on Linux 6.1: %s\n",
		      bpf_program__name(prog), bytes, chain);
	if (bytes > CALL_STACK_MAX)
		fail_msg("%s would not load on Linux 6.1", bpf_program__name(prog));
}

static void check(const struct bpf_program *prog, const char *log)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info), stack = 0;
	const char *at = strstr(log, STACK_LINE);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	print_message("# %s: %u instructions verified, %u translated, %u bytes of machine code\n",
		      bpf_program__name(prog), info.verified_insns,
		      (unsigned int)(info.xlated_prog_len / 8), info.jited_prog_len);
	if (at) {
		print_message("# %s: %.*s\n", bpf_program__name(prog), (int)strcspn(at, "\n"), at);
		stack = stack_bytes(at);
		check_call_stack(prog, at + strlen(STACK_LINE));
	}
	assert_in_range(info.verified_insns, 1, MAX_VERIFIED);
	check_growth(bpf_program__name(prog), info.verified_insns, stack);
}

/* Loads all programs of the object, and looks at each: a new one needs no line here. */
static void load_and_check(struct bpf_object *obj)
{
	char *logs[MAX_PROGRAMS] = {};
	struct bpf_program *prog;
	size_t n = 0;

	bpf_object__for_each_program(prog, obj)
	{
		assert_true(n < MAX_PROGRAMS);
		logs[n++] = log_of(prog);
	}
	if (bpf_object__load(obj)) {
		for (size_t i = 0; i < n; i++)
			print_error("%s\n", last_words(logs[i]));
		fail_msg("the verifier's last words are above");
	}
	n = 0;
	bpf_object__for_each_program(prog, obj)
	{
		check(prog, logs[n]);
		free(logs[n++]);
	}
}

static void turn_everything_on(struct xdplb_bpf *skel)
{
	skel->rodata->knob_source4_entropy = ~0u;
	skel->rodata->knob_source6_entropy.w[3] = ~0u;
	skel->rodata->knob_encaps = 1u << ENCAP_IPIP | 1u << ENCAP_GUE | 1u << ENCAP_L2DSR;
	skel->rodata->knob_gue_checksum6 = true;
	skel->rodata->knob_quic = true;
	skel->rodata->knob_schedulers = ~0u;
	skel->rodata->knob_syn_window_limit = ~0u;
}

static void the_balancer_loads_far_from_the_verifiers_limits(void **state)
{
	struct xdplb_bpf *skel = xdplb_bpf__open();

	assert_non_null(skel);
	turn_everything_on(skel);
	load_and_check(skel->obj);
	xdplb_bpf__destroy(skel);
}

static void the_receiver_loads_far_from_the_verifiers_limits(void **state)
{
	struct receiver_bpf *skel = receiver_bpf__open();

	assert_non_null(skel);
	skel->rodata->knob_has_from = true;
	skel->rodata->knob_gue_port = htons(RECEIVER_GUE_PORT);
	load_and_check(skel->obj);
	receiver_bpf__destroy(skel);
}

static void the_program_of_probes_loads_far_from_the_verifiers_limits(void **state)
{
	struct probe_bpf *skel = probe_bpf__open();

	assert_non_null(skel);
	skel->rodata->knob_source4_entropy = ~0u;
	skel->rodata->knob_source6_entropy.w[3] = ~0u;
	skel->rodata->knob_gue_checksum6 = true;
	load_and_check(skel->obj);
	probe_bpf__destroy(skel);
}

static void the_programs_of_scripts_load_far_from_the_verifiers_limits(void **state)
{
	struct script_bpf *skel = script_bpf__open();

	assert_non_null(skel);
	load_and_check(skel->obj);
	script_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_balancer_loads_far_from_the_verifiers_limits),
		cmocka_unit_test(the_receiver_loads_far_from_the_verifiers_limits),
		cmocka_unit_test(the_program_of_probes_loads_far_from_the_verifiers_limits),
		cmocka_unit_test(the_programs_of_scripts_load_far_from_the_verifiers_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
