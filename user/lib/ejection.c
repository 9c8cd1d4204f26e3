/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Circuit breakers: see ejection.h. */
#include "ejection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define MIN_PERMILLE 200 /* below this nobody stands out */
#define FACTOR	     5 /* times the others' median */
#define GOOD_LOOKS   2 /* in a row close a circuit: a SYN takes a second to be repeated */

/* One look's view of the VIP. */
struct look {
	const struct ejection_spec *spec;
	struct circuit *const *circuits;
	const struct circuit_sample *samples;
	size_t n;
	uint64_t now_ms;
	bool *changed;
	uint32_t *others; /* scratch: n */
};

static uint32_t permille(uint64_t repeated, uint64_t syns)
{
	return syns ? (uint32_t)(repeated * 1000 / syns) : 0;
}

static uint64_t syns_of(const struct circuit_sample *sample)
{
	return sample->new_flows + sample->repeated_syns;
}

static uint32_t permille_of(const struct circuit_sample *sample)
{
	return permille(sample->repeated_syns, syns_of(sample));
}

static void set_state(struct look *look, size_t i, enum circuit_state state)
{
	struct circuit *c = look->circuits[i];

	c->state = state;
	c->since_ms = look->now_ms;
	c->syns = c->repeated = 0;
	c->good_looks = 0;
	look->changed[i] = true;
}

/* ---- Who stands out -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The median of the others that are closed and have enough SYNs; false: there is none. */
static bool median_of_others(const struct look *look, size_t but, uint32_t *ret_median)
{
	size_t n = 0;

	for (size_t i = 0; i < look->n; i++) {
		if (i != but && look->samples[i].is_up &&
		    look->circuits[i]->state == CIRCUIT_CLOSED &&
		    syns_of(&look->samples[i]) >= look->spec->min_flows)
			look->others[n++] = permille_of(&look->samples[i]);
	}
	if (!n)
		return false;
	qsort(look->others, n, sizeof(*look->others), compare);
	*ret_median = look->others[(n - 1) / 2];
	return true;
}

static bool stands_out(const struct look *look, size_t i, uint32_t have, uint32_t *ret_median)
{
	return have >= MIN_PERMILLE && median_of_others(look, i, ret_median) &&
	       have >= FACTOR * *ret_median;
}

/* ---- How many may be ejected ------------------------------------------------------------------
 */

static size_t count_open(const struct look *look)
{
	size_t n = 0;

	for (size_t i = 0; i < look->n; i++)
		n += look->samples[i].is_up && look->circuits[i]->state != CIRCUIT_CLOSED;
	return n;
}

static size_t count_allowed(const struct look *look)
{
	size_t up = 0, allowed;

	for (size_t i = 0; i < look->n; i++)
		up += look->samples[i].is_up;
	allowed = up * look->spec->max_ejected_percent / 100;
	if (up < 2)
		return 0;
	return allowed ? allowed : 1;
}

/* ---- The states ------------------------------------------------------------------------------ */

static uint64_t time_of(const struct ejection_spec *spec, uint32_t ejections)
{
	uint64_t ms = spec->time_ms;

	for (uint32_t i = 1; i < ejections && ms < spec->max_time_ms; i++)
		ms *= 2;
	return ms < spec->max_time_ms ? ms : spec->max_time_ms;
}

static void eject(struct look *look, size_t i, uint32_t have, uint32_t median)
{
	struct circuit *c = look->circuits[i];

	set_state(look, i, CIRCUIT_OPEN);
	c->ejections++;
	c->permille = have;
	c->others_permille = median;
	c->until_ms = look->now_ms + time_of(look->spec, c->ejections);
}

static void close_circuit(struct look *look, size_t i)
{
	struct circuit *c = look->circuits[i];

	set_state(look, i, CIRCUIT_CLOSED);
	c->until_ms = look->now_ms + time_of(look->spec, c->ejections);
}

static void look_at_open(struct look *look, size_t i)
{
	if (look->now_ms >= look->circuits[i]->until_ms)
		set_state(look, i, CIRCUIT_HALF_OPEN);
}

/*
 * It has losses and does not stand out. If the others have them, too, these say nothing of it; if
 * they got too little to be compared with, later ones count for more.
 */
static void fade(const struct look *look, size_t i)
{
	struct circuit *c = look->circuits[i];
	uint32_t median;
	bool is_compared = median_of_others(look, i, &median);

	c->syns = is_compared ? 0 : c->syns / 2;
	c->repeated = is_compared ? 0 : c->repeated / 2;
	c->good_looks = 0;
}

