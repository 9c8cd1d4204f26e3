/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a real, as JSON: see remembered.h.
 *
 *   {"reason": "agent: drain",
 *    "verdict": {"state": "up", "assumed": false, "since_ms": N, "reason_since_ms": N},
 *    "advice": {"admin": "drain", "lowered_percent": 25},
 *    "agent": {"admin": "drain", "lowered_percent": 25, "down": false},
 *    "flaps": {"count": 3, "since_ms": N, "held_until_ms": N},
 *    "circuit": {"state": "open", "ejections": 2, "since_ms": N, "until_ms": N,
 *                "repeated_permille": 500, "others_permille": 2}}
 */
#include "remembered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX 1000000 /* flaps, ejections */

static bool has_advice(const struct health_advice *advice)
{
	return advice->admin != ADMIN_ENABLED || advice->lowered_percent;
}

static bool has_words(const struct agent_state *agent)
{
	return agent->is_down || agent->admin != ADMIN_ENABLED || agent->lowered_percent;
}

static bool has_circuit(const struct circuit *circuit)
{
	return circuit->state != CIRCUIT_CLOSED || circuit->ejections;
}

bool remembered_is_empty(const struct remembered *known)
{
	return !known->health.is_assumed && !has_advice(&known->health.advice) &&
	       !has_words(&known->health.agent) && !known->health.flaps.count &&
	       !has_circuit(&known->circuit);
}

/* ---- to JSON --------------------------------------------------------------------------------- */

static json_int_t to_wall(uint64_t ms, const struct moment *moment)
{
	return (json_int_t)(moment->wall_ms + ms - moment->now_ms);
}

static json_t *verdict_to_json(const struct remembered *known, const struct moment *moment)
{
	return json_pack("{s:s, s:b, s:I, s:I}", "state", health_verdict_name(known->verdict),
			 "assumed", known->health.is_assumed, "since_ms",
			 to_wall(known->since_ms, moment), "reason_since_ms",
			 to_wall(known->reason_since_ms, moment));
}

static json_t *flaps_to_json(const struct health_flaps *flaps, const struct moment *moment)
{
	json_t *json = json_pack("{s:I, s:I}", "count", (json_int_t)flaps->count, "since_ms",
				 to_wall(flaps->since_ms, moment));

	if (json && flaps->held_until_ms > moment->now_ms)
		json_object_set_new(json, "held_until_ms",
				    json_integer(to_wall(flaps->held_until_ms, moment)));
	return json;
}

static json_t *circuit_to_json(const struct circuit *circuit, const struct moment *moment)
{
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I}", "state", circuit_state_name(circuit->state),
		"ejections", (json_int_t)circuit->ejections, "since_ms",
		to_wall(circuit->since_ms, moment), "until_ms", to_wall(circuit->until_ms, moment),
		"repeated_permille", (json_int_t)circuit->permille, "others_permille",
		(json_int_t)circuit->others_permille);
}

static json_t *advice_to_json(const struct health_advice *advice)
{
	return json_pack("{s:s, s:I}", "admin", admin_state_name(advice->admin), "lowered_percent",
			 (json_int_t)advice->lowered_percent);
}

static json_t *agent_to_json(const struct agent_state *agent)
{
	return json_pack("{s:s, s:I, s:b}", "admin", admin_state_name(agent->admin),
			 "lowered_percent", (json_int_t)agent->lowered_percent, "down",
			 agent->is_down);
}

json_t *remembered_to_json(const struct remembered *known, const struct moment *moment)
{
	const struct health_memory *health = &known->health;
	json_t *json = json_object();
	int r = json ? 0 : -1;

	/* What a real has answered may be no text: then there is none. */
	if (!r && known->reason[0])
		json_object_set_new(json, "reason", json_string(known->reason));
	if (!r && known->verdict != HEALTH_UNKNOWN)
		r = json_object_set_new(json, "verdict", verdict_to_json(known, moment));
	if (!r && has_advice(&health->advice))
		r = json_object_set_new(json, "advice", advice_to_json(&health->advice));
	if (!r && has_words(&health->agent))
		r = json_object_set_new(json, "agent", agent_to_json(&health->agent));
	if (!r && health->flaps.count)
		r = json_object_set_new(json, "flaps", flaps_to_json(&health->flaps, moment));
	if (!r && has_circuit(&known->circuit))
		r = json_object_set_new(json, "circuit", circuit_to_json(&known->circuit, moment));
	if (!r)
		return json;
	json_decref(json);
	return NULL;
}

/* ---- from JSON ------------------------------------------------------------------------------- */

/* What lies before the boot is 0. */
static uint64_t from_wall(uint64_t wall_ms, const struct moment *moment)
{
	uint64_t ago = moment->wall_ms - wall_ms;

	if (wall_ms >= moment->wall_ms)
		return moment->now_ms + (wall_ms - moment->wall_ms);
	return ago < moment->now_ms ? moment->now_ms - ago : 0;
}

static int take_number(const json_t *json, const char *key, uint64_t max, uint64_t *ret_number,
		       struct err *err)
{
	const json_t *value = json_object_get(json, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return err_set(err, EINVAL, "%s: expected a number from 0 to %llu", key,
			       (unsigned long long)max);
	*ret_number = (uint64_t)json_integer_value(value);
	return 0;
}

static int take_count(const json_t *json, const char *key, uint32_t max, uint32_t *ret_count,
		      struct err *err)
{
	uint64_t number = 0;
	int r = take_number(json, key, max, &number, err);

