/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The audit log: see audit.h. */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

struct audit {
	char path[512];
	int fd; /* -1: it could not be opened */
	size_t size; /* of the file */
	bool has_failed; /* said in the log */
	bool is_torn; /* its last line has no end: the disk was full */
	uint64_t last; /* the newest event's number */
	json_t *kept[AUDIT_KEPT]; /* by number */
};

static void keep(struct audit *audit, uint64_t number, json_t *event)
{
	json_t **slot = &audit->kept[number % AUDIT_KEPT];

	json_decref(*slot);
	*slot = event;
	audit->last = number;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* What waits for whoever reads it is an error, not waited for. */
static int open_file(struct audit *audit)
{
	struct stat st;

	audit->fd = open(audit->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
	if (audit->fd < 0)
		return -errno;
	audit->size = fstat(audit->fd, &st) ? 0 : (size_t)st.st_size;
	return 0;
}

static void close_file(struct audit *audit)
{
	if (audit->fd >= 0)
		close(audit->fd);
	audit->fd = -1;
}

/* Somebody may have moved or removed the file, or its directory. */
static bool is_in_place(const struct audit *audit)
{
	struct stat open_one, named;

	return !fstat(audit->fd, &open_one) && !stat(audit->path, &named) &&
	       open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static int find_file(struct audit *audit)
{
	if (audit->fd >= 0) {
		if (is_in_place(audit))
			return 0;
		close_file(audit);
		audit->is_torn = false;
	}
	return open_file(audit);
}

static int rotate(struct audit *audit)
{
	char old[sizeof(audit->path) + 2];

	snprintf(old, sizeof(old), "%s.1", audit->path);
	if (rename(audit->path, old))
		return -errno;
	close_file(audit);
	audit->is_torn = false;
	return open_file(audit);
}

static int append(struct audit *audit, const char *text, size_t len)
{
	ssize_t n = write(audit->fd, text, len);

	if (n < 0)
		return -errno;
	audit->size += (size_t)n;
	audit->is_torn = n > 0 ? text[n - 1] != '\n' : audit->is_torn;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int write_line(struct audit *audit, const char *line, size_t len)
{
	int r = find_file(audit);

	if (!r && audit->size > 0 && audit->size + len + 1 > AUDIT_FILE_MAX)
		r = rotate(audit);
	if (!r && audit->is_torn)
		r = append(audit, "\n", 1);
	return r ? r : append(audit, line, len);
}

static void note_result(struct audit *audit, int r)
{
	if (r && !audit->has_failed)
		log_error("cannot write the audit log file=%s error=\"%s\"", audit->path,
			  strerror(-r));
	audit->has_failed = r != 0;
}

static void write_event(struct audit *audit, const json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT);
	char *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;

	note_result(audit, len < 0 ? -ENOMEM : write_line(audit, line, (size_t)len));
	if (len >= 0)
		free(line);
	free(text);
}

/* The end of a regular file, as much as we write into one; NULL: there is none to be read. */
static FILE *open_end(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    (st.st_size <= AUDIT_FILE_MAX || lseek(fd, -(off_t)AUDIT_FILE_MAX, SEEK_END) >= 0))
		file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

/* What an earlier daemon wrote; a line that is none (the disk was full) is passed over. */
static void read_file(struct audit *audit, const char *path)
{
	FILE *file = open_end(path);
	char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		json_t *event = json_loads(line, 0, NULL);
		json_int_t number = json_integer_value(json_object_get(event, "number"));

		audit->is_torn = !strchr(line, '\n');
		if (number > 0)
			keep(audit, (uint64_t)number, event);
		else
			json_decref(event);
	}
	free(line);
	if (file)
		fclose(file);
}

int audit_open(struct audit **ret_audit, const char *state_dir, struct err *err)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	char old[sizeof(audit->path) + 2];

	if (!audit)
		return err_set(err, ENOMEM, "out of memory");
	audit->fd = -1;
	snprintf(audit->path, sizeof(audit->path), "%s/audit.log", state_dir);
	snprintf(old, sizeof(old), "%s.1", audit->path);
	read_file(audit, old);
	read_file(audit, audit->path);
	note_result(audit, open_file(audit));
	*ret_audit = audit;
	return 0;
}

void audit_free(struct audit *audit)
{
	if (!audit)
		return;
	for (size_t i = 0; i < AUDIT_KEPT; i++)
		json_decref(audit->kept[i]);
	close_file(audit);
	free(audit);
}

/* ---- events -------------------------------------------------------------------------------- */

/* RFC 3339, UTC, with milliseconds. */
static json_t *time_now(void)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%03ldZ", text, now.tv_nsec / 1000000);
}

void audit_add(struct audit *audit, const struct actor *who, const char *what, json_t *details)
{
	uint64_t number = audit->last + 1;
	json_t *event = json_pack("{s:I, s:o, s:s, s:s}", "number", (json_int_t)number, "time",
				  time_now(), "who", who->name, "what", what);

	if (event && who->has_ids) {
		json_object_set_new(event, "uid", json_integer(who->uid));
		json_object_set_new(event, "pid", json_integer(who->pid));
	}
	if (event && details)
		json_object_update(event, details);
	json_decref(details);
	if (!event) {
		log_error("no memory for an event of the audit log what=%s", what);
		return;
	}
	write_event(audit, event);
	keep(audit, number, event);
}

json_t *audit_events(const struct audit *audit, uint64_t after, size_t limit)
{
	json_t *events = json_array();
	uint64_t first = audit->last < AUDIT_KEPT ? 1 : audit->last - AUDIT_KEPT + 1;

	if (audit->last >= limit && first < audit->last - limit + 1)
		first = audit->last - limit + 1;
	if (first <= after)
		first = after + 1;
	for (uint64_t n = first; n <= audit->last; n++) {
		if (audit->kept[n % AUDIT_KEPT])
			json_array_append(events, audit->kept[n % AUDIT_KEPT]);
	}
	return events;
}
