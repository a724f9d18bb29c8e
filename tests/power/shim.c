/* What a process does to the files below one directory, written down in its order.
 *
 * Preloaded into the server (LD_PRELOAD) by tests/power. ORG_AGENT_POWER_DIR is the directory (absolute, without
 * links), ORG_AGENT_POWER_TRACE the file that every record is appended to. With ORG_AGENT_POWER_LIES=1 the disk
 * lies: fsync and fdatasync succeed, do nothing, and are not written down.
 *
 * A record is a head of 32 bytes in the byte order of the machine and then two byte strings:
 *     u32 magic, u8 op, u8[3] zero, u64 offset, u64 length of the second string, u32 length of the first, u32 zero
 * The first string is a path relative to the directory ("" is the directory itself), as the system knows the file
 * at that moment; the second is data, or the new path of a rename. Ops:
 *     B a process begins            C a file was made          M a directory was made
 *     W data was written at offset  T the size became offset   F a file or directory is on disk
 *     U a name was removed          R a name became another    A bytes were handed to standard output
 *
 * A change is made and written down under one lock, so the order of the records is the order of the changes, and F
 * speaks of everything before it. F stands there after the real fsync returned; A before the bytes can be read.
 * What is not seen: mappings (SQLite's -shm, which is made anew after a crash) and calls that nothing here makes;
 * the test compares a replay of the whole trace with the real directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char dir[PATH_MAX];
static size_t dir_length;
static int trace = -1;
static int lies;
static struct stat output;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct head {
    uint32_t magic;
    uint8_t op, zero[3];
    uint64_t offset, length;
    uint32_t path, zero2;
};

static void die(const char *why) {
    const char *words[] = {"the shim of tests/power: ", why, "\n"};
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_write, 2, words[i], strlen(words[i])) < 0)
            break;
    _exit(70);
}

/* In one write, as a process may be killed between two. */
static void record(char op, uint64_t offset, const char *path, const void *data, size_t length) {
    struct head head = {.magic = 0x52574f50, .op = (uint8_t)op, .offset = offset, .length = length,
                        .path = (uint32_t)strlen(path)};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)data, length}};
    ssize_t whole = (ssize_t)(sizeof head + head.path + length);
    if (trace >= 0 && syscall(SYS_writev, trace, parts, 3) != whole)
        die("the trace cannot be written");
}

__attribute__((constructor)) static void begin(void) {
    const char *home = getenv("ORG_AGENT_POWER_DIR"), *to = getenv("ORG_AGENT_POWER_TRACE");
    const char *word = getenv("ORG_AGENT_POWER_LIES");
    if (!home || !to || strlen(home) >= sizeof dir)
        return;
    lies = word && !strcmp(word, "1");
    int fd = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Out of the way of whoever counts on low numbers. */
    trace = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 200);
    if (trace < 0)
        die("the trace cannot be opened");
    syscall(SYS_close, fd);
    if (fstat(STDOUT_FILENO, &output))
        die("there is no standard output");
    strcpy(dir, home);
    dir_length = strlen(dir);
    record('B', 0, "", NULL, 0);
}

/* The part of an absolute path below the directory, or NULL. */
static const char *below(const char *path) {
    if (trace < 0 || strncmp(path, dir, dir_length))
        return NULL;
    return path[dir_length] == '/' ? path + dir_length + 1 : path[dir_length] ? NULL : "";
}

/* Where the open file is, or NULL if that is elsewhere or nowhere. */
static const char *of_fd(int fd, char *buffer) {
    char link[64];
    struct stat data;
    if (trace < 0 || fd < 0)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length <= 0)
        return NULL;
    buffer[length] = 0;
    const char *path = below(buffer);
    /* What has no name any more is of no use after a crash. */
    return path && !fstat(fd, &data) && data.st_nlink > 0 ? path : NULL;
}

/* The same of a name, which need not be there. */
static const char *of_name(int at, const char *name, char *buffer) {
    char parent[PATH_MAX], where[PATH_MAX];
    if (trace < 0 || strlen(name) >= PATH_MAX - 64)
        return NULL;
    if (name[0] == '/') {
        strcpy(where, name);
    } else if (at == AT_FDCWD) {
        snprintf(where, sizeof where, "./%s", name);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, where, PATH_MAX - 1);
        if (length <= 0 || (size_t)length + strlen(name) + 2 > PATH_MAX)
            return NULL;
        where[length] = '/';
        strcpy(where + length + 1, name);
    }
    size_t end = strlen(where);
    while (end > 1 && where[end - 1] == '/')
        where[--end] = 0;
    char *slash = strrchr(where, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    if (!realpath(*where ? where : "/", parent) || strlen(parent) + strlen(slash + 1) + 2 > PATH_MAX)
        return NULL;
    strcpy(buffer, parent);
    strcat(buffer, "/");
    strcat(buffer, slash + 1);
    return below(buffer);
}


/* Opening: whether it made or emptied the file. */

