/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Passive detection: which reals of a VIP do not answer their clients, whatever their probes say.
 * The balancer sees one way only, so it goes by the SYNs that clients repeat. Each real has a
 * circuit breaker: closed; open (ejected: no new flows) for a time that doubles with each ejection;
 * then half-open (on trial with a small weight) until it has proven itself. Pure: time is an
 * argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

enum circuit_state {
	CIRCUIT_CLOSED = 0,
	CIRCUIT_OPEN,
	CIRCUIT_HALF_OPEN,
};

/* One real's; all zero is closed. */
struct circuit {
	enum circuit_state state;
	uint32_t ejections; /* decays while closed */
	uint64_t since_ms; /* of state */
	uint64_t until_ms; /* open: its end; closed: when `ejections` falls by one */
	uint64_t syns, repeated; /* half-open: since it began; what decided nothing fades */
	uint32_t good_looks; /* half-open: in a row */
	uint32_t permille, others_permille; /* what it was ejected for */
};

/* What happened to one real since the last look. */
struct circuit_sample {
	uint64_t new_flows;
	uint64_t repeated_syns;
	bool is_up; /* takes new flows, or would if it were not ejected */
};

/*
 * One look at all of a VIP's reals, n of both. ret_changed[i]: its state or weight has changed.
 *
 * A real stands out if at least a fifth of its SYNs are repetitions, and five times the share of
 * the median of the others that got enough SYNs; one without such others never does. The worst go
 * first, as long as no more than the VIP allows are open or half-open. If that becomes less, since
 * others went down, those longest in their state are closed again: somebody must serve.
 */
void ejection_look(const struct ejection_spec *spec, struct circuit *const *circuits,
		   const struct circuit_sample *samples, size_t n, uint64_t now_ms,
		   bool *ret_changed);

/*
 * A circuit from before a restart, and maybe from another configuration. None is open for longer
 * than spec ever leaves one; what has passed since of a closed one was good conduct.
 */
void ejection_recall(const struct ejection_spec *spec, struct circuit *circuit, uint64_t now_ms);

const char *circuit_state_name(enum circuit_state state);
