# SPDX-License-Identifier: BSD-2-Clause
# The tests: tests/TIER/NAME.cpp becomes build/tests/TIER_NAME_test, tests/trigger/NAME.c, or .cpp, a static program that a
# live test watches; one that is built in other ways, too, is NAME_WAY there. Nothing is listed by hand.

test_sources = $(wildcard tests/$(1)/*.cpp)
test_names   = $(patsubst tests/$(1)/%.cpp,$(B)/tests/$(1)_%_test,$(test_sources))

HOST_TESTS  := $(foreach tier,unit contract golden fuzz,$(call test_names,$(tier)))
LIVE_TESTS  := $(foreach tier,live guest,$(call test_names,$(tier)))
TRIGGERS    := $(addprefix $(B)/tests/trigger/,$(basename $(notdir $(wildcard tests/trigger/*.c tests/trigger/*.cpp))))
TEST_COMMON := $(B)/obj/tests/main.o $(B)/obj/tests/case.o
LIVE_COMMON := $(TEST_COMMON) $(B)/obj/tests/harness.o
# Catch2 3 is a library; of Catch2 2, main.cpp holds all there is.
CATCH_LIBS   = $(if $(wildcard $(addsuffix /catch2/catch_all.hpp,/usr/include /usr/local/include)),-lCatch2)

.PHONY: fuzz guest-tests
# What runs in a guest.
guest-tests: $(LIVE_TESTS) $(TRIGGERS)
tests: $(HOST_TESTS) guest-tests $(B)/tests/layouts.o $(B)/tests/viewers_pictures

# What a packager runs: no root, no network.
check: all $(HOST_TESTS) $(B)/tests/layouts.o
	$(Q)failed=; for test in $(HOST_TESTS); do echo "$$test"; $$test || failed="$$failed $$test"; done; \
	  if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

# Not optimized: they wait for the tools, and nobody for them but who compiles them.
$(B)/obj/tests/%.o: OBJ_FLAGS = -Itests -O0 -g0 -U_FORTIFY_SOURCE

define host_test
$(B)/tests/$(1)_%_test: $(B)/obj/tests/$(1)/%.o $(TEST_COMMON) $(B)/libkit.a
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(CXXFLAGS) $$(LDFLAGS) -Wl,--gc-sections -Wl,--as-needed -o $$@ $$^ $$(CATCH_LIBS) $$(LIBS) -ldw
endef
$(foreach tier,unit contract golden,$(eval $(call host_test,$(tier))))

# What the viewers' tests open besides recordings.
$(B)/tests/viewers_pictures: $(B)/obj/tests/viewers/pictures.o $(B)/libkit.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) $(LDFLAGS) -Wl,--gc-sections -Wl,--as-needed -o $@ $^ $(LIBS) -ldw

# The tier fuzz: what reads others' bytes, built so that it ends at its first wrong step; the rest of the library as it is.
FUZZED    := $(wildcard blazesym/*.cpp tools/common/picture*.cpp) $(addprefix tools/common/,elf.cpp probe.cpp text.cpp unwind_table.cpp)
FUZZ_OBJS := $(FUZZED:%.cpp=$(B)/fuzz/%.o)
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all

$(B)/fuzz/%.o: %.cpp Makefile tests/tests.mk
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=c++20 $(WARNINGS) -O1 -g -fno-omit-frame-pointer $(SANITIZE) $(CPPFLAGS) -Itests -MMD -MP -c $< -o $@

$(B)/tests/fuzz_%_test: $(B)/fuzz/tests/fuzz/%.o $(FUZZ_OBJS) $(TEST_COMMON) $(B)/libkit.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(SANITIZE) -o $@ $^ $(CATCH_LIBS) $(LIBS) -ldw

# It changes bytes of these.
$(B)/tests/fuzz_unwind_test: | $(B)/tests/trigger/unwound

# Static, since the same files run in a guest, the tier guest there alone; they know the tools as processes only. Debian
# 13's static libelf lacks functions of its own: there they are linked as the tools are, and run on that machine only.
define live_test
$(B)/tests/$(1)_%_test: $(B)/obj/tests/$(1)/%.o $(LIVE_COMMON)
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(CXXFLAGS) $$(LDFLAGS) -static -s -Wl,--gc-sections -o $$@ $$^ $$(CATCH_LIBS) $$(BOX_LIBS) 2>$$@.err || \
	  $$(CXX) $$(CXXFLAGS) $$(LDFLAGS) -s -Wl,--gc-sections -o $$@ $$^ $$(CATCH_LIBS) $$(LIBS) || { cat $$@.err >&2; false; }
	$$(Q)rm -f $$@.err
endef
$(foreach tier,live guest,$(eval $(call live_test,$(tier))))

$(B)/tests/trigger/%: tests/trigger/%.c Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CROSS)gcc -static -O2 $(TRIGGER_FLAGS) -Wall -Wextra -pthread -MMD -MP -o $@ $<

# Triggers whose stacks are looked at are walked by frame pointers; one has a part in a library.
FRAMES := -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
$(B)/tests/trigger/shapes $(B)/tests/trigger/typed $(B)/tests/trigger/takes: TRIGGER_FLAGS = -g
$(B)/tests/trigger/typed_slow: TRIGGER_FLAGS = -g -O0
$(B)/tests/trigger/waits: TRIGGER_FLAGS = -g $(FRAMES)
$(B)/tests/trigger/ways $(B)/tests/trigger/chains: TRIGGER_FLAGS = $(FRAMES)
$(B)/tests/trigger/hot: tests/trigger/hot.c $(B)/tests/trigger/libhot.so
	$(call say,CC,$@)
	$(Q)$(CROSS)gcc -O2 -g $(FRAMES) -Wall -Wextra -Wl,-rpath,'$$ORIGIN' -o $@ $^

# Of these the calls of a library are looked at, too.
$(B)/tests/trigger/nested $(B)/tests/trigger/leaps: $(B)/tests/trigger/%: tests/trigger/%.c tests/tests.mk
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CROSS)gcc -O2 -Wall -Wextra -pthread -o $@ $<

$(B)/tests/trigger/libhot.so: tests/trigger/lib/hot_library.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CROSS)gcc -O2 -g $(FRAMES) -fPIC -shared -Wl,-soname,libhot.so -Wall -Wextra -o $@ $<

# These have no frame pointers: static; with a library, as a program that may lie anywhere, with debug information; or that
# may not, of which nothing but debug information says how it is unwound. And one that throws exceptions.
NO_FRAMES := -O2 -fomit-frame-pointer -pthread -Wall -Wextra
# Of arm64 one has signed return addresses.
SIGNED    := $(if $(filter arm64,$(ARCH)),-mbranch-protection=standard)
UNWOUND   := $(addprefix $(B)/tests/trigger/,unwound unwound_pie unwound_fixed)
THROWN    := $(addprefix $(B)/tests/trigger/,thrown thrown_pie)
$(B)/tests/trigger/unwound: $(filter-out %/unwound,$(UNWOUND))
$(B)/tests/trigger/thrown: $(filter-out %/thrown,$(THROWN))
$(UNWOUND): tests/trigger/unwound.c tests/trigger/shares.h tests/trigger/lib/unwound_library.c tests/tests.mk
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CROSS)gcc $(NO_FRAMES) -fPIC -shared -Wl,-soname,libunwound.so -o $(@D)/libunwound.so tests/trigger/lib/unwound_library.c
	$(Q)case $(@F) in \
	  unwound) $(CROSS)gcc $(NO_FRAMES) -static -o $@ $< tests/trigger/lib/unwound_library.c;; \
	  unwound_pie) $(CROSS)gcc $(NO_FRAMES) $(SIGNED) -g -fPIE -pie -Wl,-rpath,'$$ORIGIN' -o $@ $< $(@D)/libunwound.so;; \
	  *) $(CROSS)gcc $(NO_FRAMES) -g -fno-asynchronous-unwind-tables -no-pie -Wl,-rpath,'$$ORIGIN' -o $@ $< $(@D)/libunwound.so;; \
	esac

$(THROWN): tests/trigger/thrown.cpp tests/trigger/shares.h tests/tests.mk
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CROSS)g++ $(NO_FRAMES) $(if $(filter %_pie,$@),-g -fPIE -pie,-static) -o $@ $<

# Every type of the wire contract as C++ sees it, for the contract test to read from DWARF.
$(B)/gen/layouts.cpp: $(wildcard bpf/*.h) tests/tests.mk
	$(Q)mkdir -p $(@D)
	$(Q)printf '#include "%s"\n' $(notdir $(wildcard bpf/*.h)) > $@

$(B)/tests/layouts.o: $(B)/gen/layouts.cpp
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXALL) -g -fno-eliminate-unused-debug-types -MMD -MP -c $< -o $@
