/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See command.h. */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* Copies the word at *text without its quotes to word and moves *text behind it. */
static int take_word(const char **text, char *word, size_t *ret_len)
{
	const char *p = *text;
	char quote = 0;
	size_t len = 0;

	for (; *p && (quote || !strchr(BLANKS, *p)); p++) {
		if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (quote && *p == quote) {
			quote = 0;
		} else if (*p == '\\' && quote != '\'') {
			if (!*++p)
				return -EINVAL;
			word[len++] = *p;
		} else {
			word[len++] = *p;
		}
	}
	*text = p;
	*ret_len = len;
	return quote ? -EINVAL : 0;
}

int command_split(const char *text, struct text_list *ret_words)
{
	char *word = malloc(strlen(text) + 1);
	struct text_list words = {};
	int ret = word ? 0 : -ENOMEM;
	size_t len;

	for (text += strspn(text, BLANKS); ret == 0 && *text; text += strspn(text, BLANKS)) {
		ret = take_word(&text, word, &len);
		if (ret == 0)
			ret = text_list_add(&words, word, len);
	}
	free(word);
	if (ret < 0) {
		text_list_clear(&words);
		return ret;
	}
	*ret_words = words;
	return 0;
}
