# logd: one Makefile, no configure. `make help` lists the targets.
# Objects live in build/<cc>-<mode>/, the programs people run in build/.

CC      = gcc
MODE    = release
DEV     =
VERSION = 0.1.0
PREFIX  = /usr/local
DESTDIR =

B := build/$(notdir $(CC))-$(MODE)

PKGS     := libuv libmicrohttpd sqlite3 libcurl jansson openssl libzstd zlib libpcre2-8 yaml-0.1 gnutls
CPPFLAGS  = -D_GNU_SOURCE -DLOGD_VERSION='"$(VERSION)"' -Ilogd -I. -Itests/lib -I$(B) $(shell pkg-config --cflags $(PKGS))
WARN      = -Wall -Wextra -Wshadow -Wconversion $(if $(DEV),-Werror)
CFLAGS    = -std=c17 -g $(WARN) -fno-strict-aliasing -fstack-protector-strong -fPIE -pthread $(MODEFLAGS)
LDFLAGS   = -pie -pthread -Wl,-z,relro,-z,now $(MODEFLAGS)
LDLIBS    = $(shell pkg-config --libs $(PKGS)) -lm

MODEFLAGS_release = -O2 -D_FORTIFY_SOURCE=2
MODEFLAGS_asan    = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODEFLAGS_tsan    = -O1 -fsanitize=thread
MODEFLAGS_cover   = -O0 --coverage
MODEFLAGS_fuzz    = -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
MODEFLAGS        := $(MODEFLAGS_$(MODE))

SRC  := $(wildcard logd/*.c logd/*/*.c rules/*.c)
MAIN := logd/main.c
OBJ  := $(patsubst %.c,$(B)/%.o,$(SRC))
LIB  := $(B)/liblogd.a
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

all: build/logd
build/logd: $(B)/logd/main.o $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIB): $(filter-out $(B)/logd/main.o,$(OBJ))
	@rm -f $@
	ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)
$(B)/fuzz/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) $(LDLIBS)
-include $(OBJ:.o=.d) $(wildcard $(B)/unit/*.d)

unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

clean:
	rm -rf build
.PHONY: all unit clean
