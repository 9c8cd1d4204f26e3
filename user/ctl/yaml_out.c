// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* JSON to YAML by libyaml's emitter. */
#include "yaml_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

bool yaml_needs_quotes(const char *text)
{
	static const char *const reserved[] = {"true", "false", "yes", "no",   "on",
					       "off",  "y",	"n",   "null", "~"};
	char *end;

	if (!*text || strchr(text, ':'))
		return true;
	strtod(text, &end);
	if (!*end)
		return true;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcasecmp(text, reserved[i]) == 0)
			return true;
	}
	return false;
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event, int is_ready)
{
	return is_ready && yaml_emitter_emit(emitter, event);
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;

	return emit(emitter, &event,
		    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
						 (int)strlen(text), 1, 1, style));
}

static bool emit_atom(yaml_emitter_t *emitter, const json_t *value)
{
	const char *string = json_string_value(value);
	bool is_done;
	char *text;

	if (string)
		return emit_scalar(emitter, string,
				   yaml_needs_quotes(string) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
							     : YAML_ANY_SCALAR_STYLE);
	text = json_dumps(value, JSON_ENCODE_ANY);
	if (!text)
		return false;
	is_done = emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
	free(text);
	return is_done;
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value);

static bool emit_array(yaml_emitter_t *emitter, const json_t *array)
{
	yaml_event_t event;
	json_t *value;
	size_t i;

	if (!emit(emitter, &event,
		  yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						       YAML_BLOCK_SEQUENCE_STYLE)))
		return false;
	json_array_foreach (array, i, value) {
		if (!emit_value(emitter, value))
			return false;
	}
	return emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static bool emit_object(yaml_emitter_t *emitter, const json_t *object)
{
	yaml_event_t event;
	const char *key;
	json_t *value;

	if (!emit(emitter, &event,
		  yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
						      YAML_BLOCK_MAPPING_STYLE)))
		return false;
	json_object_foreach ((json_t *)object, key, value) {
		if (!emit_scalar(emitter, key, YAML_ANY_SCALAR_STYLE) ||
		    !emit_value(emitter, value))
			return false;
	}
	return emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value)
{
	if (json_is_object(value))
		return emit_object(emitter, value);
	if (json_is_array(value))
		return emit_array(emitter, value);
	return emit_atom(emitter, value);
}

static bool emit_document(yaml_emitter_t *emitter, const json_t *document)
{
	yaml_event_t event;

	return emit(emitter, &event,
		    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
	       emit(emitter, &event,
		    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
	       emit_value(emitter, document) &&
	       emit(emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
	       emit(emitter, &event, yaml_stream_end_event_initialize(&event));
}

int yaml_print(FILE *out, const json_t *document)
{
	yaml_emitter_t emitter;
	int r = 0;

	if (!yaml_emitter_initialize(&emitter))
		return -ENOMEM;
	yaml_emitter_set_output_file(&emitter, out);
	yaml_emitter_set_unicode(&emitter, 1);
	if (!emit_document(&emitter, document))
		r = emitter.error == YAML_MEMORY_ERROR ? -ENOMEM : -EIO;
	yaml_emitter_delete(&emitter);
	return r;
}
