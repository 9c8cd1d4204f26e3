/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The routes of the HTTP API (/v1/...): a request to controller calls and rendered snapshots. */
#pragma once

#include "controller.h"
#include "http_server.h"

struct api {
	struct controller *controller;
	sd_event *event;
};

/* An http_handler_fn; user is a struct api. */
unsigned int api_handle(void *user, const struct http_request *request,
			struct http_reply *ret_reply);
