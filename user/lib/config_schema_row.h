/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rows of the schema table are written with; only for the files that hold rows. */
#pragma once

#include "config_schema.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define SECOND 1000u
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define CHOICE(choice_name, choice_value)                                                          \
	{                                                                                          \
		.name = (choice_name), .value = (choice_value)                                     \
	}
#define LATER(choice_name)                                                                         \
	{                                                                                          \
		.name = (choice_name), .is_unbuilt = true                                          \
	}