static int opened(int at, const char *name, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    struct stat before;
    const char *path = flags & (O_CREAT | O_TRUNC) && (flags & O_TMPFILE) != O_TMPFILE
        ? of_name(at, name, buffer) : NULL;
    if (!path)
        return (int)syscall(SYS_openat, at, name, flags, mode);
    pthread_mutex_lock(&lock);
    int there = !fstatat(at, name, &before, 0);
    int fd = (int)syscall(SYS_openat, at, name, flags, mode), error = errno;
    if (fd >= 0 && !there)
        record('C', 0, path, NULL, 0);
    else if (fd >= 0 && flags & O_TRUNC && before.st_size > 0)
        record('T', 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE(flags)                                      \
    mode_t mode = 0;                                     \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list list;                                    \
        va_start(list, flags);                           \
        mode = va_arg(list, mode_t);                     \
        va_end(list);                                    \
    }

EXPORT int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
EXPORT int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
EXPORT int openat(int at, const char *name, int flags, ...) { MODE(flags) return opened(at, name, flags, mode); }
EXPORT int openat64(int at, const char *name, int flags, ...) { MODE(flags) return opened(at, name, flags, mode); }
EXPORT int creat(const char *name, mode_t mode) {
    return opened(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
EXPORT int creat64(const char *name, mode_t mode) { return creat(name, mode); }

/* Writing. `offset` is -1 for the position of the file. */

static ssize_t gathered(int fd, const struct iovec *parts, int count, off_t offset) {
    return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                      : syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
}

static ssize_t written(int fd, const struct iovec *parts, int count, off_t offset) {
    char buffer[PATH_MAX];
    const char *path = of_fd(fd, buffer);
    if (!path)
        return gathered(fd, parts, count, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = gathered(fd, parts, count, offset);
    int error = errno;
    off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) - done : offset;
    size_t left = done > 0 ? (size_t)done : 0;
    for (int i = 0; i < count && left; i++) {
        size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
        if (length)
            record('W', (uint64_t)at, path, parts[i].iov_base, length);
        at += (off_t)length;
        left -= length;
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

/* Whether it is standard output, by whatever number. */
static int is_output(int fd) {
    struct stat data;
    return trace >= 0 && !fstat(fd, &data) && data.st_dev == output.st_dev && data.st_ino == output.st_ino;
}

EXPORT ssize_t write(int fd, const void *data, size_t length) {
    if (is_output(fd)) {
        pthread_mutex_lock(&lock);
        record('A', 0, "", data, length);
        pthread_mutex_unlock(&lock);
        /* All of it, so that nothing is written down twice. */
        for (size_t from = 0; from < length;) {
            ssize_t done = syscall(SYS_write, fd, (const char *)data + from, length - from);
            if (done < 0 && errno != EINTR)
                return -1;
            from += done > 0 ? (size_t)done : 0;
        }
        return (ssize_t)length;
    }
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, -1);
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_output(fd)) {
        /* A short write is allowed, and the caller goes on. */
        for (int i = 0; i < count; i++)
            if (parts[i].iov_len)
                return write(fd, parts[i].iov_base, parts[i].iov_len);
    }
    return written(fd, parts, count, -1);
}
EXPORT ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, offset);
}
EXPORT ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    return pwrite(fd, data, length, offset);
}
EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return written(fd, parts, count, offset);
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return written(fd, parts, count, offset);
}

/* Sizes. */

EXPORT int ftruncate(int fd, off_t size) {
    char buffer[PATH_MAX];
    const char *path = of_fd(fd, buffer);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, size), error = errno;
    if (!result && path)
        record('T', (uint64_t)size, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
EXPORT int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* On disk. */

static int synced(int fd, long call) {
    char buffer[PATH_MAX];
    const char *path = of_fd(fd, buffer);
    if (!path)
        return (int)syscall(call, fd);
    if (lies)
        return 0;
    pthread_mutex_lock(&lock);
    int result = (int)syscall(call, fd), error = errno;
    if (!result)
        record('F', 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

EXPORT int fsync(int fd) { return synced(fd, SYS_fsync); }
EXPORT int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* Names. */

EXPORT int unlinkat(int at, const char *name, int flags) {
    char buffer[PATH_MAX];
    const char *path = of_name(at, name, buffer);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, at, name, flags), error = errno;
    if (!result && path)
        record('U', 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
EXPORT int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
EXPORT int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

EXPORT int renameat(int from_at, const char *from, int to_at, const char *to) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *old = of_name(from_at, from, one), *new = of_name(to_at, to, two);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0), error = errno;
    if (!result && old && new)
        record('R', 0, old, new, strlen(new));
    else if (!result && (old || new))
        die("a file was moved in or out");
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
EXPORT int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

EXPORT int mkdirat(int at, const char *name, mode_t mode) {
    char buffer[PATH_MAX];
    const char *path = of_name(at, name, buffer);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_mkdirat, at, name, mode), error = errno;
    if (!result && path)
        record('M', 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
EXPORT int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
