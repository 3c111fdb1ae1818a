/* The calendar clock, AHEAD_SECONDS later; for LD_PRELOAD. Monotonic clocks, sleeps and deadlines stay as they are.
 *
 * libfaketime 0.9.10 cannot serve here: with its monotonic clock left alone every absolute clock_nanosleep is EINVAL
 * (Python's time.sleep, so Popen.wait with a timeout), and with it moved sem_clockwait (every lock with a timeout) never
 * returns.
 *
 * Times of files move with the clock, in both directions, so that what was just written is new. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("AHEAD_SECONDS");
    ahead = text ? atol(text) : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_calendar(clockid_t id) { return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI; }

int clock_gettime(clockid_t id, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int code = real(id, now);
    if (code == 0 && is_calendar(id)) now->tv_sec += ahead;
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int code = clock_gettime(CLOCK_REALTIME, &precise);
    if (code == 0) *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return code;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) { return clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0; }

/* Waiting for a moment of the calendar clock: the kernel's own is meant. */
int clock_nanosleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec moved = *until;
    if (is_calendar(id) && (flags & TIMER_ABSTIME)) moved.tv_sec -= ahead;
    return REAL(clock_nanosleep)(id, flags, &moved, left);
}

static int later(int code, struct stat *found) {
    if (code == 0) {
        found->st_atim.tv_sec += ahead;
        found->st_mtim.tv_sec += ahead;
        found->st_ctim.tv_sec += ahead;
    }
    return code;
}

int stat(const char *restrict path, struct stat *restrict found) { return later(REAL(stat)(path, found), found); }
int lstat(const char *restrict path, struct stat *restrict found) { return later(REAL(lstat)(path, found), found); }
int fstat(int fd, struct stat *found) { return later(REAL(fstat)(fd, found), found); }
int fstatat(int fd, const char *restrict path, struct stat *restrict found, int flags) {
    return later(REAL(fstatat)(fd, path, found, flags), found);
}
int stat64(const char *restrict path, struct stat64 *restrict found) { return stat(path, (struct stat *)found); }
int lstat64(const char *restrict path, struct stat64 *restrict found) { return lstat(path, (struct stat *)found); }
int fstat64(int fd, struct stat64 *found) { return fstat(fd, (struct stat *)found); }
int fstatat64(int fd, const char *restrict path, struct stat64 *restrict found, int flags) {
    return fstatat(fd, path, (struct stat *)found, flags);
}

static struct timespec *earlier(const struct timespec given[2], struct timespec made[2]) {
    if (!given) return NULL;
    for (int i = 0; i < 2; i++) {
        made[i] = given[i];
        if (given[i].tv_nsec != UTIME_NOW && given[i].tv_nsec != UTIME_OMIT) made[i].tv_sec -= ahead;
    }
    return made;
}

int utimensat(int fd, const char *path, const struct timespec times[2], int flags) {
    struct timespec made[2];
    return REAL(utimensat)(fd, path, earlier(times, made), flags);
}
int futimens(int fd, const struct timespec times[2]) {
    struct timespec made[2];
    return REAL(futimens)(fd, earlier(times, made));
}
