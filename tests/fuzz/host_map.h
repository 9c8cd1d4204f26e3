/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of a loaded packet path, written down by the fuzz server (snapshot.c) and read by its
 * host build: a row of struct map_header and its elements for each, the knobs as a map "knobs".
 */
#pragma once

#include <linux/types.h>

#define MAP_NAME_LEN 32
#define MAP_KNOBS    "knobs" /* one element: struct dataplane_knobs, key 0 */

struct map_header {
	char name[MAP_NAME_LEN];
	__u32 type; /* enum bpf_map_type */
	__u32 key_size;
	__u32 value_size; /* of one CPU */
	__u32 max_entries;
	__u32 n; /* elements that follow, each key and value; arrays have all, in order, by value
		  */
	__u32 pad;
};
