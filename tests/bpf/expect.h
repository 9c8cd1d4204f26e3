/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What must have become of a packet. `what` says in a failure which packet it was. */
#pragma once

#include "harness.h"

/* It raised this counter; "forwarded": its member's. */
void expect_counter(const struct run *run, const char *counter, const char *what);
/* The same for a packet that is sent now. */
void expect_packet(struct bed *bed, const struct packet *packet, const char *counter);

/* It left as this frame. */
void expect_bytes(const struct run *run, const struct frame *want, const char *what);
/* The host got it as it came in. */
void expect_untouched(const struct run *run, const struct frame *in, const char *what);

/* Runs a frame, which leaves as it came behind an outer IP header to this real. */
void expect_sent(struct bed *bed, const struct frame *in, const char *real, const char *what,
		 struct run *ret_run);
