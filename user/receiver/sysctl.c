/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel settings: see sysctl.h. */
#include "sysctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *open_setting(const char *name, const char *mode)
{
	char path[SYSCTL_NAME_MAX + sizeof("/proc/sys/")];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return fopen(path, mode);
}

int sysctl_read(const char *name, uint32_t *ret_value, struct err *err)
{
	FILE *f = open_setting(name, "re");
	char text[32], *end;
	unsigned long value;

	if (!f)
		return err_errno(err, errno, "read sysctl %s", name);
	if (!fgets(text, sizeof(text), f)) {
		fclose(f);
		return err_set(err, EIO, "read sysctl %s: empty", name);
	}
	fclose(f);
	value = strtoul(text, &end, 10);
	if (end == text || value > UINT32_MAX)
		return err_set(err, EIO, "read sysctl %s: not a number: %s", name, text);
	*ret_value = (uint32_t)value;
	return 0;
}

int sysctl_write(const char *name, uint32_t value, struct err *err)
{
	FILE *f = open_setting(name, "we");
	int r = 0;

	if (!f)
		return err_errno(err, errno, "write sysctl %s", name);
	if (fprintf(f, "%" PRIu32 "\n", value) < 0 || fflush(f))
		r = err_errno(err, errno, "write sysctl %s", name);
	fclose(f);
	return r;
}
