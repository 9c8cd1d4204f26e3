# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# xdplb: `make help` lists the targets. Everything is built into $(OUT); V=1 shows the commands.

OUT ?= build
PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0
SANITIZE ?=
FUZZ_SECONDS ?= 60
FUZZ_SEED ?=

ifeq ($(V),1)
Q :=
msg =
else
Q := @
msg = @printf '  %-8s %s\n' "$(1)" "$(2)";
endif

CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
ARCH_INCLUDE := /usr/include/$(shell uname -m)-linux-gnu

VERSION := $(shell cat VERSION 2>/dev/null || echo 0.0.0)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	    -Wno-unused-parameter -Wno-sign-compare
CPPFLAGS += -D_GNU_SOURCE -DXDPLB_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(OUT)/gen
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 $(WARNINGS)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -std=gnu11 -Wall -Wextra -Werror -Wshadow \
	      -Wno-unused-parameter -Wno-sign-compare -Iinclude -Ibpf -isystem $(ARCH_INCLUDE)

ifneq ($(SANITIZE),)
# SANITIZE=address,undefined builds into a directory of its own.
OUT := $(OUT)/san
CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SANITIZE)
endif

LIBS_LIB := yaml-0.1 jansson nettle gnutls
LIBS_DP := libbpf
LIBS_DAEMON := libsystemd libmicrohttpd libcurl libmnl $(LIBS_DP) $(LIBS_LIB)
LIBS_CTL := jansson smartcols libcurl yaml-0.1 nettle gnutls
LIBS_RECEIVER := libbpf jansson libmnl
pkg_libs = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)
# libresolv: DNS messages; part of the C library.
daemon_libs = $(call pkg_libs,$(LIBS_DAEMON)) -lresolv

