/*
 * The setuid half of the client's helper: takes everything away that the caller could have left behind, then becomes
 * the helper's Python half with a constant environment. It opens nothing the caller named and reads nothing he wrote.
 * Built with -DINTERPRETER, -DSCRIPT and -DPACKAGE: absolute paths without links, fixed when it is installed.
 * The exit statuses are those of qvd_usbip/errors.py; a unit test compares them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { NOT_SETUID = 27, MALFORMED = 28, UNSAFE = 87, INTERNAL = 99 };
enum { ARGUMENT_BYTES = 32, SOCKET_FD = 3 };

/* The script's folders are its parents; these hold what it imports. */
static const char *const trusted_paths[] = {
	INTERPRETER,
	SCRIPT,
	PACKAGE,
	PACKAGE "/__pycache__",
	PACKAGE "/../__init__.py",
	PACKAGE "/../__pycache__",
	PACKAGE "/../../qvd_usbip",
	PACKAGE "/../../qvd_usbip/__pycache__",
	PACKAGE "/../../qvd_usbip/system",
	PACKAGE "/../../qvd_usbip/system/__pycache__",
};

/* A caller who does not read his standard error misses the reason; the exit status tells him too. */
static _Noreturn void refuse(int status, const char *sentence, const char *remedy)
{
	(void)dprintf(STDERR_FILENO, "error: %s\n  %s\n", sentence, remedy);
	_exit(status);
}

static _Noreturn void untrusted(const char *path, bool missing)
{
	(void)dprintf(STDERR_FILENO, "error: The helper's file %s cannot be trusted.\n", path);
	(void)dprintf(STDERR_FILENO, missing ? "  It is not there: install the qvd-usbip client package again.%.0s%.0s\n" :
		      "  As root: chown root:root %s && chmod go-w %s; a link has to go.\n", path, path);
	_exit(UNSAFE);
}

static _Noreturn void malformed(const char *sentence)
{
	refuse(MALFORMED, sentence, "Use: bind BUSID, unbind BUSID, connect BUSID FD, lend, or recover.");
}

static _Noreturn void failed(const char *step)
{
	refuse(INTERNAL, step, "Please report it with the log.");
}

static void check_arguments(int argc, char **argv)
{
	if (argc < 2 || argc > 4)
		malformed("The helper takes one to three arguments.");
	for (int i = 1; i < argc; i++)
		if (strnlen(argv[i], ARGUMENT_BYTES + 1) > ARGUMENT_BYTES)
			malformed("An argument is longer than 32 bytes.");
}

/* Whatever is opened later must not become a standard stream that was closed. */
static void fill_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(INTERNAL);
}

/* A terminal or a timer of the caller's must not stop work on a device half way; lend takes its signals back. */
static void reset_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM,
				       SIGVTALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGIO, SIGXFSZ };
	static const struct itimerval off;
	sigset_t none;

	/* fails for the two that cannot be changed, and for those libc keeps to itself */
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		if (signal(ignored[i], SIG_IGN) == SIG_ERR)
			failed("A signal could not be ignored.");
	if (setitimer(ITIMER_REAL, &off, NULL) || setitimer(ITIMER_VIRTUAL, &off, NULL) ||
	    setitimer(ITIMER_PROF, &off, NULL))
		failed("A timer could not be stopped.");
	if (sigemptyset(&none) || sigprocmask(SIG_SETMASK, &none, NULL))
		failed("The signal mask could not be reset.");
}

static void reset_limits(void)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_CORE, 0 },		  { RLIMIT_CPU, RLIM_INFINITY },   { RLIMIT_FSIZE, RLIM_INFINITY },
		{ RLIMIT_AS, RLIM_INFINITY },	  { RLIMIT_DATA, RLIM_INFINITY },  { RLIMIT_STACK, 8 << 20 },
		{ RLIMIT_NOFILE, 1024 },	  { RLIMIT_NPROC, RLIM_INFINITY }, { RLIMIT_MEMLOCK, 8 << 20 },
		{ RLIMIT_SIGPENDING, 4096 },
	};
	static const struct sched_param normal;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct rlimit limit = { limits[i].value, limits[i].value };

		if (setrlimit(limits[i].resource, &limit) == 0)
			continue;
		/* root of a container may not raise a hard limit; the soft one it may */
		if (getrlimit(limits[i].resource, &limit) == 0)
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].resource, &limit))
			failed("A resource limit could not be set.");
	}
	if (sched_setscheduler(0, SCHED_OTHER, &normal) || setpriority(PRIO_PROCESS, 0, 0))
		failed("The priority could not be reset.");
}

