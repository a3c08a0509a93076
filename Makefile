# logd: one Makefile, no configure. `make help` lists the targets.
# Objects live in build/<cc>-<mode>/, the programs people run in build/, what tests need from elsewhere in build/deps/.

CC      = gcc
MODE    = release
DEV     =
VERSION = 0.1.0
PREFIX  = /usr/local
DESTDIR =

B := build/$(notdir $(CC))-$(MODE)

PKGS     := libuv libmicrohttpd sqlite3 libcurl jansson openssl libzstd zlib libpcre2-8 yaml-0.1 gnutls
# the agent reads the journal of systemd where its library is there to build with; who does not is not linked to it
comma    := ,
SYSTEMD  := $(shell pkg-config --exists libsystemd && echo yes)
CPPFLAGS  = $(if $(SYSTEMD),-DHAVE_SYSTEMD) -D_GNU_SOURCE -DLOGD_VERSION='"$(VERSION)"' -Ilogd -I. -Itests/lib $(shell pkg-config --cflags $(PKGS))
WARN      = -Wall -Wextra -Wshadow -Wconversion $(if $(DEV),-Werror)
CFLAGS    = -std=c17 -g $(WARN) -fno-strict-aliasing -fstack-protector-strong -fPIE -pthread $(MODEFLAGS)
LDFLAGS   = -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack $(MODEFLAGS)
LDLIBS    = $(shell pkg-config --libs $(PKGS)) -lm $(if $(SYSTEMD),-Wl$(comma)--push-state$(comma)--as-needed $(shell pkg-config --libs libsystemd) -Wl$(comma)--pop-state)

MODEFLAGS_release = -O2 -D_FORTIFY_SOURCE=2
MODEFLAGS_asan    = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODEFLAGS_tsan    = -O1 -fsanitize=thread
MODEFLAGS_cover   = -O0 --coverage
MODEFLAGS_fuzz    = -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
MODEFLAGS        := $(MODEFLAGS_$(MODE))

