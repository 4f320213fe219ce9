/*
 * A disk that can lose power and fail, for one file of one process (LD_PRELOAD, Linux).
 *
 * Every write to the file goes to the real file and, with its bytes, to a journal; so do the ends of
 * the calls that make writes durable. Whoever reads the journal can build every image that a disk
 * might hold after a power loss at any of its points (disk-model.ts). The file itself is what the
 * page cache holds: what a process that was only killed finds when it starts again.
 *
 * Nothing is synced really: O_DSYNC is taken off at open, and fdatasync only waits as long as the
 * control block says. That makes power losses hit often, and the run independent of the disk below.
 *
 *   DISK_SHIM_FILE     base name of the file, such as data.mdb
 *   DISK_SHIM_JOURNAL  the journal, appended to
 *   DISK_SHIM_CONTROL  a file of struct control, mapped: what fails from now on, changed at any time
 *
 * The file may be made under its name with ".new" behind it and renamed; both are one file here.
 *
 * What must stay true: a call that the shim cannot account for on this file aborts the process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* All fields are 32 bits; disk-control.ts has the same list. A count of -1 is for ever. */
struct control {
  int32_t sync_delay_us;
  int32_t sync_errno, sync_count;   /* fdatasync and fsync that fail */
  int32_t write_errno, write_count; /* writes that fail and write nothing */
  int32_t meta_errno, meta_count;   /* writes through O_DSYNC that fail after the page cache has them */
  int32_t short_count;              /* writes that write half of what they were given */
  /* Counted here. */
  int32_t failed_syncs, failed_writes, failed_metas, short_writes;
};

enum { RECORD_OPEN = 1, RECORD_WRITE, RECORD_SYNCED, RECORD_WRITE_DURABLE, RECORD_SYNC_FAILED,
       RECORD_TRUNCATE, RECORD_WRITE_FAILED, RECORD_RENAMED, RECORD_NAME_SYNCED };

struct record {
  uint32_t magic, kind;
  uint64_t offset; /* in the file */
  uint64_t bytes;  /* of data behind this header, for RECORD_WRITE only */
  uint64_t ref;    /* place in the journal: of the write that ended, or where the sync began */
};

#define MAGIC 0x314b5344u
#define FD_MAX 65536

enum { UNKNOWN = 0, PLAIN, DSYNC };
static volatile unsigned char kind_of[FD_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal_fd = -1;
static uint64_t journal_end;
static struct control *control;

static void die(const char *what) {
  fprintf(stderr, "disk-shim: %s\n", what);
  abort();
}

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) die(name);
  return found;
}

#define REAL(type, name) \
  static type call;      \
  if (call == NULL) call = (type)real(name)

typedef int (*open_fn)(const char *, int, ...);
typedef int (*openat_fn)(int, const char *, int, ...);
typedef int (*fd_fn)(int);
typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off64_t);
typedef ssize_t (*writev_fn)(int, const struct iovec *, int);
typedef int (*truncate_fn)(int, off64_t);
typedef void *(*mmap_fn)(void *, size_t, int, int, int, off64_t);
typedef int (*msync_fn)(void *, size_t, int);
typedef int (*allocate_fn)(int, int, off64_t, off64_t);

static int is_ours(const char *path) {
  const char *wanted = getenv("DISK_SHIM_FILE");
  const char *slash = strrchr(path, '/');
  const char *base = slash == NULL ? path : slash + 1;
  if (wanted == NULL || strncmp(base, wanted, strlen(wanted)) != 0) return 0;
  const char *rest = base + strlen(wanted);
  return *rest == 0 || strcmp(rest, ".new") == 0;
}

static int kind(int fd) { return fd >= 0 && fd < FD_MAX ? kind_of[fd] : UNKNOWN; }

static void start(void) {
  if (journal_fd >= 0) return;
  REAL(open_fn, "open64");
  const char *journal = getenv("DISK_SHIM_JOURNAL");
  const char *control_path = getenv("DISK_SHIM_CONTROL");
  if (journal == NULL || control_path == NULL) die("DISK_SHIM_JOURNAL or _CONTROL is not set");
  journal_fd = call(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat at;
  if (journal_fd < 0 || fstat(journal_fd, &at) != 0) die("cannot open the journal");
  journal_end = (uint64_t)at.st_size;
  int fd = call(control_path, O_RDWR | O_CLOEXEC);
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || control == MAP_FAILED) die("cannot map the control block");
}

