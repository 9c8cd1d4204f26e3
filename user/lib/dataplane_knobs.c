/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a configuration wants of the loaded program. See dataplane.h. */
#include <arpa/inet.h>

#include "addr.h"
#include "config.h"
#include "dataplane.h"
#include "flow_clock.h"

/* An address, and the host bits of a prefix that carry entropy. */
static void knobs_source(const struct encap_source *source, struct ip_addr *ret_base,
			 struct ip_addr *ret_entropy)
{
	unsigned int fixed = source->prefix_len + (addr_is_v4(&source->address) ? 96 : 0);

	*ret_base = source->address;
	*ret_entropy = (struct ip_addr){};
	for (unsigned int bit = fixed; bit < 128; bit++)
		ret_entropy->b[bit / 8] |= 0x80 >> (bit % 8);
}

/* A window is the longest 2^n jiffies that are no more than an eighth of a second. */
static void knobs_syn_window(uint32_t rate_pps, uint32_t hz, struct dataplane_knobs *k)
{
	uint64_t syns;

	if (rate_pps == 0)
		return;
	while (2u << k->syn_window_shift <= hz / 8)
		k->syn_window_shift++;
	syns = ((uint64_t)rate_pps << k->syn_window_shift) / hz;
	k->syn_window_limit = syns ? (uint32_t)syns : 1;
}

struct dataplane_knobs dataplane_knobs_of(const struct config *config,
					  const struct flow_hash_key *hash_key, uint32_t hz)
{
	struct dataplane_knobs k = {.hash_key = *hash_key, .hz = hz, .is_express_on = true};
	struct ip_addr base, entropy;

	knobs_syn_window(config->guard_syn_pps, hz, &k);
	flow_clock_make(config->vips, config->n_vips, hz, &k.clock);
	if (config->source4.is_set) {
		knobs_source(&config->source4, &base, &entropy);
		k.source4 = base.w[3];
		k.source4_entropy = entropy.w[3];
	}
	if (config->source6.is_set)
		knobs_source(&config->source6, &k.source6, &k.source6_entropy);
	k.encaps = config_encaps(config);
	k.schedulers = config_schedulers(config);
	k.gue_port = htons(config->gue_port);
	k.gue_checksum6 = config->gue_checksum6;
	k.is_quic_on = config_has_quic(config);
	return k;
}