LIB_SRC := $(wildcard user/lib/*.c)
DAEMON_SRC := $(wildcard user/daemon/*.c)
CTL_SRC := $(wildcard user/ctl/*.c)
RECEIVER_SRC := $(wildcard user/receiver/*.c)
BPF_SRC := $(wildcard bpf/*.bpf.c)
TOOL_BPF_SRC := $(wildcard tools/*.bpf.c)
TOOL_SRC := $(wildcard tools/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
BPFTEST_SRC := $(wildcard tests/bpf/test_*.c)
BPFTEST_BPF_SRC := $(wildcard tests/bpf/*.bpf.c)
BPFTEST_LIB_SRC := $(filter-out $(BPFTEST_SRC) $(BPFTEST_BPF_SRC),$(wildcard tests/bpf/*.c))
BENCH_SRC := $(filter-out %.bpf.c,$(wildcard tests/bench/bench_*.c))
BENCH_BPF_SRC := $(wildcard tests/bench/*.bpf.c)
FUZZ_SRC := $(filter-out tests/fuzz/host_%,$(wildcard tests/fuzz/*.c))
BENCH_LIB_SRC := $(filter-out $(BENCH_SRC) $(BENCH_BPF_SRC),$(wildcard tests/bench/*.c))

obj = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
SKELETONS := $(patsubst bpf/%.bpf.c,$(OUT)/gen/%.skel.h,$(BPF_SRC))
BENCH_SKELETONS := $(patsubst tests/bench/%.bpf.c,$(OUT)/gen/%.skel.h,$(BENCH_BPF_SRC))
BPFTEST_SKELETONS := $(patsubst tests/bpf/%.bpf.c,$(OUT)/gen/%.skel.h,$(BPFTEST_BPF_SRC))
TOOL_BPF_OBJ := $(patsubst tools/%.bpf.c,$(OUT)/tools/%.bpf.o,$(TOOL_BPF_SRC))
LIB := $(OUT)/libxdplb.a

BINARIES := $(if $(DAEMON_SRC),$(OUT)/xdplbd) $(if $(CTL_SRC),$(OUT)/xdplbctl) \
	    $(if $(RECEIVER_SRC),$(OUT)/xdplb-receiver)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/tests/unit/%,$(UNIT_SRC))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(OUT)/tests/bpf/%,$(BPFTEST_SRC))
BENCHES := $(patsubst tests/bench/%.c,$(OUT)/tests/bench/%,$(BENCH_SRC))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps demo test test-run vmtest lint proofs chaos bench bench-live bench-control bench-health bench-memory bench-profile bench-knobs \
	bench-plot docs install clean help unit-tests \
	bpf-tests benches fuzz fuzz-corpus fuzz-proof fuzzers

all: $(BINARIES) $(TOOL_BPF_OBJ) ## build everything into build/

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: V=1 (show commands), OUT=DIR, PREFIX=DIR, DESTDIR=DIR, SANITIZE=address,undefined"

deps: ## install the Debian packages that are missing (root)
	$(Q)tools/deps.sh

demo: ## the main job end to end in network namespaces (root)
	$(Q)tools/deps.sh
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)tools/demo.sh $(OUT)

test: ## every test: unit, packet tables, end to end (root)
	$(Q)tools/deps.sh
	$(Q)$(MAKE) --no-print-directory -j2 all unit-tests bpf-tests benches fuzzers \
		$(OUT)/tests/net/quic_lb_ids.so
	$(Q)tests/run.sh $(OUT)

vmtest: ## packet tables and kernel tunnels on Debian's kernels, in virtual machines (root)
	$(Q)tools/deps.sh vmtest
	$(Q)$(MAKE) --no-print-directory -j2 all bpf-tests
	$(Q)vmtest/run.sh $(OUT)

lint: ## formatting, static analysis, dependency direction
	$(Q)tools/deps.sh
	$(Q)$(MAKE) --no-print-directory $(SKELETONS) $(OUT)/xdplbd $(BENCH_SKELETONS) \
		$(BPFTEST_SKELETONS)
	$(Q)tools/lint.sh $(OUT)

proofs: all bpf-tests ## the flow table and the rings under load, long (root)
	$(Q)tests/proofs.sh $(OUT)

chaos: all ## reals that fail in every way under load: how soon that is known, what it costs (root)
	$(Q)tools/deps.sh
	$(Q)tests/chaos/run.sh $(OUT)

fuzz: fuzzers ## mutated packets through packet path and model, FUZZ_SECONDS=60 FUZZ_SEED= (root)
	$(Q)tests/fuzz/run.sh $(OUT) $(FUZZ_SECONDS) $(FUZZ_SEED)

fuzz-corpus: fuzzers ## make tests/fuzz/corpus anew: what is still of interest, and what is missing (root)
	$(Q)XDPLB_BUILD=$(OUT) /usr/bin/python3 tests/fuzz/fuzz.py corpus --seconds $(FUZZ_SECONDS)

fuzz-proof: ## break the packet path on purpose, see make fuzz find it; a few minutes (root)
	$(Q)tests/fuzz/breakages.py

bench: benches ## ns per packet, case by case, beside the goals (root)
	$(Q)tests/bench/run.sh $(OUT)

bench-live: benches ## live frames over veth on one CPU: Mpps (root)
	$(Q)$(OUT)/tests/bench/bench_live >$(OUT)/bench-live.jsonl

bench-control: all benches ## rings, apply, restart, scan; the idle daemon (root)
	$(Q)tests/bench/run-control.sh $(OUT)

bench-health: all ## 10,000 HTTP targets at 1 s on one CPU: CPU, lateness, memory (root)
	$(Q)unshare --net tests/bench/health.py $(OUT) 5000 8000 10000 >$(OUT)/bench-health.jsonl

bench-memory: benches ## what reading a random line of tables of the maps' sizes costs: the floor (root)
	$(Q)$(OUT)/tests/bench/bench_memory >$(OUT)/bench-memory.jsonl

bench-profile: benches ## where in the packet path's source the time goes (root)
	$(Q)tests/bench/profile.sh $(OUT)

bench-knobs: benches ## what each feature costs those that do not use it; ten minutes (root)
	$(Q)tests/bench/knobs.py $(OUT) >$(OUT)/bench-knobs.jsonl

bench-plot: ## docs/flows.svg and the tables of docs/benchmarks.md from the last measurements
	$(Q)tests/bench/report.py svg $(OUT)/bench.jsonl >docs/flows.svg
	$(Q)tests/bench/report.py docs $(OUT) docs/benchmarks.md

bench-schedulers: all ## long and short connections by each scheduler; docs/schedulers.svg and its table (root)
	$(Q)XDPLB_BUILD=$(OUT) tests/bench/schedulers.py measure >$(OUT)/schedulers.jsonl
	$(Q)tests/bench/schedulers.py svg $(OUT)/schedulers.jsonl >docs/schedulers.svg
	$(Q)tests/bench/schedulers.py docs $(OUT)/schedulers.jsonl docs/schedulers.md

docs: all ## regenerate the generated parts of docs/
	$(Q)tools/gen-docs.sh $(OUT)

unit-tests: $(UNIT_TESTS)
bpf-tests: $(BPF_TESTS)
benches: $(BENCHES)
fuzzers: $(OUT)/tests/fuzz/server $(OUT)/tests/fuzz/host_parse

install: all ## install the programs (PREFIX=, DESTDIR=)
	install -D -m 0755 $(OUT)/xdplbd $(DESTDIR)$(PREFIX)/sbin/xdplbd
	install -D -m 0755 $(OUT)/xdplbctl $(DESTDIR)$(PREFIX)/sbin/xdplbctl
	install -D -m 0755 $(OUT)/xdplb-receiver $(DESTDIR)$(PREFIX)/sbin/xdplb-receiver
	install -D -m 0644 docs/example.yaml $(DESTDIR)$(PREFIX)/share/doc/xdplb/example.yaml
	install -D -m 0644 docs/operations.md $(DESTDIR)$(PREFIX)/share/doc/xdplb/operations.md
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/|$(PREFIX)/|' tools/xdplbd.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/xdplbd.service

clean: ## remove build/
	$(call msg,CLEAN,$(OUT))rm -rf $(OUT)

# ---- BPF: x.bpf.c -> x.bpf.o -> x.skel.h -> x.c ------------------------------------------------

$(OUT)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(OUT)/tools/%.bpf.o: tools/%.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(OUT)/tests/bench/%.bpf.o: tests/bench/%.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(BENCH_SKELETONS): $(OUT)/gen/%.skel.h: $(OUT)/tests/bench/%.bpf.o
	@mkdir -p $(@D)
	$(call msg,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(OUT)/tests/bpf/%.bpf.o: tests/bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call msg,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(BPFTEST_SKELETONS): $(OUT)/gen/%.skel.h: $(OUT)/tests/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(call msg,SKEL,$@)( echo '/* NOLINTBEGIN */' && \
		$(BPFTOOL) gen skeleton $< name $*_bpf && echo '/* NOLINTEND */' ) > $@

$(OUT)/gen/%.skel.h: $(OUT)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(call msg,SKEL,$@)( echo '/* NOLINTBEGIN */' && \
		$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf && echo '/* NOLINTEND */' ) > $@

# ---- C -------------------------------------------------------------------------------------

$(OUT)/obj/%.o: %.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(call msg,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(call obj,$(LIB_SRC))
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/xdplbd: $(call obj,$(DAEMON_SRC)) $(LIB)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(daemon_libs) -lpthread

$(OUT)/xdplbctl: $(call obj,$(CTL_SRC)) $(LIB)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(LIBS_CTL))

$(OUT)/xdplb-receiver: $(call obj,$(RECEIVER_SRC)) $(LIB)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(LIBS_RECEIVER))