/* Appends; the lock is held. Returns where the record begins. */
static uint64_t note(uint32_t kind, uint64_t offset, const void *data, uint64_t bytes, uint64_t ref) {
  REAL(writev_fn, "writev");
  struct record header = {MAGIC, kind, offset, bytes, ref};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, bytes}};
  ssize_t size = (ssize_t)(sizeof header + bytes);
  if (call(journal_fd, parts, bytes > 0 ? 2 : 1) != size) die("cannot write the journal");
  uint64_t place = journal_end;
  journal_end += (uint64_t)size;
  return place;
}

/* True when this one is to fail; the lock is held. */
static int falls_due(int32_t *count, int32_t *counted) {
  if (*count == 0) return 0;
  if (*count > 0) --*count;
  ++*counted;
  return 1;
}

static int opened(const char *path, int fd, int flags) {
  if (fd < 0) return fd;
  if (fd >= FD_MAX) die("a file descriptor beyond the table");
  pthread_mutex_lock(&lock);
  start();
  kind_of[fd] = (flags & (O_DSYNC | O_SYNC)) != 0 ? DSYNC : PLAIN;
  struct stat at;
  if (fstat(fd, &at) != 0) die("fstat");
  /* ref: whether it has its own name. */
  note(RECORD_OPEN, (uint64_t)at.st_size, NULL, 0, strcmp(path + strlen(path) - 4, ".new") != 0);
  if ((flags & O_TRUNC) != 0) note(RECORD_TRUNCATE, 0, NULL, 0, 0);
  pthread_mutex_unlock(&lock);
  return fd;
}

static int without_sync(int flags) { return flags & ~(O_DSYNC | O_SYNC); }

