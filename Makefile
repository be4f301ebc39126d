# SPDX-License-Identifier: BSD-2-Clause
# Builds every tool there is: tools/NAME.cpp, with bpf/NAME.bpf.c where it has one. Nothing is listed by hand.
VERSION := 0.1.0

# --- What it builds with ---------------------------------------------------------------------------------------------
# Debian keeps bpftool where only root's PATH looks.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
CLANG      ?= $(firstword $(foreach c,clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14,$(shell command -v $(c) 2>/dev/null)))
BPFTOOL    ?= bpftool
PKG_CONFIG ?= pkg-config
CXX        ?= g++
AR         ?= ar
OBJCOPY    ?= objcopy
HOST       := $(shell uname -m | sed 's/aarch64/arm64/')
ARCH       ?= $(HOST)
BPF_ARCH   := $(ARCH:x86_64=x86)
# For size: what a tool costs while it runs is in the kernel, and few lines here are hot.
CXXFLAGS   ?= -Os -g
B          := build

# For another machine, as in `make ARCH=arm64 box`: Debian's compiler and libraries for it (scripts/setup --arm64). Manual
# pages are not made, which the tools themselves would print.
ifneq ($(ARCH),$(HOST))
B          := build/$(ARCH)
CROSS      := $(ARCH:arm64=aarch64)-linux-gnu-
CXX        := $(CROSS)g++
AR         := $(CROSS)ar
OBJCOPY    := $(CROSS)objcopy
PKG_CONFIG := env PKG_CONFIG_LIBDIR=/usr/lib/$(CROSS:-=)/pkgconfig:/usr/share/pkgconfig $(PKG_CONFIG)
endif

WARNINGS  := -Wall -Wextra -Wshadow -Wno-missing-field-initializers
CPPFLAGS  += -Iinclude -Iblazesym -Itools/common -Ibpf -I$(B)/gen -DCOREKIT_VERSION='"$(VERSION)"'
CXXALL     = -std=c++20 $(WARNINGS) -ffunction-sections -fdata-sections $(CXXFLAGS) $(CPPFLAGS)
# v3: 32-bit arithmetic and jumps, which every kernel from 5.1 on takes.
BPFFLAGS  := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Werror -Ivmlinux/$(ARCH) -Iinclude -Ibpf
LIBS       = $(shell $(PKG_CONFIG) --libs libbpf) -ldw -lelf -llzma -lz
BOX_LIBS   = $(shell $(PKG_CONFIG) --libs --static libbpf) -ldw -lelf -llzma -lbz2 $(ZSTD) -lz
# Newer elfutils than Debian 12's unpack zstd, too.
ZSTD       = $(if $(findstring zstd,$(shell $(PKG_CONFIG) --print-requires-private libdw 2>/dev/null)),-lzstd)

