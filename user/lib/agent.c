/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Agents' words: see agent.h. */
#include "agent.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t,\v\f"

static const struct {
	const char *word;
	bool is_down;
} health_words[] = {{"up", false}, {"down", true}, {"fail", true}, {"stopped", true}};

static const struct {
	const char *word;
	enum admin_state admin;
} admin_words[] = {{"ready", ADMIN_ENABLED}, {"drain", ADMIN_DRAIN}, {"maint", ADMIN_DISABLED}};

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

/* "75%" */
static bool take_percent(struct agent_state *state, const char *text, size_t len)
{
	uint32_t percent = 0;
	size_t i = 0;

	for (; i < len && isdigit((unsigned char)text[i]); i++) {
		percent = percent * 10 + (uint32_t)(text[i] - '0');
		percent = percent < 100 ? percent : 100;
	}
	if (i == 0 || i + 1 != len || text[i] != '%')
		return false;
	state->lowered_percent = 100 - percent;
	return true;
}

static enum agent_answer take_word(struct agent_state *state, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(health_words) / sizeof(health_words[0]); i++) {
		if (!is_word(text, len, health_words[i].word))
			continue;
		state->is_down = health_words[i].is_down;
		return AGENT_HEALTH;
	}
	for (size_t i = 0; i < sizeof(admin_words) / sizeof(admin_words[0]); i++) {
		if (!is_word(text, len, admin_words[i].word))
			continue;
		state->admin = admin_words[i].admin;
		return AGENT_WORDS;
	}
	if (take_percent(state, text, len) || (len > 8 && !strncasecmp(text, "maxconn:", 8)))
		return AGENT_WORDS;
	return AGENT_NOTHING;
}

enum agent_answer agent_take(struct agent_state *state, const char *line)
{
	enum agent_answer answer = AGENT_NOTHING;
	size_t end = strcspn(line, "#");

	for (size_t at = strspn(line, SEPARATORS); at < end; at += strspn(line + at, SEPARATORS)) {
		size_t len = strcspn(line + at, SEPARATORS "#");
		enum agent_answer word = take_word(state, line + at, len);

		answer = word > answer ? word : answer;
		at += len;
	}
	return answer;
}

struct health_advice agent_advice(const struct agent_state *state)
{
	struct health_advice advice = {.admin = state->admin,
				       .lowered_percent = state->lowered_percent};

	if (advice.lowered_percent == 100) {
		advice.lowered_percent = 0;
		advice.admin = advice.admin < ADMIN_DRAIN ? ADMIN_DRAIN : advice.admin;
	}
	return advice;
}
