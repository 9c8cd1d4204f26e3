/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a file says, before defaults: reading and freeing a struct doc_x by its table. */
#include <stdlib.h>

#include "config_schema.h"

uint32_t schema_u32(const struct schema_section *section, const void *item, size_t key)
{
	const struct schema_field *field = &section->fields[key];

	if (!schema_is_given(item, key))
		return field->initial;
	return *(const uint32_t *)((const char *)item + field->offset);
}

static void clear_list(const struct schema_field *field, struct doc_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (field->type == SCHEMA_HEADERS)
			free(((char **)list->items)[i]);
		else if (field->type == SCHEMA_WORDS)
			free(((struct doc_word *)list->items)[i].text);
		else
			schema_clear(field->section,
				     (char *)list->items + i * field->section->size);
	}
	free(list->items);
	*list = (struct doc_list){};
}

void schema_clear(const struct schema_section *section, void *item)
{
	for (size_t i = 0; i < section->n_fields; i++) {
		const struct schema_field *field = &section->fields[i];
		void *slot = (char *)item + field->offset;

		if (field->unbuilt == SCHEMA_UNBUILT)
			continue;
		if (field->type == SCHEMA_TEXT) {
			free(*(char **)slot);
			*(char **)slot = NULL;
		} else if (field->type == SCHEMA_MAP) {
			schema_clear(field->section, slot);
		} else if (field->type == SCHEMA_LIST || field->type == SCHEMA_HEADERS ||
			   field->type == SCHEMA_WORDS) {
			clear_list(field, slot);
		}
	}
}
