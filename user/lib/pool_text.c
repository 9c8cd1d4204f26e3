/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pools and their weights as one line: see pool_text.h. */
#include "pool_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX     65535
#define ITEM_MAX       80

const char *pool_text_format(const struct pool_use *pools, size_t n, char *buf)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		len += (size_t)snprintf(buf + len, POOL_TEXT_MAX - len, "%s%s", i ? "," : "",
					pools[i].name);
		if (pools[i].weight != WEIGHT_DEFAULT)
			len += (size_t)snprintf(buf + len, POOL_TEXT_MAX - len, ":%u",
						pools[i].weight);
		if (pools[i].backup_level)
			len += (size_t)snprintf(buf + len, POOL_TEXT_MAX - len, ":backup");
		if (pools[i].backup_level > 1)
			len += (size_t)snprintf(buf + len, POOL_TEXT_MAX - len, "%u",
						pools[i].backup_level);
	}
	return buf;
}

static bool parse_weight(const char *text, uint32_t *ret_weight)
{
	size_t n = strspn(text, "0123456789");
	unsigned long weight;

	if (n == 0 || n > 5 || text[n] || (n > 1 && text[0] == '0'))
		return false;
	weight = strtoul(text, NULL, 10);
	if (weight > WEIGHT_MAX)
		return false;
	*ret_weight = (uint32_t)weight;
	return true;
}

/* "backup", which is 1, or "backup1" and so on */
static bool parse_backup(const char *text, uint8_t *ret_level)
{
	const char *level = text + strlen("backup");

	if (strncmp(text, "backup", strlen("backup")) != 0)
		return false;
	if (*level && (level[0] < '1' || level[0] > '0' + BACKUP_LEVEL_MAX || level[1]))
		return false;
	*ret_level = *level ? (uint8_t)(*level - '0') : 1;
	return true;
}

/* "green", "green:10", "spare:backup", "spare:10:backup2" */
static int parse_item(const struct config *config, char *item, struct pool_use *ret_use,
		      struct err *err)
{
	struct pool_use use = {.weight = WEIGHT_DEFAULT};
	char *name = strsep(&item, ":");
	char *word = strsep(&item, ":"); /* empty if nothing follows a colon: no weight */

	if (word && !parse_backup(word, &use.backup_level)) {
		if (!parse_weight(word, &use.weight))
			return err_set(err, EINVAL,
				       "pool %s: expected a weight from 0 to %d, \"backup\" or "
				       "\"backup1\" to \"backup%d\", got \"%s\"",
				       name, WEIGHT_MAX, BACKUP_LEVEL_MAX, word);
		word = strsep(&item, ":");
		if (word && !parse_backup(word, &use.backup_level))
			return err_set(err, EINVAL, "pool %s: expected " POOL_TEXT_ITEM, name);
	}
	if (word && item)
		return err_set(err, EINVAL, "pool %s: expected " POOL_TEXT_ITEM, name);
	use.pool = config_find_pool(config, name);
	if (use.pool == SIZE_MAX)
		return err_set(err, ENOENT, "no pool named %s", name);
	use.name = config->pools[use.pool].name;
	*ret_use = use;
	return 0;
}

static int add_item(const struct config *config, const char *start, size_t len,
		    struct pool_use *pools, size_t *n, struct err *err)
{
	char item[ITEM_MAX];
	int r;

	if (!len || len >= sizeof(item) || start[0] == ':')
		return err_set(err, EINVAL, "expected pools as " POOL_TEXT_ITEM ",...");
	if (*n == VIP_POOLS_MAX)
		return err_set(err, EINVAL, "expected at most %d pools", VIP_POOLS_MAX);
	snprintf(item, sizeof(item), "%.*s", (int)len, start);
	r = parse_item(config, item, &pools[*n], err);
	if (r)
		return r;
	for (size_t i = 0; i < *n; i++) {
		if (pools[i].pool == pools[*n].pool)
			return err_set(err, EINVAL, "pool %s is named twice", pools[i].name);
	}
	(*n)++;
	return 0;
}

int pool_text_parse(const struct config *config, const char *text, struct pool_use *ret_pools,
		    size_t *ret_n, struct err *err)
{
	struct pool_use pools[VIP_POOLS_MAX] = {};
	size_t n = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		int r = add_item(config, text, len, pools, &n, err);

		if (r)
			return r;
		if (!text[len])
			break;
		text += len + 1;
	}
	memcpy(ret_pools, pools, n * sizeof(*pools));
	*ret_n = n;
	return 0;
}
