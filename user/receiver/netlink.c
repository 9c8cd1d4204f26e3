/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rtnetlink for the receiver: see netlink.h. One socket a call: this program does a dozen of them.
 */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/addr.h"

#define NL_BUFFER_SIZE	  32768
#define INFINITE_LIFETIME 0xffffffffU

/* Sends a request and hands every message of the answer to cb (NULL: only the outcome counts). */
static int transact(struct nlmsghdr *request, mnl_cb_t cb, void *data)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	uint32_t sequence = (uint32_t)time(NULL);
	char *buffer = malloc(NL_BUFFER_SIZE);
	int r = MNL_CB_OK;

	request->nlmsg_seq = sequence;
	if (!nl || !buffer || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		r = MNL_CB_ERROR;
	while (r > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(nl, buffer, NL_BUFFER_SIZE);

		r = len < 0 ? MNL_CB_ERROR
			    : mnl_cb_run(buffer, (size_t)len, sequence, mnl_socket_get_portid(nl),
					 cb, data);
	}
	r = r < 0 ? -errno : 0;
	if (nl)
		mnl_socket_close(nl);
	free(buffer);
	return r;
}

static struct ip_addr address_of(int family, const void *bytes)
{
	struct ip_addr a = {};

	if (family == AF_INET6) {
		memcpy(a.b, bytes, 16);
	} else {
		a.w[2] = htonl(0xffff);
		memcpy(&a.w[3], bytes, 4);
	}
	return a;
}

/* ---- Addresses ---------------------------------------------------------------------------- */

struct address_dump {
	int ifindex;
	struct address_list list;
};

static int collect_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(message);
	struct address_dump *dump = data;
	const struct nlattr *attr;
	const void *address = NULL;
	bool has_local = false;
	struct ip_addr *grown;

	if ((int)ifa->ifa_index != dump->ifindex ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return MNL_CB_OK;
	/* On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, where given, is ours. */
	mnl_attr_for_each (attr, message, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL) {
			address = mnl_attr_get_payload(attr);
			has_local = true;
		} else if (mnl_attr_get_type(attr) == IFA_ADDRESS && !has_local) {
			address = mnl_attr_get_payload(attr);
		}
	}
	if (!address)
		return MNL_CB_OK;
	grown = reallocarray(dump->list.items, dump->list.n + 1, sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	dump->list.items = grown;
	dump->list.items[dump->list.n++] = address_of(ifa->ifa_family, address);
	return MNL_CB_OK;
}

int netlink_addresses(int ifindex, struct address_list *ret_list, struct err *err)
{
	char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct address_dump dump = {.ifindex = ifindex};
	struct ifaddrmsg *ifa;
	int r;

	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(request, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	r = transact(request, collect_address, &dump);
	if (r) {
		free(dump.list.items);
		return err_errno(err, -r, "list addresses");
	}
	*ret_list = dump.list;
	return 0;
}

static int change_vip(int ifindex, const struct ip_addr *vip, uint16_t type, uint16_t flags)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	bool is_v4 = addr_is_v4(vip);
	const void *bytes = is_v4 ? (const void *)&vip->w[3] : vip->b;
	struct ifa_cacheinfo lifetimes = {.ifa_valid = INFINITE_LIFETIME};
	struct ifaddrmsg *ifa;

	request->nlmsg_type = type;
	request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	ifa = mnl_nlmsg_put_extra_header(request, sizeof(*ifa));
	ifa->ifa_family = is_v4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = is_v4 ? 32 : 128;
	ifa->ifa_scope = is_v4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	ifa->ifa_index = (uint32_t)ifindex;
	mnl_attr_put(request, IFA_LOCAL, is_v4 ? 4 : 16, bytes);
	mnl_attr_put(request, IFA_ADDRESS, is_v4 ? 4 : 16, bytes);
	if (!is_v4 && type == RTM_NEWADDR) {
		mnl_attr_put_u32(request, IFA_FLAGS, IFA_F_NODAD);
		mnl_attr_put(request, IFA_CACHEINFO, sizeof(lifetimes), &lifetimes);
	}
	return transact(request, NULL, NULL);
}

