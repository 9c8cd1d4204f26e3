/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How deep the stack of a loaded program gets by Linux 6.1's way of counting, on any kernel: there
 * every function's bytes are rounded up to 32, and a chain of calls may have 512 (kernel/bpf/
 * verifier.c, check_max_stack_depth(); later kernels round up to 16).
 */
#pragma once

#include <stdint.h>

#define CALL_STACK_MAX 512u

/*
 * `depths`: the verifier's line of each function's bytes, "0+120+8", in the order in which they
 * lie. Bytes of the deepest chain; its functions' names into `ret_chain`, divided by " > ".
 */
uint32_t call_stack_deepest(int prog_fd, const char *depths, char *ret_chain, size_t size);
