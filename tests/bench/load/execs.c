// SPDX-License-Identifier: BSD-2-Clause
// execs N: forks and executes /bin/true N times. Prints the nanoseconds that one took.
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

static void once(void) {
  pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/true", "true", (char*)0);
    _exit(1);
  }
  waitpid(pid, 0, 0);
}

int main(int argc, char** argv) { return run_load(argc, argv, once); }