# --- What there is ---------------------------------------------------------------------------------------------------
TOOLS     := $(basename $(notdir $(wildcard tools/*.cpp)))
PROGRAMS  := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
KIT       := $(filter-out tools/common/main.cpp tools/common/box.cpp,$(wildcard tools/common/*.cpp)) $(wildcard blazesym/*.cpp)
KIT_OBJS  := $(patsubst %.cpp,$(B)/obj/%.o,$(KIT))
SKELETONS := $(PROGRAMS:%=$(B)/gen/%.skel.h)
BINARIES  := $(TOOLS:%=$(B)/bin/%)
SHELLS    := bash zsh fish

# The prefix that installed names bear, since distributions carry tools of the same names.
PREFIX         ?= /usr/local
SBINDIR        ?= $(PREFIX)/sbin
BINDIR         ?= $(PREFIX)/bin
MANDIR         ?= $(PREFIX)/share/man
DATADIR        ?= $(PREFIX)/share
PROGRAM_PREFIX ?= corekit-
PROGRAM_SUFFIX ?=
installed       = $(PROGRAM_PREFIX)$(1)$(PROGRAM_SUFFIX)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' $(1) $(2))
ifneq (,$(findstring s,$(firstword -$(MAKEFLAGS))))
say =
endif

# None of make's own rules: they would try to make the dependency files that are included below.
MAKEFLAGS += --no-builtin-rules
.PHONY: all box check install clean docs tests bench
.DELETE_ON_ERROR:
.SECONDARY:
all: $(BINARIES) $(if $(CROSS),,docs)

# --- BPF programs ----------------------------------------------------------------------------------------------------
$(B)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -MMD -MP -c $< -o $@

# Linking also drops the debugging data that only the compiler wanted.
$(B)/gen/%.bpf.o: $(B)/bpf/%.bpf.o
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen object $@ $<

$(B)/gen/%.skel.h: $(B)/gen/%.bpf.o scripts/pack-skeleton
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.whole
	$(Q)scripts/pack-skeleton $@.whole $< $*_bpf > $@ && rm $@.whole

# --- The library and the tools ---------------------------------------------------------------------------------------
$(B)/obj/%.o: %.cpp Makefile
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXALL) $(OBJ_FLAGS) -MMD -MP -c $< -o $@

# What each row passes through on its way out, and what a start waits for: the kernel's types, an unwind table.
$(patsubst %,$(B)/obj/tools/common/%.o,sink text stream clock session names kernel_types unwind_table): OBJ_FLAGS = -O2

# A tool's entry bears its name, so that the box can hold all of them.
define tool_object
$(B)/obj/tools/$(1).o: OBJ_FLAGS = -Dtool=tool_$(1)
$(B)/obj/tools/$(1).o: $(if $(filter $(1),$(PROGRAMS)),$(B)/gen/$(1).skel.h)
endef
$(foreach t,$(TOOLS),$(eval $(call tool_object,$(t))))

$(B)/libkit.a: $(KIT_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/obj/main/%.o: tools/common/main.cpp Makefile
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXALL) -DTOOL=$* -MMD -MP -c $< -o $@

# What a tool uses of the C++ runtime is in it, 0.1 MB, where the compiler comes with that: a server's own may be older,
# and to load it takes a millisecond and a megabyte. `make CXX_RUNTIME=` links it as other libraries are.
ifeq ($(origin CXX_RUNTIME),undefined)
CXX_RUNTIME := $(if $(findstring /,$(shell $(CXX) -print-file-name=libstdc++.a)),-static-libstdc++ -static-libgcc)
endif
LINK = $(CXX) $(CXXFLAGS) $(LDFLAGS) $(CXX_RUNTIME) -Wl,--gc-sections -Wl,--as-needed
# What probes much of the C library in every process has one of its own, or it would be stopped at its own calls; where a
# library's static form lacks functions, as libelf's of Debian 13, it is linked as the others are.
ALONE := fgraph

$(B)/bin/%: $(B)/obj/tools/%.o $(B)/obj/main/%.o $(B)/libkit.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(if $(filter $(ALONE),$*),$(LINK) -static -o $@.debug $^ $(BOX_LIBS) 2>/dev/null ||) $(LINK) -o $@.debug $^ $(LIBS)
	$(Q)$(OBJCOPY) --strip-unneeded $@.debug $@ && mkdir -p $(B)/debug && mv $@.debug $(B)/debug/$*

# It asks the other tools what they can do.
$(B)/bin/doctor: | $(filter-out $(B)/bin/doctor,$(BINARIES))

# --- The static box: one file that holds every tool ------------------------------------------------------------------
box: $(B)/box/corekit

$(B)/gen/box_tools.inc: Makefile $(wildcard tools)
	$(Q)mkdir -p $(@D)
	$(Q)for tool in $(TOOLS); do echo "BOX_TOOL($$tool)"; done > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/obj/tools/common/box.o $(B)/obj/tools/common/suite.o: $(B)/gen/box_tools.inc

$(B)/box/corekit: $(TOOLS:%=$(B)/obj/tools/%.o) $(B)/obj/tools/common/box.o $(B)/libkit.a
	$(call say,BOX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) $(LDFLAGS) -static -s -Wl,--gc-sections -o $@ $^ $(BOX_LIBS)

# --- Manual pages and completions, from the tools' own declarations --------------------------------------------------
docs: $(TOOLS:%=$(B)/man/%.8) $(foreach s,$(SHELLS),$(TOOLS:%=$(B)/completions/$(s)/%))

$(B)/man/%.8: $(B)/bin/%
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$< --print-manual '$(call installed,$*)' > $@

define completions
$(B)/completions/$(1)/%: $(B)/bin/%
	$(Q)mkdir -p $$(@D)
	$(Q)$$< --print-completion '$(1):$$(call installed,$$*)' > $$@
endef
$(foreach s,$(SHELLS),$(eval $(call completions,$(s))))

install: all
	$(Q)install -d '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(MANDIR)/man8' '$(DESTDIR)$(DATADIR)/bash-completion/completions' \
	  '$(DESTDIR)$(DATADIR)/zsh/site-functions' '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d'
	$(Q)for tool in $(TOOLS); do \
	  name='$(PROGRAM_PREFIX)'$$tool'$(PROGRAM_SUFFIX)'; \
	  install -m 755 $(B)/bin/$$tool '$(DESTDIR)$(SBINDIR)'/$$name && \
	  install -m 644 $(B)/man/$$tool.8 '$(DESTDIR)$(MANDIR)/man8'/$$name.8 && \
	  install -m 644 $(B)/completions/bash/$$tool '$(DESTDIR)$(DATADIR)/bash-completion/completions'/$$name && \
	  install -m 644 $(B)/completions/zsh/$$tool '$(DESTDIR)$(DATADIR)/zsh/site-functions'/_$$name && \
	  install -m 644 $(B)/completions/fish/$$tool '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d'/$$name.fish || exit 1; \
	done

# --- Tests -----------------------------------------------------------------------------------------------------------
include $(wildcard tests/tests.mk)

# The tools beside their peers, for some thirteen minutes: as root, on a machine that does nothing else.
bench: all box
	$(Q)tests/bench/run --json $(B)/bench/figures.json

clean:
	$(Q)rm -rf $(B)

-include $(shell [ -d $(B) ] && find $(B) -name '*.d')
