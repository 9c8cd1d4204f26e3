/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a probe is told: copied, compared and freed by two lists of its texts. See model.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "model.h"
#include "tls_files.h"

static const size_t texts[] = {
	offsetof(struct health_spec, method),  offsetof(struct health_spec, host),
	offsetof(struct health_spec, path),    offsetof(struct health_spec, body),
	offsetof(struct health_spec, send),    offsetof(struct health_spec, expect_text),
	offsetof(struct health_spec, name),    offsetof(struct health_spec, user),
	offsetof(struct health_spec, sni),     offsetof(struct health_spec, ca),
	offsetof(struct health_spec, cert),    offsetof(struct health_spec, key),
	offsetof(struct health_spec, service), offsetof(struct health_spec, degraded_body),
};

static const size_t lists[] = {
	offsetof(struct health_spec, headers),
	offsetof(struct health_spec, command),
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static char **text_of(const struct health_spec *spec, size_t i)
{
	return (char **)((char *)(uintptr_t)spec + texts[i]);
}

static struct text_list *list_of(const struct health_spec *spec, size_t i)
{
	return (struct text_list *)((char *)(uintptr_t)spec + lists[i]);
}

static bool text_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool list_equal(const struct text_list *a, const struct text_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!text_equal(a->texts[i], b->texts[i]))
			return false;
	}
	return true;
}

static bool numbers_equal(const struct health_spec *a, const struct health_spec *b)
{
	return a->type == b->type && a->port == b->port && a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms && a->fall == b->fall && a->rise == b->rise &&
	       a->jitter_percent == b->jitter_percent &&
	       a->fast_interval_ms == b->fast_interval_ms && a->hold_down_ms == b->hold_down_ms &&
	       a->hold_down_max_ms == b->hold_down_max_ms && a->starts_up == b->starts_up &&
	       a->degraded_weight_percent == b->degraded_weight_percent && a->rrtype == b->rrtype &&
	       a->uid == b->uid && a->gid == b->gid && addr_equal(&a->source, &b->source) &&
	       a->via == b->via && addr_equal(&a->vip, &b->vip) && a->encap == b->encap &&
	       a->is_tls == b->is_tls && a->is_verified == b->is_verified &&
	       tls_files_equal(a->tls_files, b->tls_files);
}

static bool codes_equal(const uint16_t *a, size_t n_a, const uint16_t *b, size_t n_b)
{
	return n_a == n_b && memcmp(a, b, n_a * sizeof(*a)) == 0;
}

bool health_spec_equal(const struct health_spec *a, const struct health_spec *b)
{
	if (!numbers_equal(a, b) || !codes_equal(a->expect, a->n_expect, b->expect, b->n_expect) ||
	    !codes_equal(a->degraded_status, a->n_degraded_status, b->degraded_status,
			 b->n_degraded_status))
		return false;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (!text_equal(*text_of(a, i), *text_of(b, i)))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		if (!list_equal(list_of(a, i), list_of(b, i)))
			return false;
	}
	return true;
}

void text_list_clear(struct text_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->texts[i]);
	free((void *)list->texts);
	*list = (struct text_list){};
}

int text_list_add(struct text_list *list, const char *text, size_t len)
{
	char **more = (char **)reallocarray((void *)list->texts, list->n + 1, sizeof(char *));

	if (!more)
		return -ENOMEM;
	list->texts = more;
	more[list->n] = strndup(text, len);
	if (!more[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

static int list_copy(struct text_list *copy, const struct text_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (text_list_add(copy, list->texts[i], strlen(list->texts[i])) < 0)
			return -ENOMEM;
	}
	return 0;
}

void health_spec_clear(struct health_spec *spec)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		free(*text_of(spec, i));
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		text_list_clear(list_of(spec, i));
	tls_files_unref(spec->tls_files);
}

int health_spec_copy(struct health_spec *ret_copy, const struct health_spec *spec)
{
	struct health_spec copy = *spec;
	int ret = 0;

	tls_files_ref(copy.tls_files);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		*text_of(&copy, i) = NULL;
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		*list_of(&copy, i) = (struct text_list){};
	for (size_t i = 0; i < COUNT_OF(texts) && ret == 0; i++) {
		if (*text_of(spec, i)) {
			*text_of(&copy, i) = strdup(*text_of(spec, i));
			ret = *text_of(&copy, i) ? 0 : -ENOMEM;
		}
	}
	for (size_t i = 0; i < COUNT_OF(lists) && ret == 0; i++)
		ret = list_copy(list_of(&copy, i), list_of(spec, i));
	if (ret < 0) {
		health_spec_clear(&copy);
		return ret;
	}
	*ret_copy = copy;
	return 0;
}