/* A small weight gets few SYNs: they are summed up until they are enough. */
static void look_at_half_open(struct look *look, size_t i)
{
	struct circuit *c = look->circuits[i];
	uint32_t have, median = 0;

	c->syns += syns_of(&look->samples[i]);
	c->repeated += look->samples[i].repeated_syns;
	if (c->syns < look->spec->min_flows)
		return;
	have = permille(c->repeated, c->syns);
	if (stands_out(look, i, have, &median)) {
		eject(look, i, have, median);
		return;
	}
	if (have >= MIN_PERMILLE)
		fade(look, i);
	else if (++c->good_looks == GOOD_LOOKS)
		close_circuit(look, i);
}

static void decay(struct look *look, size_t i)
{
	struct circuit *c = look->circuits[i];

	if (!c->ejections || look->now_ms < c->until_ms)
		return;
	c->ejections--;
	c->until_ms = look->now_ms + time_of(look->spec, c->ejections);
}

/* The worst of the closed ones that stand out; -1: none does. */
static ssize_t find_worst(struct look *look, uint32_t *ret_have, uint32_t *ret_median)
{
	ssize_t worst = -1;

	for (size_t i = 0; i < look->n; i++) {
		const struct circuit_sample *sample = &look->samples[i];
		uint32_t have = permille_of(sample), median;

		if (!sample->is_up || look->circuits[i]->state != CIRCUIT_CLOSED ||
		    syns_of(sample) < look->spec->min_flows ||
		    !stands_out(look, i, have, &median) || (worst >= 0 && have <= *ret_have))
			continue;
		worst = (ssize_t)i;
		*ret_have = have;
		*ret_median = median;
	}
	return worst;
}

static void eject_worst(struct look *look)
{
	uint32_t have = 0, median = 0;

	while (count_open(look) < count_allowed(look)) {
		ssize_t i = find_worst(look, &have, &median);

		if (i < 0)
			return;
		eject(look, (size_t)i, have, median);
	}
}

/* Others have gone down since: who is left must serve. */
static void release(struct look *look)
{
	size_t open = count_open(look), allowed = count_allowed(look);

	while (open-- > allowed) {
		ssize_t first = -1;

		for (size_t i = 0; i < look->n; i++) {
			const struct circuit *c = look->circuits[i];

			if (look->samples[i].is_up && c->state != CIRCUIT_CLOSED &&
			    (first < 0 || c->since_ms < look->circuits[first]->since_ms))
				first = (ssize_t)i;
		}
		close_circuit(look, (size_t)first);
	}
}

void ejection_look(const struct ejection_spec *spec, struct circuit *const *circuits,
		   const struct circuit_sample *samples, size_t n, uint64_t now_ms,
		   bool *ret_changed)
{
	struct look look = {spec, circuits, samples, n, now_ms, ret_changed, NULL};

	memset(ret_changed, 0, n * sizeof(*ret_changed));
	look.others = calloc(n + 1, sizeof(*look.others));
	if (!look.others)
		return; /* the next look may have more luck */
	for (size_t i = 0; i < n; i++) {
		if (circuits[i]->state == CIRCUIT_OPEN)
			look_at_open(&look, i);
		else if (circuits[i]->state == CIRCUIT_HALF_OPEN)
			look_at_half_open(&look, i);
		else
			decay(&look, i);
	}
	release(&look);
	eject_worst(&look);
	free(look.others);
}

void ejection_recall(const struct ejection_spec *spec, struct circuit *circuit, uint64_t now_ms)
{
	uint64_t latest = now_ms + spec->max_time_ms;

	if (!spec->is_on) {
		*circuit = (struct circuit){};
		return;
	}
	if (circuit->since_ms > now_ms)
		circuit->since_ms = now_ms;
	if (circuit->until_ms > latest)
		circuit->until_ms = latest;
	while (circuit->state == CIRCUIT_CLOSED && circuit->ejections &&
	       circuit->until_ms <= now_ms) {
		circuit->ejections--;
		circuit->until_ms += time_of(spec, circuit->ejections);
	}
}

const char *circuit_state_name(enum circuit_state state)
{
	switch (state) {
	case CIRCUIT_CLOSED:
		return "closed";
	case CIRCUIT_OPEN:
		return "open";
	case CIRCUIT_HALF_OPEN:
		return "half-open";
	}
	return "?";
}
