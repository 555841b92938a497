/* The wall clock of whoever is started with this library (LD_PRELOAD) is ahead by so many seconds as the
 * file $WALL_CLOCK_AHEAD says now. All other clocks are the kernel's. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long ahead(void)
{
	char text[32] = "";
	const char *path = getenv("WALL_CLOCK_AHEAD");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (file < 0)
		return 0;
	if (read(file, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(file);
	return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += ahead();
	return result;
}
