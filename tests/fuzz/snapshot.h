/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps and knobs of a bed, written down for the packet path's host build (host_map.h). */
#pragma once

#include <stdio.h>

#include "bed.h"

int snapshot_write(const struct bed *bed, FILE *f, struct err *err);