SRC    := $(wildcard logd/*.c logd/*/*.c rules/*.c agent/*.c)
MAINS  := $(B)/logd/main.o $(B)/agent/main.o
OBJ    := $(SRC:%.c=$(B)/%.o)
LIB    := $(B)/liblogd.a
WEB    := $(sort $(wildcard web/app/*)) web/beacon/b.js web/beacon/vitals.js
UNIT   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ   := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH  := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
CRASH  := $(patsubst tests/crash/%.c,$(B)/crash/%,$(wildcard tests/crash/*.c))
PYTHON  = python3

Q = $(if $(V),,@)  # V=1 shows the commands
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %-5s %s\n' $(1) $(2))

all: $(if $(filter release,$(MODE)),build/logd build/logd-agent,$(B)/logd.bin $(B)/logd-agent.bin)  ## build build/logd and build/logd-agent

build/logd build/logd-agent: build/%: $(B)/%.bin
	@cp -f $< $@.new && mv -f $@.new $@
$(B)/logd.bin: $(B)/logd/main.o $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/logd-agent.bin: $(B)/agent/main.o $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LDLIBS)
$(LIB): $(filter-out $(MAINS),$(OBJ)) $(B)/web_files.o $(B)/default_rules.o
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/web_files.o: $(B)/web_files.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/web_files.c: build/embed $(WEB)
	@mkdir -p $(@D)
	$(call say,EMBED,web)
	$(Q)build/embed $@ $(WEB)
$(B)/default_rules.o: $(B)/default_rules.c
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -Wpedantic,$(CFLAGS)) -Wno-overlength-strings -c -o $@ $<
$(B)/default_rules.c: rules/default.yaml
	@mkdir -p $(@D)
	$(call say,EMBED,$<)
	$(Q)(echo '#include "default_rules.h"'; echo 'const char default_rules[] ='; sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $<; echo ';') > $@
build/embed: web/embed.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c17 -O1 -Wall -Wextra -o $@ $< -lz
# one rule a folder: a program is its one source file and the library
define program
$(B)/$(1)/%: tests/$(1)/%.c $(LIB)
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP $$(LDFLAGS) $(2) -o $$@ $$< $(LIB) $$(LDLIBS)
endef
$(eval $(call program,unit))
$(eval $(call program,bench))
$(eval $(call program,crash))
$(eval $(call program,fuzz,-fsanitize=fuzzer))
build/libfault.so: tests/lib/fault.c tests/lib/fault.h
	$(call say,CC,$<)
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -shared -fPIC -o $@ $< -ldl -pthread
-include $(OBJ:.o=.d) $(wildcard $(B)/unit/*.d $(B)/fuzz/*.d $(B)/bench/*.d $(B)/crash/*.d)

# Built by a make of its own: after what it needs is installed, on every core.
EVERY_CORE = $(MAKE) -s $(if $(findstring j,$(filter -j% --job%,$(MAKEFLAGS))),,-j$(shell nproc))

run: deps-run  ## build and start a demo logd with sample data and rules; prints its address
	@$(EVERY_CORE) all
	@tests/lib/demo.sh $(if $(PORT),--port $(PORT))

test: deps-test  ## build and pass every fast test
	@$(EVERY_CORE) all unit-build crash-build
	@$(PYTHON) tests/lib/run.py

check: deps-check  ## all that CI runs beside `make test`: lint, sanitizers, fuzz, crash proofs
	@$(PYTHON) tests/lib/check.py

unit-build: $(UNIT)
bench-build: $(BENCH)
crash-build: $(if $(CRASH),$(CRASH) build/libfault.so)
unit: $(UNIT)  ## unit tests alone
	@for t in $(UNIT); do $$t || exit 1; done
asan: deps-test  ## unit tests and stories under AddressSanitizer and UBSan
	@$(PYTHON) tests/lib/check.py asan
tsan: deps-test  ## threads under ThreadSanitizer
	@$(PYTHON) tests/lib/check.py tsan
fuzz: deps-check  ## 20 s of fuzzing a target (SECONDS=n)
	@$(PYTHON) tests/lib/check.py fuzz $(SECONDS)
bench: deps-bench  ## measure beside rivals and limits (EVENTS=10000000)
	@$(EVERY_CORE) all bench-build
	@$(PYTHON) tests/bench/run.py $(if $(EVENTS),--events $(EVENTS))
torture: deps-test  ## the release figures of the crash proofs
	@$(EVERY_CORE) all
	@$(PYTHON) tests/lib/check.py torture
lint: deps-check  ## format, layers, words, sizes, hardening, man pages
	@$(EVERY_CORE) all
	@$(PYTHON) tests/lint/lint.py
format:  ## put the code into its format
	clang-format-14 -i $$(git ls-files '*.c' '*.h')
cover:  ## line coverage of the unit tests
	@tests/lib/deps.sh cover
	$(EVERY_CORE) MODE=cover unit && gcovr -r . build/gcc-cover --exclude tests

deps:  ## install what building and running need
	@tests/lib/deps.sh build
deps-run:
	@tests/lib/deps.sh run
deps-test:
	@tests/lib/deps.sh test
deps-bench:
	@tests/lib/deps.sh bench
deps-check:
	@tests/lib/deps.sh check

install: all  ## install to $(DESTDIR)$(PREFIX); a config that is there stays
	install -Dm755 -t $(DESTDIR)$(PREFIX)/bin build/logd build/logd-agent
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man8 logd/logd.8 agent/logd-agent.8
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man5 logd/logd.conf.5 rules/rules.5
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man7 logd/logd-query.7
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/logd/rules rules/default.yaml
	install -d $(DESTDIR)/lib/systemd/system $(DESTDIR)/etc/logd/rules
	sed 's#/usr/local/#$(PREFIX)/#' logd/logd.service | install -m644 /dev/stdin $(DESTDIR)/lib/systemd/system/logd.service
	sed 's#/usr/local/#$(PREFIX)/#' agent/logd-agent.service | install -m644 /dev/stdin $(DESTDIR)/lib/systemd/system/logd-agent.service
	test -e $(DESTDIR)/etc/logd/logd.yaml || sed 's#/usr/local/#$(PREFIX)/#' logd/logd.yaml | install -m644 /dev/stdin $(DESTDIR)/etc/logd/logd.yaml
clean:  ## remove what was built; build/deps stays
	find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true
distclean:  ## and build/deps
	rm -rf build
help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo "  MODE=asan|tsan|cover|fuzz  V=1 (show commands)  DEV=1 (-Werror)  CC=clang-14  PREFIX=  DESTDIR="

.PHONY: all run test check unit unit-build bench-build crash-build asan tsan fuzz bench torture lint format cover deps deps-run deps-test deps-check deps-bench install clean distclean help
.SECONDARY:
