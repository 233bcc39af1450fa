/* Stands in for the interpreter: prints what the launcher made of the process, one fact a line. */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	static const int limits[] = { RLIMIT_CORE, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE };
	char folder[4096];
	struct itimerval timer;
	sigset_t mask;

	for (int i = 0; i < argc; i++)
		printf("argv %s\n", argv[i]);
	for (char **word = environ; *word; word++)
		printf("env %s\n", *word);
	for (int fd = 0; fd < 1024; fd++) {
		struct stat found;

		if (fstat(fd, &found) == 0)
			printf("fd %d %s\n", fd, S_ISSOCK(found.st_mode) ? "socket" : "other");
	}
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct rlimit limit;

		getrlimit(limits[i], &limit);
		printf("limit %zu %lld\n", i, limit.rlim_cur == RLIM_INFINITY ? -1LL : (long long)limit.rlim_cur);
	}
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf("ignored %d\n", number);
	}
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&mask, number) == 1)
			printf("masked %d\n", number);
	getitimer(ITIMER_REAL, &timer);
	printf("timer %ld\n", (long)timer.it_value.tv_sec);
	printf("umask %o\n", umask(0));
	printf("cwd %s\n", getcwd(folder, sizeof folder));
	printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
	printf("nnp %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (int capability = 0, value; (value = prctl(PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0; capability++)
		if (value)
			printf("capability %d\n", capability);
	for (int set = getgroups(0, NULL); set > 0; set--)
		puts("group");
	return 0;
}