static int parse_descriptor(const char *text)
{
	char *end;
	long value;
	if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1]))
		malformed("The descriptor is not a decimal number.");
	errno = 0;
	value = strtol(text, &end, 10);
	if (*end || errno || value > INT_MAX)
		malformed("The descriptor is not a decimal number.");
	return (int)value;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

/* Leaves the one connected stream socket at SOCKET_FD, and no copy of it among the standard streams. */
static void accept_socket(const char *text)
{
	int fd = parse_descriptor(text);
	struct stat wanted, found;
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	int domain, null;
	if (fstat(fd, &wanted) || !S_ISSOCK(wanted.st_mode) || option(fd, SO_TYPE) != SOCK_STREAM)
		malformed("The descriptor is not a stream socket.");
	domain = option(fd, SO_DOMAIN);
	if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
		malformed("The socket is neither TCP nor a unix socket.");
	if (option(fd, SO_ACCEPTCONN) != 0 || getpeername(fd, (struct sockaddr *)&peer, &size))
		malformed("The socket is not connected.");
	if (fd != SOCKET_FD && dup2(fd, SOCKET_FD) < 0)
		failed("The socket could not be moved.");
	if ((null = open("/dev/null", O_RDWR)) < 0)
		failed("/dev/null could not be opened.");
	for (int stream = 0; stream <= STDERR_FILENO; stream++)
		if (fstat(stream, &found) || (found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino))
			if (dup2(null, stream) < 0)
				failed("A standard stream could not be replaced.");
	if (fcntl(SOCKET_FD, F_SETFD, 0))
		failed("The socket could not be kept open.");
}

/* Every component of the path, the first to the last: root's, nobody else may write it, no link. */
static void check_trusted(const char *path)
{
	char prefix[PATH_MAX];
	size_t length = strlen(path);
	struct stat found;

	if (path[0] != '/' || length >= sizeof prefix)
		failed("The launcher was built with a path that is not absolute.");
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0' && i > 1)
			continue;
		memcpy(prefix, path, i);
		prefix[i] = '\0';
		if (lstat(prefix, &found)) {
			if (errno == ENOENT && strstr(path, "/__pycache__"))
				return;
			untrusted(path, true);
		}
		if (found.st_uid != 0 || S_ISLNK(found.st_mode) || (found.st_mode & (S_IWGRP | S_IWOTH)))
			untrusted(prefix, false);
	}
}

static void become_root(void)
{
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0))
		failed("The helper could not become root.");
	/* usbip-host may have to be loaded; files of root's need no capability */
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (capability != CAP_SYS_MODULE && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
			failed("A capability could not be dropped.");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		failed("no_new_privs could not be set.");
}

int main(int argc, char **argv)
{
	static char uid_text[40], gid_text[40], socket_text[] = "3";
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", uid_text, gid_text, NULL };
	char *arguments[] = { INTERPRETER, "-I", "-S", "-B", SCRIPT, NULL, NULL, NULL, NULL };
	bool connect;

	check_arguments(argc, argv);
	fill_standard_streams();
	if (geteuid() != 0)
		refuse(NOT_SETUID, "The helper does not run as root, so it cannot lend a device.",
		       "As root: chown root:root and chmod 4755 this program; its file system must not be mounted nosuid.");
	(void)snprintf(uid_text, sizeof uid_text, "QVD_CALLER_UID=%u", (unsigned int)getuid());
	(void)snprintf(gid_text, sizeof gid_text, "QVD_CALLER_GID=%u", (unsigned int)getgid());
	reset_signals();
	umask(077);
	if (chdir("/"))
		failed("The root folder could not be entered.");
	reset_limits();
	connect = strcmp(argv[1], "connect") == 0 && argc == 4;
	if (connect)
		accept_socket(argv[3]);
	else if (argc == 4)
		malformed("Only connect takes a descriptor.");
	if (close_range(connect ? SOCKET_FD + 1 : SOCKET_FD, ~0U, 0))
		failed("Descriptors of the caller could not be closed: a kernel of 5.9 or newer is needed.");
	for (size_t i = 0; i < sizeof trusted_paths / sizeof *trusted_paths; i++)
		check_trusted(trusted_paths[i]);
	become_root();
	for (int i = 1; i < argc; i++)
		arguments[4 + i] = i == 3 ? socket_text : argv[i];
	execve(INTERPRETER, arguments, environment);
	failed("The interpreter could not be started.");
}
