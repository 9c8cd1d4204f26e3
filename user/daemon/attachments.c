/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program on the interfaces of the configuration: those that come and go, and what somebody
 * else took away. No event says that a link or a pin is gone, so it is looked at every second: some
 * 100 system calls.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "controller_private.h"
#include "log.h"

#define LOOK_EVERY_US 1000000
#define ACCURACY_US   100000
#define PRIORITY      (SD_EVENT_PRIORITY_NORMAL + 10) /* probes and requests first */

int attachments_make(struct controller *c, const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *spec = &config->interfaces[i];
		int r = dataplane_attach(c->dataplane, spec, err);

		if (r) {
			err_prefix(err, "%s:%u:%u: interfaces[%zu].name", config->file,
				   spec->mark.line, spec->mark.column, i);
			return r;
		}
	}
	return 0;
}

static const struct actor actor_kernel = {.name = "kernel"};

/* Without a link no packet arrives, and no counter says so. */
static void report_link(struct controller *c, const char *name, bool is_up)
{
	audit_add(c->audit, &actor_kernel, is_up ? "link_up" : "link_down",
		  json_pack("{s:s}", "interface", name));
	if (is_up)
		log_info("interface link up interface=%s", name);
	else
		log_warning("interface link down interface=%s", name);
}

/* An interface that was deleted and made again has lost its program. */
void attachments_link_changed(struct controller *c, uint32_t ifindex, const char *name,
			      enum link_news news)
{
	struct err err;
	int r;

	for (size_t i = 0; i < c->config->n_interfaces; i++) {
		const struct interface_spec *spec = &c->config->interfaces[i];

		if (strcmp(spec->name, name) != 0)
			continue;
		if (news == LINK_GONE) {
			log_warning("interface gone interface=%s ifindex=%u", name, ifindex);
			continue;
		}
		if (news != LINK_CHANGED)
			report_link(c, name, news == LINK_UP);
		if (dataplane_attached_ifindex(c->config->bpffs, name) == ifindex)
			continue;
		r = dataplane_attach(c->dataplane, spec, &err);
		if (r == -ENODEV)
			continue; /* it has just gone; its event follows */
		if (r)
			log_error("cannot attach interface=%s error=\"%s\"", name, err.text);
		else
			log_info("attached interface=%s ifindex=%u", name, ifindex);
	}
}

/* ---- what somebody else took away ------------------------------------------------------------ */

static int attach_again(struct controller *c, const struct interface_spec *spec, struct err *err)
{
	unsigned int ifindex = if_nametoindex(spec->name);
	int r;

	/* One that is not there has its event when it comes. */
	if (!ifindex || dataplane_attached_ifindex(c->config->bpffs, spec->name) == ifindex)
		return 0;
	r = dataplane_attach(c->dataplane, spec, err);
	if (!r)
		log_warning("attached again interface=%s ifindex=%u", spec->name, ifindex);
	return r == -ENODEV ? 0 : r;
}

static int restore(struct controller *c, struct err *err)
{
	int r = dataplane_restore_pins(c->dataplane, err);

	if (r > 0)
		log_warning("pins put back that somebody else removed bpffs=%s", c->config->bpffs);
	for (size_t i = 0; r >= 0 && i < c->config->n_interfaces; i++)
		r = attach_again(c, &c->config->interfaces[i], err);
	return r < 0 ? r : 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *c = user;
	struct err err = {};
	int r = c->config && !c->is_detached ? restore(c, &err) : 0;
	/* Without a descriptor nobody knows: the next look will. */
	bool has_failed = r && r != -EMFILE && r != -ENFILE;

	if (has_failed && !c->has_lost_pins)
		log_error("cannot put back what somebody else removed, trying on error=\"%s\"",
			  err.text);
	c->has_lost_pins = has_failed;
	sd_event_source_set_time_relative(source, LOOK_EVERY_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int attachments_start(struct controller *c, struct err *err)
{
	int r = sd_event_add_time_relative(c->event, &c->attachments, CLOCK_MONOTONIC,
					   LOOK_EVERY_US, ACCURACY_US, on_time, c);

	if (r >= 0)
		r = sd_event_source_set_priority(c->attachments, PRIORITY);
	return r < 0 ? err_errno(err, -r, "event loop") : 0;
}

void attachments_stop(struct controller *c)
{
	c->attachments = sd_event_source_disable_unref(c->attachments);
}
