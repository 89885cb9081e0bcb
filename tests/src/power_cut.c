/* Stands between a program and its disk, and keeps what a power cut could take back.
 *
 * Loaded with LD_PRELOAD. Each change of a file below $BOARD_DISK (but not below $BOARD_DISK/run)
 * is written into a journal in $BOARD_JOURNAL with the bytes from before and after; so is each
 * sync. The board undoes a choice of what was not synced: see power.rs, which also says how a
 * record looks. Every file that is touched gets a second link in $BOARD_JOURNAL/inodes, so that
 * it can be brought back after it was removed.
 *
 * With $BOARD_CUT_AT the power fails right after the change of that number in this process.
 *
 * A change is journaled after it was made. A kill between the two leaves a change that cannot be
 * taken back: that is a lucky write, and as good as any other.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, CREATE, UNLINK, RENAME, SYNC };

struct record {
    uint32_t magic, kind;
    uint64_t at_ns, inode, folder, other, offset, old_size;
    uint64_t old_bytes, new_bytes, path_bytes, path2_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char disk[PATH_MAX], run[PATH_MAX], journal[PATH_MAX];
static int log_fd = -1;
static int active;
static unsigned long changes, cut_at;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
    const char *d = getenv("BOARD_DISK"), *j = getenv("BOARD_JOURNAL");
    if (!d || !j || strlen(d) + 8 > PATH_MAX || strlen(j) + 64 > PATH_MAX) return;
    snprintf(disk, sizeof disk, "%.4000s/", d);
    snprintf(run, sizeof run, "%.4000s/run/", d);
    snprintf(journal, sizeof journal, "%.4000s", j);
    const char *at = getenv("BOARD_CUT_AT");
    cut_at = at ? strtoul(at, NULL, 10) : 0;
    active = 1;
}

static int watched_path(const char *path) {
    return active && strncmp(path, disk, strlen(disk)) == 0 && strncmp(path, run, strlen(run)) != 0;
}

/* The absolute path of `path` seen from the folder `at`. */
static int absolute(int at, const char *path, char *out) {
    char base[PATH_MAX], link_name[64];
    if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    if (at == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link_name, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    return snprintf(out, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static int watched_fd(int fd, struct stat *st) {
    char link_name[64], path[PATH_MAX];
    if (!active || fstat(fd, st) != 0 || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) return 0;
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link_name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strlen(disk) == (size_t)length + 1 && strncmp(path, disk, length) == 0) return 1;
    return watched_path(path);
}

static uint64_t folder_of(const char *path) {
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) return 0;
    *slash = 0;
    return stat(folder[0] ? folder : "/", &st) == 0 ? st.st_ino : 0;
}

/* A second link, so that the content outlives its name. */
static void keep(const char *path, uint64_t inode) {
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%.4000s/inodes/%llu", journal, (unsigned long long)inode);
    int saved = errno;
    linkat(AT_FDCWD, path, AT_FDCWD, kept, AT_SYMLINK_FOLLOW);
    errno = saved;
}

static void note(enum kind kind, struct record record, const void *old, const void *new, const char *path, const char *path2) {
    REAL(open);
    int saved = errno;
    struct timespec now;
    if (log_fd < 0) {
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%.4000s/log.%d", journal, (int)getpid());
        log_fd = real(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    record.magic = 0x74756321;
    record.kind = kind;
    record.at_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    record.path_bytes = path ? strlen(path) : 0;
    record.path2_bytes = path2 ? strlen(path2) : 0;
    struct iovec parts[5] = {
        { &record, sizeof record }, { (void *)old, record.old_bytes }, { (void *)new, record.new_bytes },
        { (void *)path, record.path_bytes }, { (void *)path2, record.path2_bytes },
    };
    ssize_t (*real_writev)(int, const struct iovec *, int);
    *(void **)&real_writev = dlsym(RTLD_NEXT, "writev");
    if (log_fd >= 0) real_writev(log_fd, parts, 5);
    if (kind != SYNC && ++changes == cut_at) kill(getpid(), SIGKILL);
    errno = saved;
}

/* The bytes from `offset` on, at most `bytes`, as they are now. */
static void *before(int fd, off_t offset, size_t bytes, uint64_t size, uint64_t *found) {
    REAL(open);
    *found = 0;
    if ((uint64_t)offset >= size || bytes == 0) return NULL;
    if ((uint64_t)offset + bytes > size) bytes = size - offset;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int reader = real(name, O_RDONLY | O_CLOEXEC);
    if (reader < 0) return NULL;
    char *copy = malloc(bytes);
    while (copy && *found < bytes) {
        ssize_t got = pread(reader, copy + *found, bytes - *found, offset + *found);
        if (got <= 0) break;
        *found += got;
    }
    close(reader);
    return copy;
}

static void note_sync(uint64_t inode) {
    struct record record = { .inode = inode };
    note(SYNC, record, NULL, NULL, NULL, NULL);
}

static void note_write(int fd, const struct stat *st, off_t offset, const void *old, uint64_t old_bytes, const void *new, ssize_t bytes) {
    struct record record = { .inode = st->st_ino, .offset = offset, .old_size = st->st_size, .old_bytes = old_bytes, .new_bytes = bytes };
    if (record.old_bytes > record.new_bytes) record.old_bytes = record.new_bytes;
    note(WRITE, record, old, new, NULL, NULL);
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_DSYNC)) note_sync(st->st_ino);
}

/* offset < 0: where the file stands. */
static ssize_t do_write(int fd, const void *bytes, size_t length, off_t offset) {
    REAL(pwrite);
    ssize_t (*real_write)(int, const void *, size_t);
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    struct stat st;
    if (!watched_fd(fd, &st)) return offset < 0 ? real_write(fd, bytes, length) : real(fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    fstat(fd, &st);
    int flags = fcntl(fd, F_GETFL);
    off_t at = offset >= 0 ? offset : (flags & O_APPEND) ? st.st_size : lseek(fd, 0, SEEK_CUR);
    uint64_t found;
    void *old = before(fd, at, length, st.st_size, &found);
    ssize_t done = offset < 0 ? real_write(fd, bytes, length) : real(fd, bytes, length, offset);
    if (done > 0) note_write(fd, &st, at, old, found, bytes, done);
    pthread_mutex_unlock(&lock);
    free(old);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return do_write(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return do_write(fd, bytes, length, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) { return do_write(fd, bytes, length, offset); }

/* A vector to a watched file is written part by part, which the interface allows. */
static ssize_t do_writev(int fd, const struct iovec *parts, int count, off_t offset) {
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = do_write(fd, parts[i].iov_base, parts[i].iov_len, offset < 0 ? -1 : offset + total);
        if (done < 0) return total ? total : done;
        total += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return total;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    struct stat st;
    return watched_fd(fd, &st) ? do_writev(fd, parts, count, -1) : real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(pwritev);
    struct stat st;
    return watched_fd(fd, &st) ? do_writev(fd, parts, count, offset) : real(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev(fd, parts, count, offset); }

/* Programs fall back to reading and writing. */
ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t length, unsigned flags) {
    REAL(copy_file_range);
    struct stat st;
    if (watched_fd(out, &st)) { errno = ENOSYS; return -1; }
    return real(in, in_at, out, out_at, length, flags);
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    struct stat st;
    if (!watched_fd(fd, &st)) return real(fd, length);
    pthread_mutex_lock(&lock);
    fstat(fd, &st);
    uint64_t found;
    void *old = before(fd, length, length < st.st_size ? st.st_size - length : 0, st.st_size, &found);
    int result = real(fd, length);
    struct record record = { .inode = st.st_ino, .offset = length, .old_size = st.st_size, .old_bytes = found };
    if (result == 0 && length != st.st_size) note(TRUNCATE, record, old, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
    free(old);
    return result;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

/* Reads what O_TRUNC is about to throw away. */
static void *before_open(const char *path, int flags, const struct stat *st, uint64_t *found) {
    REAL(open);
    *found = 0;
    if (!(flags & O_TRUNC) || st->st_size == 0) return NULL;
    int fd = real(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    void *old = before(fd, 0, st->st_size, st->st_size, found);
    close(fd);
    return old;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
    REAL(openat);
    char full[PATH_MAX];
    if (!active || !(flags & (O_WRONLY | O_RDWR)) || !absolute(at, path, full) || !watched_path(full)) return real(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat st, now;
    uint64_t found = 0;
    int existed = stat(full, &st) == 0;
    void *old = existed ? before_open(full, flags, &st, &found) : NULL;
    int fd = real(at, path, flags, mode);
    if (fd >= 0 && fstat(fd, &now) == 0 && S_ISREG(now.st_mode)) {
        keep(full, now.st_ino);
        struct record made = { .inode = now.st_ino, .folder = folder_of(full) };
        if (!existed) note(CREATE, made, NULL, NULL, full, NULL);
        struct record cut = { .inode = now.st_ino, .old_size = st.st_size, .old_bytes = found };
        if (existed && (flags & O_TRUNC) && st.st_size > 0) note(TRUNCATE, cut, old, NULL, NULL, NULL);
    }
    pthread_mutex_unlock(&lock);
    free(old);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static int do_rename(int at, const char *path, int at2, const char *path2, unsigned flags) {
    REAL(renameat2);
    char from[PATH_MAX], to[PATH_MAX];
    if (!active || !absolute(at, path, from) || !absolute(at2, path2, to) || !watched_path(to)) return real(at, path, at2, path2, flags);
    pthread_mutex_lock(&lock);
    struct stat st, replaced;
    int known = stat(from, &st) == 0 && S_ISREG(st.st_mode);
    int replaces = stat(to, &replaced) == 0;
    if (known) keep(from, st.st_ino);
    if (replaces) keep(to, replaced.st_ino);
    int result = real(at, path, at2, path2, flags);
    struct record record = { .inode = st.st_ino, .folder = folder_of(to), .other = replaces ? replaced.st_ino : 0 };
    if (result == 0 && known) note(RENAME, record, NULL, NULL, from, to);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *path, const char *path2) { return do_rename(AT_FDCWD, path, AT_FDCWD, path2, 0); }
int renameat(int at, const char *path, int at2, const char *path2) { return do_rename(at, path, at2, path2, 0); }
int renameat2(int at, const char *path, int at2, const char *path2, unsigned flags) { return do_rename(at, path, at2, path2, flags); }

static int do_unlink(int at, const char *path, int flags) {
    REAL(unlinkat);
    char full[PATH_MAX];
    if (!active || (flags & AT_REMOVEDIR) || !absolute(at, path, full) || !watched_path(full)) return real(at, path, flags);
    pthread_mutex_lock(&lock);
    struct stat st;
    int known = stat(full, &st) == 0 && S_ISREG(st.st_mode);
    if (known) keep(full, st.st_ino);
    int result = real(at, path, flags);
    struct record record = { .inode = st.st_ino, .folder = folder_of(full) };
    if (result == 0 && known) note(UNLINK, record, NULL, NULL, full, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return do_unlink(at, path, flags); }

static int do_sync(int fd, int result) {
    struct stat st;
    if (result == 0 && watched_fd(fd, &st)) {
        pthread_mutex_lock(&lock);
        note_sync(st.st_ino);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int fd) { REAL(fsync); return do_sync(fd, real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); return do_sync(fd, real(fd)); }
