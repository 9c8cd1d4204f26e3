/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* xdplb-receiver down: detach first, so that nothing is decapsulated for a VIP that has gone. */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "attach.h"
#include "bpffs.h"
#include "state.h"

/* Undoes one change, or leaves it to another interface that needs it. */
static int undo_change(const struct options *options, const struct change *c, struct err *err)
{
	bool is_needed = false, is_undone = true;
	char text[512];
	int r = 0;

	change_describe_undo(c, c->old_value, text, sizeof(text));
	if (!options->is_dry_run) {
		r = state_hand_over(options->state_dir, options->interface, c, &is_needed, err);
		if (!r && !is_needed)
			r = change_undo(c, c->old_value, &is_undone, err);
	}
	if (r)
		return r;
	if (is_needed)
		printf("# left for another interface: %s\n", text);
	else if (!is_undone)
		printf("# left, it is gone or was changed since: %s\n", text);
	else
		printf("%s\n", text);
	return 0;
}

/* Undoes from the last to the first; what fails stays in the list for another try. */
static int undo_changes(const struct options *options, struct receiver_state *state,
			struct err *err)
{
	size_t kept = 0;
	int result = 0;

	for (size_t i = state->n_changes; i-- > 0;) {
		struct change *c = &state->changes[i];
		int r = c->is_made ? undo_change(options, c, err) : 0;

		if (r)
			result = r;
		else
			c->is_made = false;
	}
	for (size_t i = 0; i < state->n_changes; i++)
		if (state->changes[i].is_made)
			state->changes[kept++] = state->changes[i];
	state->n_changes = kept;
	return result;
}

static int remove_program(const struct options *options, const char *pins, struct err *err)
{
	printf("# detach the XDP program from %s, remove %s\n", options->interface, pins);
	return options->is_dry_run ? 0 : attach_remove(pins, err);
}

/* Without a state file there may still be pins, if the file was lost. */
static int down_unknown(const struct options *options, struct err *err)
{
	struct attach_status status = {};
	char *pins = bpffs_pins(options->bpffs, options->interface);
	int r = pins ? attach_query(pins, options->interface, &status, NULL) : -ENOMEM;

	if (!r && (status.fact == ATTACH_OURS || status.fact == ATTACH_DEAD))
		r = remove_program(options, pins, err);
	else
		printf("# xdplb-receiver is not up on %s: nothing to undo\n", options->interface);
	free(pins);
	return r == -ENOMEM ? err_errno(err, ENOMEM, "down") : r;
}

static int down(const struct options *options, struct err *err)
{
	struct receiver_state state = {};
	int r = state_load(options->state_dir, options->interface, &state, err);
	struct err other;

	if (r == -ENOENT)
		return down_unknown(options, err);
	if (r)
		return r;
	r = remove_program(options, state.pins, err);
	if (!r)
		r = undo_changes(options, &state, err);
	if (!r && !options->is_dry_run)
		r = state_remove(options->state_dir, options->interface, err);
	else if (r && !options->is_dry_run && state_save(options->state_dir, &state, &other))
		fprintf(stderr, "xdplb-receiver: %s\n", other.text);
	state_free(&state);
	return r;
}

int command_down(const struct options *options, struct err *err)
{
	int lock = -1;
	int r = 0;

	if (!options->is_dry_run)
		r = state_lock(options->state_dir, &lock, err);
	if (!r)
		r = down(options, err);
	if (lock >= 0)
		close(lock);
	return r;
}
