/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See call_stack.h. */
#include "harness.h"

#include "call_stack.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FUNCS     128
#define MAX_INSNS     65536
#define ROUNDED_UP(n) (((n) + 31) / 32 * 32)

struct graph {
	uint32_t n;
	uint32_t begin[MAX_FUNCS + 1]; /* first instruction */
	uint32_t bytes[MAX_FUNCS];
	bool calls[MAX_FUNCS][MAX_FUNCS];
	char name[MAX_FUNCS][64];
	/* what was found out: the deepest chain from here, and where it goes on */
	uint32_t deepest[MAX_FUNCS];
	uint32_t next[MAX_FUNCS];
};

static void read_names(struct graph *g, const struct bpf_func_info *funcs, uint32_t btf_id)
{
	struct btf *btf = btf__load_from_kernel_by_id(btf_id);

	assert_non_null(btf);
	for (uint32_t i = 0; i < g->n; i++) {
		const struct btf_type *type = btf__type_by_id(btf, funcs[i].type_id);

		g->begin[i] = funcs[i].insn_off;
		snprintf(g->name[i], sizeof(g->name[i]), "%s",
			 btf__name_by_offset(btf, type->name_off));
	}
	btf__free(btf);
}

static uint32_t func_at(const struct graph *g, uint32_t insn)
{
	uint32_t i = g->n - 1;

	while (i && g->begin[i] > insn)
		i--;
	return i;
}

static void read_calls(struct graph *g, const struct bpf_insn *insns, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_CALL)
			g->calls[func_at(g, i)][func_at(g, i + insns[i].off + 1)] = true;
	}
}

/* The kernel moves the distance of a call from imm to off when it has translated the program. */
static void read_graph(struct graph *g, int prog_fd)
{
	struct bpf_func_info *funcs = calloc(MAX_FUNCS, sizeof(*funcs));
	struct bpf_insn *insns = calloc(MAX_INSNS, sizeof(*insns));
	struct bpf_prog_info info = {
		.func_info = (uintptr_t)funcs,
		.func_info_rec_size = sizeof(*funcs),
		.nr_func_info = MAX_FUNCS,
		.xlated_prog_insns = (uintptr_t)insns,
		.xlated_prog_len = MAX_INSNS * sizeof(*insns),
	};
	uint32_t len = sizeof(info);

	assert_non_null(funcs);
	assert_non_null(insns);
	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &info, &len), 0);
	assert_in_range(info.nr_func_info, 1, MAX_FUNCS);
	assert_in_range(info.xlated_prog_len, 1, MAX_INSNS * sizeof(*insns));
	g->n = info.nr_func_info;
	read_names(g, funcs, info.btf_id);
	read_calls(g, insns, (uint32_t)(info.xlated_prog_len / sizeof(*insns)));
	free(insns);
	free(funcs);
}

/* There is no recursion in BPF: who is called often is looked at once. */
static uint32_t find_deepest(struct graph *g, uint32_t func)
{
	uint32_t below = 0;

	if (g->deepest[func])
		return g->deepest[func];
	g->next[func] = func;
	for (uint32_t i = 0; i < g->n; i++) {
		if (!g->calls[func][i] || i == func || find_deepest(g, i) <= below)
			continue;
		below = g->deepest[i];
		g->next[func] = i;
	}
	g->deepest[func] = below + ROUNDED_UP(g->bytes[func] ? g->bytes[func] : 1);
	return g->deepest[func];
}

static void write_chain(const struct graph *g, char *ret_chain, size_t size)
{
	uint32_t func = 0;
	size_t used = 0;

	for (;;) {
		used += (size_t)snprintf(ret_chain + used, size - used, "%s%s %u",
					 used ? " > " : "", g->name[func], g->bytes[func]);
		if (g->next[func] == func || used >= size)
			return;
		func = g->next[func];
	}
}

uint32_t call_stack_deepest(int prog_fd, const char *depths, char *ret_chain, size_t size)
{
	struct graph *g = calloc(1, sizeof(*g));
	char *at = (char *)depths;
	uint32_t deepest;

	assert_non_null(g);
	read_graph(g, prog_fd);
	for (uint32_t i = 0; i < g->n; i++, at++)
		g->bytes[i] = (uint32_t)strtoul(at, &at, 10);
	deepest = find_deepest(g, 0);
	write_chain(g, ret_chain, size);
	free(g);
	return deepest;
}
