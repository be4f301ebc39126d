// SPDX-License-Identifier: BSD-2-Clause
#include "prototypes.hpp"

#include <map>

#include "kit/text.hpp"

namespace kit {
namespace {

// "RESULT NAME(TYPE PARAMETER, ...)". `text` is a string that is there when the call begins, or, of a result, when it
// ends; `*` any other address; `oflags` the flags of open(2). What a function takes only at times is left out, as is
// what it takes or returns in floating-point registers, behind which nothing else is lost: they count apart.
constexpr std::string_view declarations = R"(
int open(text file, oflags flags)
int open64(text file, oflags flags)
int openat(int dirfd, text file, oflags flags)
int openat64(int dirfd, text file, oflags flags)
int creat(text file, unsigned mode)
int close(int fd)
ssize_t read(int fd, * buf, size_t count)
ssize_t write(int fd, * buf, size_t count)
ssize_t pread(int fd, * buf, size_t count, long offset)
ssize_t pread64(int fd, * buf, size_t count, long offset)
ssize_t pwrite(int fd, * buf, size_t count, long offset)
ssize_t pwrite64(int fd, * buf, size_t count, long offset)
ssize_t readv(int fd, * iov, int iovcnt)
ssize_t writev(int fd, * iov, int iovcnt)
long lseek(int fd, long offset, int whence)
long lseek64(int fd, long offset, int whence)
int dup(int fd)
int dup2(int fd, int fd2)
int pipe(* fds)
int pipe2(* fds, int flags)
int fcntl(int fd, int cmd)
int fcntl64(int fd, int cmd)
int ioctl(int fd, unsigned long request)
int fsync(int fd)
int ftruncate(int fd, long length)
int access(text file, int mode)
int stat(text file, * buf)
int stat64(text file, * buf)
int lstat(text file, * buf)
int lstat64(text file, * buf)
int fstat(int fd, * buf)
int fstat64(int fd, * buf)
int mkdir(text file, unsigned mode)
int rmdir(text file)
int unlink(text file)
int rename(text old, text new)
int link(text from, text to)
int symlink(text from, text to)
ssize_t readlink(text file, * buf, size_t size)
int chmod(text file, unsigned mode)
int chown(text file, unsigned owner, unsigned group)
int chdir(text file)
text getcwd(* buf, size_t size)
* opendir(text file)
* readdir(* dir)
* readdir64(* dir)
int closedir(* dir)
* fopen(text file, text modes)
* fopen64(text file, text modes)
* fdopen(int fd, text modes)
int fclose(* stream)
int fflush(* stream)
size_t fread(* buf, size_t size, size_t count, * stream)
size_t fwrite(* buf, size_t size, size_t count, * stream)
text fgets(* buf, int size, * stream)
int fgetc(* stream)
int getc(* stream)
int fputs(text string, * stream)
int fputc(int character, * stream)
int putc(int character, * stream)
int ungetc(int character, * stream)
int puts(text string)
int putchar(int character)
int fseek(* stream, long offset, int whence)
int fseeko(* stream, long offset, int whence)
long ftell(* stream)
long ftello(* stream)
int feof(* stream)
int ferror(* stream)
int fileno(* stream)
int printf(text format)
int fprintf(* stream, text format)
int sprintf(* buf, text format)
int snprintf(* buf, size_t size, text format)
int vfprintf(* stream, text format, * args)
int vsnprintf(* buf, size_t size, text format, * args)
int __printf_chk(int flag, text format)
int __fprintf_chk(* stream, int flag, text format)
int __snprintf_chk(* buf, size_t size, int flag, size_t room, text format)
int __sprintf_chk(* buf, int flag, size_t room, text format)
int sscanf(text string, text format)
int __isoc99_sscanf(text string, text format)
int setvbuf(* stream, * buf, int mode, size_t size)
void perror(text string)
* malloc(size_t size)
* calloc(size_t count, size_t size)
* realloc(* memory, size_t size)
* reallocarray(* memory, size_t count, size_t size)
* aligned_alloc(size_t alignment, size_t size)
void free(* memory)
* mmap(* address, size_t length, int prot, int flags, int fd, long offset)
* mmap64(* address, size_t length, int prot, int flags, int fd, long offset)
int munmap(* address, size_t length)
int mprotect(* address, size_t length, int prot)
size_t strlen(text string)
size_t strnlen(* string, size_t most)
int strcmp(text a, text b)
int strncmp(* a, * b, size_t most)
int strcasecmp(text a, text b)
int strncasecmp(* a, * b, size_t most)
int strcoll(text a, text b)
text strchr(text string, int character)
text strrchr(text string, int character)
text strstr(text string, text part)
text strcpy(* to, text from)
* stpcpy(* to, text from)
* strncpy(* to, * from, size_t most)
text strcat(text to, text from)
text strdup(text string)
text strndup(* string, size_t most)
size_t strspn(text string, text accept)
size_t strcspn(text string, text reject)
text strtok(text string, text delimiters)
text strerror(int error)
* memcpy(* to, * from, size_t size)
* memmove(* to, * from, size_t size)
* memset(* to, int byte, size_t size)
int memcmp(* a, * b, size_t size)
* memchr(* from, int byte, size_t size)
int atoi(text string)
long atol(text string)
long strtol(text string, * end, int base)
unsigned long strtoul(text string, * end, int base)
long long strtoll(text string, * end, int base)
unsigned long long strtoull(text string, * end, int base)
text getenv(text name)
text secure_getenv(text name)
int setenv(text name, text value, int overwrite)
int unsetenv(text name)
int putenv(text string)
text setlocale(int category, text locale)
text bindtextdomain(text domain, text directory)
text textdomain(text domain)
text gettext(text message)
text dcgettext(text domain, text message, int category)
text nl_langinfo(int item)
int getpid()
int getppid()
unsigned getuid()
unsigned geteuid()
unsigned getgid()
unsigned getegid()
* getpwnam(text name)
* getpwuid(unsigned uid)
* getgrnam(text name)
* getgrgid(unsigned gid)
int fork()
int execve(text file, * argv, * envp)
int execv(text file, * argv)
int execvp(text file, * argv)
int waitpid(int pid, * status, int options)
int kill(int pid, int signal)
int raise(int signal)
int system(text command)
* popen(text command, text modes)
int pclose(* stream)
void exit(int status)
void _exit(int status)
int atexit(* function)
unsigned sleep(unsigned seconds)
int usleep(unsigned microseconds)
int nanosleep(* wanted, * left)
long time(* to)
int gettimeofday(* to, * zone)
int clock_gettime(int clock, * to)
* localtime(* time)
* gmtime(* time)
size_t strftime(* buf, size_t size, text format, * time)
int isatty(int fd)
int socket(int domain, int type, int protocol)
int bind(int fd, * address, unsigned size)
int listen(int fd, int backlog)
int accept(int fd, * address, * size)
int connect(int fd, * address, unsigned size)
ssize_t send(int fd, * buf, size_t size, int flags)
ssize_t recv(int fd, * buf, size_t size, int flags)
int shutdown(int fd, int how)
int poll(* fds, unsigned long count, int timeout)
int select(int count, * read, * write, * except, * timeout)
int getopt(int argc, * argv, text options)
int getopt_long(int argc, * argv, text options, * longs, * index)
void qsort(* base, size_t count, size_t size, * compare)
int rand()
void srand(unsigned seed)
long random()
int pthread_create(* thread, * attributes, * function, * argument)
int pthread_mutex_lock(* mutex)
int pthread_mutex_unlock(* mutex)
* dlopen(text file, int mode)
* dlsym(* handle, text name)
int dlclose(* handle)
)";

// "unsigned long offset"; nothing for "void".
std::optional<PrototypeValue> value_of(std::string_view text) {
  std::size_t blank = text.rfind(' ');
  PrototypeValue value{.name = std::string(blank == text.npos ? "" : text.substr(blank + 1)), .number = {}};
  std::string_view type = text.substr(0, blank);
  value.text = type == "text";
  value.flags = type == "oflags";
  value.number = number_type(value.flags ? "int" : type);
  return type == "void" ? std::nullopt : std::optional(value);
}

Prototype prototype_of(std::string_view result, std::string_view parameters) {
  Prototype prototype;
  prototype.result = value_of(cat(result, " retval"));
  for (std::size_t at = 0; at < parameters.size();) {
    std::size_t end = std::min(parameters.find(", ", at), parameters.size());
    if (auto value = value_of(parameters.substr(at, end - at))) prototype.parameters.push_back(*value);
    at = end + 2;
  }
  return prototype;
}

}  // namespace

std::optional<Prototype> libc_prototype(std::string_view function) {
  static const std::map<std::string_view, std::string_view> lines = [] {
    std::map<std::string_view, std::string_view> all;
    for (std::string_view line : split(declarations, '\n')) {
      std::string_view head = line.substr(0, line.find('('));
      if (!line.empty()) all.emplace(head.substr(head.rfind(' ') + 1), line);
    }
    return all;
  }();
  auto found = lines.find(function);
  if (found == lines.end()) return {};
  std::string_view line = found->second;
  std::size_t open = line.find('('), name = line.rfind(' ', open);
  return prototype_of(line.substr(0, name), line.substr(open + 1, line.size() - open - 2));
}

}  // namespace kit
