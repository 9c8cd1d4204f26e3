/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdplb-receiver up: plan, remember, make each change, attach; on failure the other way round.
 * Lines on stdout are shell commands, or comments where no command does the same.
 */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "bpffs.h"
#include "lib/addr.h"
#include "prepare.h"
#include "state.h"

/* ---- What the program is told ------------------------------------------------------------- */

static bool has_address(const struct ip_addr *addrs, size_t n, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&addrs[i], addr))
			return true;
	return false;
}

/* Prints the items of `a` that `b` lacks; returns how many. */
static size_t print_new(const char *what, const struct ip_addr *a, size_t n_a,
			const struct ip_addr *b, size_t n_b)
{
	char text[ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < n_a; i++) {
		if (has_address(b, n_b, &a[i]))
			continue;
		printf("# %s %s\n", what, addr_format(&a[i], text));
		n++;
	}
	return n;
}

static bool same_from(const struct receiver_state *a, const struct receiver_state *b)
{
	if (a->n_from != b->n_from)
		return false;
	for (size_t i = 0; i < a->n_from; i++)
		if (a->from[i].bits != b->from[i].bits ||
		    !addr_equal(&a->from[i].address, &b->from[i].address))
			return false;
	return true;
}

static void print_from(const struct receiver_state *want)
{
	char text[PREFIX_TEXT_MAX];

	printf("# accept tunnel packets from");
	for (size_t i = 0; i < want->n_from; i++)
		printf("%s %s", i ? "," : "", prefix_format(&want->from[i], text));
	printf("%s\n", want->n_from ? " only" : " any source (--from restricts them)");
}

static void print_gue(const struct receiver_state *want)
{
	if (want->gue_port)
		printf("# decapsulate GUE on UDP port %u\n", want->gue_port);
	else
		printf("# no longer decapsulate GUE\n");
}

/* Says how program and maps differ from those of the last up; false: they do not. */
static bool print_program(const struct receiver_state *before, const struct receiver_state *want,
			  const struct attach_status *status)
{
	static const struct receiver_state none = {};
	bool is_ours = status->fact == ATTACH_OURS;
	bool is_generic = want->mode == ATTACH_GENERIC;
	size_t n = 0;

	if (!is_ours || status->is_generic != is_generic) {
		printf("# attach the XDP program to %s (%s), pinned in %s\n", want->interface,
		       is_generic ? "generic" : "native", want->pins);
		n++;
	} else if (before->program != want->program) {
		printf("# replace the XDP program on %s\n", want->interface);
		n++;
	}
	if (!is_ours)
		before = &none;
	n += print_new("decapsulate tunnel packets to", want->locals, want->n_locals,
		       before->locals, before->n_locals);
	n += print_new("no longer decapsulate tunnel packets to", before->locals, before->n_locals,
		       want->locals, want->n_locals);
	n += print_new("decapsulate for VIP", want->vips, want->n_vips, before->vips,
		       before->n_vips);
	if (want->gue_port != before->gue_port) {
		print_gue(want);
		n++;
	}
	if (!is_ours || !same_from(before, want)) {
		print_from(want);
		n++;
	}
	return n > 0;
}

/* ---- Doing -------------------------------------------------------------------------------- */

static void undo_changes(const struct receiver_state *want, size_t n_done)
{
	char text[512];
	struct err err;
	bool is_undone;

	while (n_done--) {
		const struct change *c = &want->changes[n_done];

		if (!c->is_made_now)
			continue;
		change_describe_undo(c, c->found_value, text, sizeof(text));
		if (change_undo(c, c->found_value, &is_undone, &err))
			fprintf(stderr, "xdplb-receiver: undo: %s\n", err.text);
		else if (is_undone)
			printf("%s   # undone\n", text);
	}
}