	if (!r)
		*ret_count = (uint32_t)number;
	return r;
}

static int take_time(const json_t *json, const char *key, const struct moment *moment,
		     uint64_t *ret_ms, struct err *err)
{
	uint64_t wall_ms = 0;
	int r = take_number(json, key, INT64_MAX, &wall_ms, err);

	if (!r && json_object_get(json, key))
		*ret_ms = from_wall(wall_ms, moment);
	return r;
}

static int take_admin(const json_t *json, enum admin_state *ret_admin, struct err *err)
{
	const json_t *value = json_object_get(json, "admin");
	const char *text = json_string_value(value);

	for (int admin = ADMIN_ENABLED; text && admin <= ADMIN_DISABLED; admin++) {
		if (strcmp(text, admin_state_name(admin)) == 0) {
			*ret_admin = admin;
			return 0;
		}
	}
	return value ? err_set(err, EINVAL, "admin: expected enabled, drain or disabled") : 0;
}

static int take_state(const json_t *json, enum circuit_state *ret_state, struct err *err)
{
	const json_t *value = json_object_get(json, "state");
	const char *text = json_string_value(value);

	for (int state = CIRCUIT_CLOSED; text && state <= CIRCUIT_HALF_OPEN; state++) {
		if (strcmp(text, circuit_state_name(state)) == 0) {
			*ret_state = state;
			return 0;
		}
	}
	return value ? err_set(err, EINVAL, "state: expected closed, open or half-open") : 0;
}

static int take_verdict(const json_t *json, enum health_verdict *ret_verdict, struct err *err)
{
	const json_t *value = json_object_get(json, "state");
	const char *text = json_string_value(value);

	for (int verdict = HEALTH_UP; text && verdict <= HEALTH_DOWN; verdict++) {
		if (strcmp(text, health_verdict_name(verdict)) == 0) {
			*ret_verdict = verdict;
			return 0;
		}
	}
	return value ? err_set(err, EINVAL, "state: expected up or down") : 0;
}

static int verdict_from_json(const json_t *json, const struct moment *moment,
			     struct remembered *known, struct err *err)
{
	int r = take_verdict(json, &known->verdict, err);

	known->health.is_assumed = json_is_true(json_object_get(json, "assumed"));
	r = r ? r : take_time(json, "since_ms", moment, &known->since_ms, err);
	return r ? r : take_time(json, "reason_since_ms", moment, &known->reason_since_ms, err);
}

static int advice_from_json(const json_t *json, const struct moment *moment,
			    struct remembered *known, struct err *err)
{
	int r = take_admin(json, &known->health.advice.admin, err);

	return r ? r
		 : take_count(json, "lowered_percent", 100, &known->health.advice.lowered_percent,
			      err);
}

static int agent_from_json(const json_t *json, const struct moment *moment,
			   struct remembered *known, struct err *err)
{
	struct agent_state *agent = &known->health.agent;
	int r = take_admin(json, &agent->admin, err);

	agent->is_down = json_is_true(json_object_get(json, "down"));
	return r ? r : take_count(json, "lowered_percent", 100, &agent->lowered_percent, err);
}

static int flaps_from_json(const json_t *json, const struct moment *moment,
			   struct remembered *known, struct err *err)
{
	struct health_flaps *flaps = &known->health.flaps;
	int r = take_count(json, "count", COUNT_MAX, &flaps->count, err);

	r = r ? r : take_time(json, "since_ms", moment, &flaps->since_ms, err);
	return r ? r : take_time(json, "held_until_ms", moment, &flaps->held_until_ms, err);
}

static int circuit_from_json(const json_t *json, const struct moment *moment,
			     struct remembered *known, struct err *err)
{
	struct circuit *circuit = &known->circuit;
	int r = take_state(json, &circuit->state, err);

	r = r ? r : take_count(json, "ejections", COUNT_MAX, &circuit->ejections, err);
	r = r ? r : take_time(json, "since_ms", moment, &circuit->since_ms, err);
	r = r ? r : take_time(json, "until_ms", moment, &circuit->until_ms, err);
	r = r ? r : take_count(json, "repeated_permille", 1000, &circuit->permille, err);
	return r ? r : take_count(json, "others_permille", 1000, &circuit->others_permille, err);
}

static const struct {
	const char *key;
	int (*take)(const json_t *json, const struct moment *moment, struct remembered *known,
		    struct err *err);
} parts[] = {
	{"verdict", verdict_from_json}, {"advice", advice_from_json},	{"agent", agent_from_json},
	{"flaps", flaps_from_json},	{"circuit", circuit_from_json},
};

int remembered_from_json(const json_t *json, const struct moment *moment,
			 struct remembered *ret_known, struct err *err)
{
	const char *reason = json_string_value(json_object_get(json, "reason"));
	struct remembered known = {};

	if (!json_is_object(json))
		return err_set(err, EINVAL, "expected an object");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const json_t *part = json_object_get(json, parts[i].key);
		int r = 0;

		if (part && !json_is_object(part))
			r = err_set(err, EINVAL, "expected an object");
		else if (part)
			r = parts[i].take(part, moment, &known, err);
		if (r) {
			err_prefix(err, "%s", parts[i].key);
			return r;
		}
	}
	snprintf(known.reason, sizeof(known.reason), "%s", reason ? reason : "");
	*ret_known = known;
	return 0;
}
