// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the API's handlers share: see api_private.h. */
#include <errno.h>
#include <string.h>

#include "api_private.h"

unsigned int call_fail(struct call *call, unsigned int status, const char *text)
{
	call->reply.body = json_pack("{s:s}", "error", text);
	return status;
}

unsigned int call_fail_errno(struct call *call, int r, const struct err *err)
{
	switch (-r) {
	case EINVAL:
	case ENODEV:
	case ENOSPC:
	case E2BIG:
	case ERANGE:
	case EOPNOTSUPP:
		return call_fail(call, HTTP_BAD_REQUEST, err->text);
	case ENOENT:
		return call_fail(call, HTTP_NOT_FOUND, err->text);
	case EBUSY:
	case EEXIST:
	case ECANCELED:
		return call_fail(call, HTTP_CONFLICT, err->text);
	default:
		return call_fail(call, HTTP_INTERNAL_ERROR, err->text);
	}
}

unsigned int call_done(struct call *call, json_t *body)
{
	call->reply.body = body;
	return HTTP_OK;
}

bool call_query_is_set(const struct call *call, const char *key)
{
	const char *value = http_request_query(call->request, key);

	return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

unsigned int call_reply_snapshot(struct call *call, const struct snapshot_scope *scope,
				 json_t *(*render)(const struct snapshot *))
{
	struct err err = {};
	struct snapshot *s;
	int r = controller_snapshot(call->api->controller, scope, &s, &err);

	if (r < 0)
		return call_fail_errno(call, r, &err);
	call->reply.body = render(s);
	snapshot_free(s);
	return HTTP_OK;
}

unsigned int call_fail_no_vip(struct call *call, const char *name)
{
	struct err err;

	err_set(&err, ENOENT, "no VIP named %s", name);
	return call_fail(call, HTTP_NOT_FOUND, err.text);
}