/* Makes the changes; ret_done counts how many of the list were passed, failed or not. */
static int make_changes(const struct options *options, const struct receiver_state *want,
			size_t *ret_done, struct err *err)
{
	char text[512];
	int r = 0;

	*ret_done = 0;
	for (size_t i = 0; i < want->n_changes && !r; i++) {
		const struct change *c = &want->changes[i];

		if (c->is_made_now) {
			if (!options->is_dry_run)
				r = change_make(c, err);
			change_describe(c, text, sizeof(text));
			if (!r)
				printf("%s\n", text);
		}
		if (!r)
			*ret_done = i + 1;
	}
	return r;
}

static int attach_program_of(const struct options *options, const struct receiver_state *before,
			     const struct receiver_state *want, const struct attach_status *status,
			     struct err *err)
{
	bool is_mounted;
	int r = bpffs_mount(want->pins, options->is_dry_run, &is_mounted, err);

	if (r)
		return r;
	if (is_mounted)
		printf("mount -t bpf bpf /sys/fs/bpf\n");
	if (!print_program(before, want, status) || options->is_dry_run)
		return 0;
	return attach_apply(want, err);
}

/* Puts the state file back to what the last up wrote. */
static void restore_state(const char *dir, const struct receiver_state *before,
			  const char *interface)
{
	struct err err;

	if (before->pins ? state_save(dir, before, &err) : state_remove(dir, interface, &err))
		fprintf(stderr, "xdplb-receiver: undo: %s\n", err.text);
}

static int apply(const struct options *options, const struct receiver_state *before,
		 const struct receiver_state *want, const struct attach_status *status,
		 struct err *err)
{
	size_t n_done = 0;
	int r = options->is_dry_run ? 0 : state_save(options->state_dir, want, err);

	if (r)
		return r;
	r = make_changes(options, want, &n_done, err);
	if (!r)
		r = attach_program_of(options, before, want, status, err);
	if (r && !options->is_dry_run) {
		undo_changes(want, n_done);
		restore_state(options->state_dir, before, want->interface);
	}
	return r;
}

/* Who holds the interface. A dry run without root cannot open the pin: the state file tells. */
static int look(const struct options *options, const struct receiver_state *before,
		struct attach_status *ret_status, struct err *err)
{
	struct attach_status status = {};
	char *pins = bpffs_pins(options->bpffs, options->interface);
	int r = pins ? attach_query(pins, options->interface, &status, err) : -ENOMEM;

	if ((r == -EPERM || r == -EACCES) && options->is_dry_run) {
		status.fact = before->pins ? ATTACH_OURS : ATTACH_NONE;
		status.is_generic = before->mode == ATTACH_GENERIC;
		r = 0;
	}
	if (!r)
		r = attach_check_free(options->interface, &status, err);
	free(pins);
	*ret_status = status;
	return r;
}

static int up(const struct options *options, struct err *err)
{
	struct receiver_state before = {}, want = {};
	struct attach_status status;
	int r = state_load(options->state_dir, options->interface, &before, err);

	if (r == -ENOENT)
		r = 0;
	if (!r)
		r = look(options, &before, &status, err);
	if (!r) {
		r = state_copy(&before, &want);
		if (r)
			err_errno(err, -r, "plan");
	}
	if (!r && before.pins && strcmp(before.pins, "") != 0) {
		char *pins = bpffs_pins(options->bpffs, options->interface);

		if (pins && strcmp(pins, before.pins) != 0)
			r = err_set(err, EEXIST,
				    "up ran with pins in %s: give the same --bpffs, or "
				    "run down first",
				    before.pins);
		free(pins);
	}
	if (!r)
		r = prepare_up(options, &want, stdout, err);
	if (!r)
		r = apply(options, &before, &want, &status, err);
	state_free(&before);
	state_free(&want);
	return r;
}

int command_up(const struct options *options, struct err *err)
{
	int lock = -1;
	int r = 0;

	if (!if_nametoindex(options->interface))
		return err_set(err, ENODEV, "there is no interface %s: see `ip link`",
			       options->interface);
	if (!options->is_dry_run)
		r = state_lock(options->state_dir, &lock, err);
	if (!r)
		r = up(options, err);
	if (lock >= 0)
		close(lock);
	return r;
}