int netlink_vip_add(int ifindex, const struct ip_addr *vip, struct err *err)
{
	int r = change_vip(ifindex, vip, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);

	if (r == -EACCES)
		return err_set(err, EACCES,
			       "IPv6 is off on this interface: sysctl -w "
			       "net.ipv6.conf.lo.disable_ipv6=0");
	return r ? err_set(err, -r, "%s", strerror(-r)) : 0;
}

int netlink_vip_delete(int ifindex, const struct ip_addr *vip, struct err *err)
{
	int r = change_vip(ifindex, vip, RTM_DELADDR, 0);

	return r ? err_set(err, -r, "%s", strerror(-r)) : 0;
}

/* ---- Default routes ----------------------------------------------------------------------- */

bool route_id_equal(const struct route_id *a, const struct route_id *b)
{
	return a->family == b->family && a->priority == b->priority && a->tos == b->tos;
}

static uint32_t advmss_of(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) if (mnl_attr_get_type(attr) ==
						    RTAX_ADVMSS) return mnl_attr_get_u32(attr);
	return 0;
}

static void describe_route(struct route *route, int family, const void *gateway, uint32_t oif)
{
	char device[IF_NAMESIZE] = "", address[INET6_ADDRSTRLEN] = "";
	size_t len;

	if (gateway)
		inet_ntop(family, gateway, address, sizeof(address));
	if (oif)
		if_indextoname(oif, device);
	snprintf(route->text, sizeof(route->text), "default%s%s%s%s", gateway ? " via " : "",
		 address, *device ? " dev " : "", device);
	len = strlen(route->text);
	if (route->id.priority)
		snprintf(route->text + len, sizeof(route->text) - len, " metric %u",
			 route->id.priority);
}

static bool is_main_default(const struct nlmsghdr *message)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(message);

	return message->nlmsg_type == RTM_NEWROUTE &&
	       (rt->rtm_family == AF_INET || rt->rtm_family == AF_INET6) && rt->rtm_dst_len == 0 &&
	       rt->rtm_src_len == 0 && rt->rtm_table == RT_TABLE_MAIN &&
	       rt->rtm_type == RTN_UNICAST && !(rt->rtm_flags & RTM_F_CLONED);
}

static int collect_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(message);
	struct route_list *list = data;
	struct route route = {};
	const struct nlattr *attr;
	const void *gateway = NULL;
	struct route *grown;
	uint32_t oif = 0;

	if (!is_main_default(message))
		return MNL_CB_OK;
	route.id.family = rt->rtm_family == AF_INET ? FAMILY_V4 : FAMILY_V6;
	route.id.tos = rt->rtm_tos;
	route.protocol = rt->rtm_protocol;
	mnl_attr_for_each (attr, message, sizeof(*rt)) {
		if (mnl_attr_get_type(attr) == RTA_PRIORITY)
			route.id.priority = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_METRICS)
			route.advmss = advmss_of(attr);
		else if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			gateway = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == RTA_OIF)
			oif = mnl_attr_get_u32(attr);
	}
	describe_route(&route, rt->rtm_family, gateway, oif);
	route.message = malloc(message->nlmsg_len);
	grown = reallocarray(list->items, list->n + 1, sizeof(*grown));
	if (grown)
		list->items = grown;
	if (!grown || !route.message) {
		free(route.message);
		return MNL_CB_ERROR;
	}
	memcpy(route.message, message, message->nlmsg_len);
	list->items[list->n++] = route;
	return MNL_CB_OK;
}

static int dump_routes(int family, struct route_list *list)
{
	char buffer[128] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rt;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rt = mnl_nlmsg_put_extra_header(request, sizeof(*rt));
	rt->rtm_family = (unsigned char)family;
	return transact(request, collect_route, list);
}

int netlink_default_routes(struct route_list *ret_list, struct err *err)
{
	struct route_list list = {};
	int r = dump_routes(AF_INET, &list);

	if (!r)
		r = dump_routes(AF_INET6, &list);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		r = 0; /* a kernel without IPv6 */
	if (r) {
		route_list_free(&list);
		return err_errno(err, -r, "list default routes");
	}
	*ret_list = list;
	return 0;
}

