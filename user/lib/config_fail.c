/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong in a file, and where: see config_resolve.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "config_resolve.h"

int config_fail(const struct config_errors *errors, struct mark mark, const char *path,
		const char *fmt, ...)
{
	char reason[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return err_set(errors->err, EINVAL, "%.255s:%u:%u: %s%s: %s", errors->file, mark.line,
		       mark.column, errors->prefix ? errors->prefix : "", path, reason);
}
