// SPDX-License-Identifier: BSD-2-Clause
// The entry of a tool's own binary; compiled once for each with TOOL as its name.
#include "kit/failure.hpp"

#define JOIN(a, b) a##b
#define ENTRY(name) JOIN(tool_, name)
#define TEXT(name) #name
#define NAME(name) TEXT(name)

int ENTRY(TOOL)(int argc, char** argv);

int main(int argc, char** argv) { return kit::run_tool(NAME(TOOL), ENTRY(TOOL), argc, argv); }
