/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Usage texts, all from the command table. */
#pragma once

#include <stdio.h>

#include "ctl.h"

void help_all(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct command *command);