# A unit test may test a pure piece of the daemon, of ctl or of the receiver: everything there but main.
DAEMON_TESTABLE := $(filter-out %/main.o,$(call obj,$(DAEMON_SRC)))
RECEIVER_TESTABLE := $(filter-out %/main.o,$(call obj,$(RECEIVER_SRC)))
CTL_TESTABLE := $(filter-out %/main.o,$(call obj,$(CTL_SRC)))

$(OUT)/libdaemon.a: $(DAEMON_TESTABLE)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/libreceiver.a: $(RECEIVER_TESTABLE)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/libctl.a: $(CTL_TESTABLE)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/tests/unit/%: $(OUT)/obj/tests/unit/%.o $(LIB) $(OUT)/libdaemon.a $(OUT)/libreceiver.a \
		      $(OUT)/libctl.a
	@mkdir -p $(@D)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -o $@ \
		-lcmocka $(daemon_libs) $(call pkg_libs,$(LIBS_CTL)) -lm

$(OUT)/tests/bpf/%: $(OUT)/obj/tests/bpf/%.o $(call obj,$(BPFTEST_LIB_SRC)) $(LIB)
	@mkdir -p $(@D)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lcmocka $(call pkg_libs,$(LIBS_DP) $(LIBS_LIB)) -lm

$(call obj,$(BPFTEST_SRC) $(BPFTEST_LIB_SRC)): | $(BPFTEST_SKELETONS)

$(call obj,$(BENCH_SRC) $(BENCH_LIB_SRC)): | $(BENCH_SKELETONS)

$(OUT)/libbench.a: $(call obj,$(BENCH_LIB_SRC))
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/tests/bench/%: $(OUT)/obj/tests/bench/%.o $(OUT)/libbench.a $(LIB)
	@mkdir -p $(@D)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(LIBS_DP) $(LIBS_LIB)) -lm

# Preloaded into another's program, so of position-independent objects of its own.
$(OUT)/tests/net/quic_lb_ids.so: tests/net/quic_lb_ids.c user/lib/quic_lb.c user/lib/hex.c
	@mkdir -p $(@D)
	$(call msg,LINK,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared $^ -o $@ $(call pkg_libs,nettle)

$(OUT)/tests/fuzz/server: $(call obj,$(FUZZ_SRC)) $(OUT)/libdaemon.a $(LIB)
	@mkdir -p $(@D)
	$(call msg,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(daemon_libs) -lpthread

# The packet path itself, for the host; libbpf's header of helpers gives way to tests/fuzz/host.
$(OUT)/gen/host_maps.inc: bpf/maps.h
	@mkdir -p $(@D)
	$(call msg,GEN,$@)sed -nE -e 's/^\} ([a-z0-9_]+) SEC\("\.maps"\);/MAP(\1)/p' \
		-e 's/^struct .* ([a-z0-9_]+)(\[.*\])? SEC\("\.data\..*"\);/VARIABLE(\1)/p' $< > $@

$(OUT)/tests/fuzz/host_parse: tests/fuzz/host_parse.c $(OUT)/gen/host_maps.inc $(LIB)
	@mkdir -p $(@D)
	$(call msg,FUZZ,$@)$(CLANG) -O1 -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
		-Wno-sign-compare -fsanitize=fuzzer,address,undefined -fno-sanitize=alignment \
		-fno-sanitize-recover=all -Itests/fuzz/host -Ibpf -Iinclude -Iuser -I$(OUT)/gen -MMD -MP -MF $@.d $< $(LIB) -o $@

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
