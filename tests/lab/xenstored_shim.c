/*
 * What Debian's xenstored wants of a hypervisor, on a computer that has none: preloaded into it (ld.so(8), LD_PRELOAD).
 *
 * The folder XENSTORED_RUNDIR stands for the machine. A domain is there when its ring is: the page that it shares with
 * the daemon (xen/io/xs_wire.h) is the file <domid>.ring. An event channel is a datagram socket: the daemon's is `event`,
 * a domain's is <domid>.event; whoever changed a ring sends the other one a port, which is the domain's id. That is
 * enough for XS_INTRODUCE, and so for guests with ids, quotas and permissions of their own: see xenbus.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGE = 4096, PATH = sizeof(((struct sockaddr_un *)0)->sun_path), DOMAINS_CHANGED = 0x7ff2, DOM0 = 0x7ff1 };

struct handle { int socket; };
static struct handle handle; /* the one that all the interfaces give */

/* The beginning of xc_dominfo_t (xenctrl.h): xenstored looks at no more. */
struct dominfo { uint32_t domid, ssidref, dying_crashed_shutdown, shutdown_reason; };

/* End with whoever started this, however that ends. */
__attribute__((constructor)) static void end_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

static void in_rundir(char *path, const char *name) {
	const char *folder = getenv("XENSTORED_RUNDIR");
	if (!folder || snprintf(path, PATH, "%s/%s", folder, name) >= PATH) {
		fprintf(stderr, "shim: XENSTORED_RUNDIR is not set, or too long for a socket\n");
		abort();
	}
}

static void of_domain(char *path, uint32_t domid, const char *what) {
	char name[32];
	snprintf(name, sizeof name, "%u.%s", domid, what);
	in_rundir(path, name);
}

static int next_open(const char *path, int flags, int mode) {
	int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	return real(path, flags, mode);
}

/* Domain 0 tells its page and its port in /proc/xen. */
int open(const char *path, int flags, ...) {
	va_list rest;
	va_start(rest, flags);
	int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
	va_end(rest);
	char other[PATH];
	if (!strcmp(path, "/proc/xen/xsd_kva")) {
		of_domain(other, 0, "ring");
		int file = next_open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (file >= 0 && ftruncate(file, PAGE))
			return -1;
		return file;
	}
	if (!strcmp(path, "/proc/xen/xsd_port")) {
		int file = memfd_create("xsd_port", MFD_CLOEXEC);
		return dprintf(file, "%d", DOM0) > 0 && !lseek(file, 0, SEEK_SET) ? file : -1;
	}
	return next_open(path, flags, mode);
}

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned flags) { return &handle; }
int xc_interface_close(void *xch) { return 0; }

int xc_domain_getinfo(void *xch, uint32_t domid, unsigned most, struct dominfo *info) {
	char path[PATH];
	of_domain(path, domid, "ring");
	if (access(path, F_OK))
		return 0;
	*info = (struct dominfo){.domid = domid};
	return 1;
}

void *xengnttab_open(void *logger, unsigned flags) { return &handle; }
int xengnttab_close(void *xgt) { return 0; }
int xengnttab_set_max_grants(void *xgt, uint32_t count) { return 0; }
int xengnttab_unmap(void *xgt, void *start, uint32_t pages) { return munmap(start, PAGE); }

void *xengnttab_map_grant_ref(void *xgt, uint32_t domid, uint32_t ref, int prot) {
	char path[PATH];
	of_domain(path, domid, "ring");
	int file = next_open(path, O_RDWR | O_CLOEXEC, 0);
	if (file < 0)
		return NULL;
	void *page = mmap(NULL, PAGE, prot, MAP_SHARED, file, 0);
	close(file);
	return page == MAP_FAILED ? NULL : page;
}

void *xenevtchn_open(void *logger, unsigned flags) {
	struct sockaddr_un own = {.sun_family = AF_UNIX};
	in_rundir(own.sun_path, "event");
	unlink(own.sun_path);
	handle.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return handle.socket < 0 || bind(handle.socket, (struct sockaddr *)&own, sizeof own) ? NULL : &handle;
}

void *xenevtchn_fdopen(void *logger, int fd, unsigned flags) { errno = ENOSYS; return NULL; }
int xenevtchn_fd(struct handle *xce) { return xce->socket; }
int xenevtchn_bind_virq(void *xce, unsigned virq) { return DOMAINS_CHANGED; }
int xenevtchn_bind_interdomain(void *xce, uint32_t domid, uint32_t remote) { return domid ? (int)domid : DOM0; }
int xenevtchn_unbind(void *xce, uint32_t port) { return 0; }
int xenevtchn_unmask(void *xce, uint32_t port) { return 0; }

int xenevtchn_pending(struct handle *xce) {
	uint32_t port;
	return recv(xce->socket, &port, sizeof port, 0) == sizeof port ? (int)port : -1;
}

/* One that is not awaited, or that finds others waiting, is lost: those make the domain look at its ring, too. */
int xenevtchn_notify(struct handle *xce, uint32_t port) {
	struct sockaddr_un domain = {.sun_family = AF_UNIX};
	if (port == DOM0)
		return 0;
	of_domain(domain.sun_path, port, "event");
	sendto(xce->socket, &port, sizeof port, MSG_DONTWAIT, (struct sockaddr *)&domain, sizeof domain);
	return 0;
}