void route_list_free(struct route_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].message);
	free(list->items);
	*list = (struct route_list){};
}

static void put_metrics(struct nlmsghdr *request, const struct nlattr *old, uint32_t advmss)
{
	struct nlattr *nest = mnl_attr_nest_start(request, RTA_METRICS);
	const struct nlattr *attr;

	if (old)
		mnl_attr_for_each_nested(attr, old) if (mnl_attr_get_type(attr) != RTAX_ADVMSS)
			mnl_attr_put(request, mnl_attr_get_type(attr),
				     mnl_attr_get_payload_len(attr), mnl_attr_get_payload(attr));
	if (advmss)
		mnl_attr_put_u32(request, RTAX_ADVMSS, advmss);
	mnl_attr_nest_end(request, nest);
}

/* Copies the dumped route into a request; what a dump says but a request may not is left out. */
static void copy_route(struct nlmsghdr *request, const struct nlmsghdr *dumped, uint32_t advmss)
{
	const struct nlattr *attr, *metrics = NULL;
	bool has_nexthop_id = false;

	mnl_attr_for_each (attr, dumped, sizeof(struct rtmsg))
		has_nexthop_id |= mnl_attr_get_type(attr) == RTA_NH_ID;
	mnl_attr_for_each (attr, dumped, sizeof(struct rtmsg)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_METRICS:
			metrics = attr;
			continue;
		case RTA_CACHEINFO:
			continue;
		case RTA_GATEWAY:
		case RTA_VIA:
		case RTA_OIF:
		case RTA_MULTIPATH: /* a next hop object is named instead of described */
			if (has_nexthop_id)
				continue;
		}
		mnl_attr_put(request, mnl_attr_get_type(attr), mnl_attr_get_payload_len(attr),
			     mnl_attr_get_payload(attr));
	}
	put_metrics(request, metrics, advmss);
}

int netlink_route_set_advmss(const struct route *route, uint32_t advmss, struct err *err)
{
	const struct nlmsghdr *dumped = route->message;
	char *buffer = calloc(1, dumped->nlmsg_len + 256);
	struct nlmsghdr *request;
	struct rtmsg *rt;
	int r;

	if (!buffer)
		return err_errno(err, ENOMEM, "%s", route->text);
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = RTM_NEWROUTE;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE;
	rt = mnl_nlmsg_put_extra_header(request, sizeof(*rt));
	memcpy(rt, mnl_nlmsg_get_payload(dumped), sizeof(*rt));
	rt->rtm_flags &= RTNH_F_ONLINK; /* the others report, they do not ask */
	copy_route(request, dumped, advmss);
	r = transact(request, NULL, NULL);
	free(buffer);
	return r ? err_set(err, -r, "%s", strerror(-r)) : 0;
}

/* ---- Links -------------------------------------------------------------------------------- */

static int link_ioctl(const char *interface, unsigned long what, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", interface);
	if (ioctl(fd, what, ifr))
		r = -errno;
	close(fd);
	return r;
}

int netlink_link_mtu(const char *interface, uint32_t *ret_mtu, struct err *err)
{
	struct ifreq ifr = {};
	int r = link_ioctl(interface, SIOCGIFMTU, &ifr);

	if (r)
		return err_errno(err, -r, "MTU of %s", interface);
	*ret_mtu = (uint32_t)ifr.ifr_mtu;
	return 0;
}

int netlink_link_is_up(const char *interface, bool *ret_is_up, struct err *err)
{
	struct ifreq ifr = {};
	int r = link_ioctl(interface, SIOCGIFFLAGS, &ifr);

	if (r)
		return err_errno(err, -r, "state of %s", interface);
	*ret_is_up = ifr.ifr_flags & IFF_UP;
	return 0;
}

int netlink_link_set_up(const char *interface, bool is_up, struct err *err)
{
	struct ifreq ifr = {};
	int r = link_ioctl(interface, SIOCGIFFLAGS, &ifr);

	ifr.ifr_flags = (short)(is_up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	if (!r)
		r = link_ioctl(interface, SIOCSIFFLAGS, &ifr);
	return r ? err_set(err, -r, "%s", strerror(-r)) : 0;
}
