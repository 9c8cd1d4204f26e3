/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every measurement here needs. */
#pragma once

#include <stddef.h>

/* Stays on the present CPU and is preempted by nothing ordinary; says so where it may not. */
void measure_undisturbed(void);

/* Sorts the values. */
double measure_median(double *values, size_t n);

double measure_now_ms(void);