#define OPEN(name)                                                          \
  int name(const char *path, int flags, ...) {                              \
    REAL(open_fn, #name);                                                   \
    va_list more;                                                           \
    va_start(more, flags);                                                  \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                           \
    if (!is_ours(path)) return call(path, flags, mode);                     \
    return opened(path, call(path, without_sync(flags), mode), flags);      \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                        \
  int name(int dir, const char *path, int flags, ...) {                     \
    REAL(openat_fn, #name);                                                 \
    va_list more;                                                           \
    va_start(more, flags);                                                  \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                           \
    if (!is_ours(path)) return call(dir, path, flags, mode);                \
    return opened(path, call(dir, path, without_sync(flags), mode), flags); \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  REAL(fd_fn, "close");
  if (kind(fd) != UNKNOWN) kind_of[fd] = UNKNOWN;
  return call(fd);
}

/* One contiguous write; every form of write on our file ends here. */
static ssize_t write_at(int fd, const void *data, size_t size, off64_t offset) {
  REAL(pwrite_fn, "pwrite64");
  pthread_mutex_lock(&lock);
  int is_dsync = kind(fd) == DSYNC;
  if (!is_dsync && falls_due(&control->write_count, &control->failed_writes)) {
    int error = control->write_errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return -1;
  }
  if (!is_dsync && size > 1 && falls_due(&control->short_count, &control->short_writes)) size /= 2;
  uint64_t place = note(RECORD_WRITE, (uint64_t)offset, data, size, 0);
  if (call(fd, data, size, offset) != (ssize_t)size) die("the real disk failed");
  if (!is_dsync) {
    pthread_mutex_unlock(&lock);
    return (ssize_t)size;
  }
  int fails = falls_due(&control->meta_count, &control->failed_metas);
  int error = control->meta_errno;
  int delay_us = control->sync_delay_us;
  pthread_mutex_unlock(&lock);
  if (delay_us > 0) usleep((useconds_t)delay_us);
  pthread_mutex_lock(&lock);
  note(fails ? RECORD_WRITE_FAILED : RECORD_WRITE_DURABLE, 0, NULL, 0, place);
  pthread_mutex_unlock(&lock);
  if (!fails) return (ssize_t)size;
  errno = error;
  return -1;
}

#define PWRITE(name)                                                           \
  ssize_t name(int fd, const void *data, size_t size, off64_t offset) {        \
    REAL(pwrite_fn, #name);                                                    \
    if (kind(fd) == UNKNOWN) return call(fd, data, size, offset);              \
    return write_at(fd, data, size, offset);                                   \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write_fn, "write");
  if (kind(fd) == UNKNOWN) return call(fd, data, size);
  ssize_t done = write_at(fd, data, size, lseek64(fd, 0, SEEK_CUR));
  if (done > 0) lseek64(fd, done, SEEK_CUR);
  return done;
}

static void *joined(const struct iovec *parts, int count, size_t *size) {
  *size = 0;
  for (int i = 0; i < count; i++) *size += parts[i].iov_len;
  char *bytes = malloc(*size + 1);
  if (bytes == NULL) die("malloc");
  size_t at = 0;
  for (int i = 0; i < count; at += parts[i++].iov_len) {
    memcpy(bytes + at, parts[i].iov_base, parts[i].iov_len);
  }
  return bytes;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev_fn, "writev");
  if (kind(fd) == UNKNOWN) return call(fd, parts, count);
  size_t size;
  void *bytes = joined(parts, count, &size);
  ssize_t done = write_at(fd, bytes, size, lseek64(fd, 0, SEEK_CUR));
  if (done > 0) lseek64(fd, done, SEEK_CUR);
  free(bytes);
  return done;
}

#define PWRITEV(name)                                                            \
  ssize_t name(int fd, const struct iovec *parts, int count, off64_t offset) {   \
    typedef ssize_t (*pwritev_fn)(int, const struct iovec *, int, off64_t);      \
    REAL(pwritev_fn, #name);                                                     \
    if (kind(fd) == UNKNOWN) return call(fd, parts, count, offset);              \
    size_t size;                                                                 \
    void *bytes = joined(parts, count, &size);                                   \
    ssize_t done = write_at(fd, bytes, size, offset);                            \
    free(bytes);                                                                 \
    return done;                                                                 \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

static int synced(void) {
  pthread_mutex_lock(&lock);
  uint64_t began = journal_end;
  int fails = falls_due(&control->sync_count, &control->failed_syncs);
  int error = control->sync_errno;
  int delay_us = control->sync_delay_us;
  pthread_mutex_unlock(&lock);
  if (delay_us > 0) usleep((useconds_t)delay_us);
  pthread_mutex_lock(&lock);
  note(fails ? RECORD_SYNC_FAILED : RECORD_SYNCED, 0, NULL, 0, began);
  pthread_mutex_unlock(&lock);
  if (!fails) return 0;
  errno = error;
  return -1;
}

int fdatasync(int fd) {
  REAL(fd_fn, "fdatasync");
  return kind(fd) == UNKNOWN ? call(fd) : synced();
}

int fsync(int fd) {
  REAL(fd_fn, "fsync");
  if (kind(fd) != UNKNOWN) return synced();
  int result = call(fd);
  /* Of the directory that holds the file: its name is durable, too. */
  struct stat at;
  const char *wanted = getenv("DISK_SHIM_FILE");
  int is_directory = fstat(fd, &at) == 0 && S_ISDIR(at.st_mode);
  if (result == 0 && is_directory && wanted != NULL && fstatat(fd, wanted, &at, 0) == 0) {
    pthread_mutex_lock(&lock);
    start();
    note(RECORD_NAME_SYNCED, 0, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
  }
  return result;
}

int rename(const char *from, const char *to) {
  typedef int (*rename_fn)(const char *, const char *);
  REAL(rename_fn, "rename");
  if (!is_ours(from) || !is_ours(to)) return call(from, to);
  pthread_mutex_lock(&lock);
  start();
  int result = call(from, to);
  if (result == 0) note(RECORD_RENAMED, 0, NULL, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

#define TRUNCATE(name)                                      \
  int name(int fd, off64_t size) {                          \
    REAL(truncate_fn, #name);                               \
    if (kind(fd) == UNKNOWN) return call(fd, size);         \
    pthread_mutex_lock(&lock);                              \
    note(RECORD_TRUNCATE, (uint64_t)size, NULL, 0, 0);      \
    int result = call(fd, size);                            \
    pthread_mutex_unlock(&lock);                            \
    return result;                                          \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define ALLOCATE(name)                                           \
  int name(int fd, int mode, off64_t offset, off64_t bytes) {    \
    REAL(allocate_fn, #name);                                    \
    if (kind(fd) != UNKNOWN) die(#name " is not modelled");      \
    return call(fd, mode, offset, bytes);                        \
  }
ALLOCATE(fallocate)
ALLOCATE(fallocate64)

/* Writes through a map cannot be seen. */
#define MMAP(name)                                                                    \
  void *name(void *at, size_t size, int protection, int flags, int fd, off64_t offset) { \
    REAL(mmap_fn, #name);                                                             \
    if (kind(fd) != UNKNOWN && (protection & PROT_WRITE) && (flags & MAP_SHARED)) {   \
      die("a writable map of the file is not modelled");                              \
    }                                                                                 \
    return call(at, size, protection, flags, fd, offset);                             \
  }
MMAP(mmap)
MMAP(mmap64)
