/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* rtnetlink requests and events: see netlink.h. */
#include "netlink.h"

#include <errno.h>
#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/addr.h"

/* The socket buffer of a monitor: some 10,000 events; only what is queued takes memory. */
#define MONITOR_BUFFER_BYTES (16 << 20)
/* Datagrams taken in one read: other sources of the event loop have their turn in between. */
#define MONITOR_READS 64
/* A request is a fixed header and a few attributes. */
#define REQUEST_BYTES 128
/* What the kernel puts into one datagram of a dump at most (NLMSG_GOODSIZE, rtnetlink(7)). */
#define ANSWER_BYTES 32768

#define GROUP(group) (1U << (RTNLGRP_##group - 1))

#define MONITOR_GROUPS                                                                             \
	(GROUP(LINK) | GROUP(NEIGH) | GROUP(IPV4_ROUTE) | GROUP(IPV6_ROUTE) | GROUP(IPV4_IFADDR) | \
	 GROUP(IPV6_IFADDR) | GROUP(IPV4_RULE) | GROUP(IPV6_RULE) | GROUP(NEXTHOP))

int netlink_open(struct netlink *ret_nl, bool is_monitor, struct err *err)
{
	struct netlink nl = {};
	int bytes = MONITOR_BUFFER_BYTES;
	int errnum;

	nl.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (!nl.socket)
		return err_errno(err, errno, "open netlink socket");
	if (mnl_socket_bind(nl.socket, is_monitor ? MONITOR_GROUPS : 0, MNL_SOCKET_AUTOPID) < 0) {
		errnum = errno;
		mnl_socket_close(nl.socket);
		return err_errno(err, errnum, "bind netlink socket");
	}
	/* A smaller buffer only means that events are lost, and noticed, sooner. */
	if (is_monitor && setsockopt(mnl_socket_get_fd(nl.socket), SOL_SOCKET, SO_RCVBUFFORCE,
				     &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(mnl_socket_get_fd(nl.socket), SOL_SOCKET, SO_RCVBUF, &bytes,
				 sizeof(bytes));
	*ret_nl = nl;
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

/* Sends a request and hands every message of the answer to on_message. */
static int netlink_request(struct netlink *nl, struct nlmsghdr *nlh, mnl_cb_t on_message,
			   void *user)
{
	uint32_t port = mnl_socket_get_portid(nl->socket);
	char answer[ANSWER_BYTES];
	ssize_t len;
	int ret = -1;

	nlh->nlmsg_seq = ++nl->seq;
	nlh->nlmsg_flags |= NLM_F_REQUEST;
	if (!(nlh->nlmsg_flags & NLM_F_DUMP))
		nlh->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl->socket, answer, sizeof(answer));
		ret = len < 0 ? -1
			      : mnl_cb_run(answer, (size_t)len, nlh->nlmsg_seq, port, on_message,
					   user);
	} while (ret > MNL_CB_STOP);
	if (ret == MNL_CB_STOP)
		return 0;
	ret = -errno;
	/* Whatever else was said must not be taken for the next request's answer. */
	while (mnl_socket_recvfrom(nl->socket, answer, sizeof(answer)) > 0)
		;
	return ret;
}

struct attributes {
	const struct nlattr *of[IFLA_LINK_NETNSID + 1];
};

_Static_assert((int)RTA_MAX <= (int)IFLA_LINK_NETNSID, "holds what is read of a route");
_Static_assert((int)NDA_FLAGS_EXT <= (int)IFLA_LINK_NETNSID, "holds what is read of a neighbour");

static struct attributes parse_attributes(const struct nlmsghdr *nlh, size_t header_len)
{
	struct attributes attrs = {};
	const struct nlattr *attr;

	mnl_attr_for_each (attr, nlh, header_len) {
		if (mnl_attr_get_type(attr) < MNL_ARRAY_SIZE(attrs.of))
			attrs.of[mnl_attr_get_type(attr)] = attr;
	}
	return attrs;
}

static bool read_bytes(const struct nlattr *attr, void *ret_bytes, size_t len)
{
	if (!attr || mnl_attr_get_payload_len(attr) != len)
		return false;
	memcpy(ret_bytes, mnl_attr_get_payload(attr), len);
	return true;
}

static bool read_address(const struct nlattr *attr, uint8_t family, struct ip_addr *ret_address)
{
	struct ip_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

	if (family == AF_INET ? !read_bytes(attr, &a.w[3], 4) : !read_bytes(attr, a.b, 16))
		return false;
	*ret_address = a;
	return true;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *address)
{
	if (addr_is_v4(address))
		mnl_attr_put(nlh, type, 4, &address->w[3]);
	else
		mnl_attr_put(nlh, type, 16, address->b);
}

static uint8_t socket_family(const struct ip_addr *address)
{
	return addr_is_v4(address) ? AF_INET : AF_INET6;
}

/* ---- Links ------------------------------------------------------------------------------- */

/* A nest's attribute of this type, or NULL; also without a nest. */
static const struct nlattr *find_nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

/* Fills tag and lower, if the link is a VLAN device. */
static void parse_vlan(const struct attributes *attrs, struct link_info *link)
{
	const struct nlattr *info = attrs->of[IFLA_LINKINFO];
	const struct nlattr *kind = find_nested(info, IFLA_INFO_KIND);
	const struct nlattr *data = find_nested(info, IFLA_INFO_DATA);
	__be16 protocol;
	uint16_t id;

	if (!kind || mnl_attr_validate(kind, MNL_TYPE_NUL_STRING) < 0 ||
	    strcmp(mnl_attr_get_str(kind), "vlan") != 0)
		return;
	if (!read_bytes(find_nested(data, IFLA_VLAN_ID), &id, sizeof(id)) ||
	    !read_bytes(find_nested(data, IFLA_VLAN_PROTOCOL), &protocol, sizeof(protocol)))
		return;
	link->tag = htonl((uint32_t)ntohs(protocol) << 16 | id);
	/* An index that another namespace gave means nothing here. */
	if (!attrs->of[IFLA_LINK_NETNSID])
		(void)read_bytes(attrs->of[IFLA_LINK], &link->lower, sizeof(link->lower));
}

static bool parse_link(const struct nlmsghdr *nlh, struct link_info *ret_link)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct link_info link = {};
	struct attributes attrs;

	/* A bridge says with family AF_BRIDGE that a port left it: the link itself stays. */
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifi) || ifi->ifi_family != AF_UNSPEC)
		return false;
	attrs = parse_attributes(nlh, sizeof(*ifi));
	link.ifindex = (uint32_t)ifi->ifi_index;
	link.is_up = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_RUNNING);
	if (attrs.of[IFLA_IFNAME])
		strncpy(link.name, mnl_attr_get_str(attrs.of[IFLA_IFNAME]), IF_NAMESIZE - 1);
	(void)read_bytes(attrs.of[IFLA_MTU], &link.mtu, sizeof(link.mtu));
	link.has_arp = read_bytes(attrs.of[IFLA_ADDRESS], link.mac, sizeof(link.mac)) &&
		       ifi->ifi_type == ARPHRD_ETHER && !(ifi->ifi_flags & IFF_NOARP);
	parse_vlan(&attrs, &link);
	*ret_link = link;
	return true;
}

struct link_dump {
	netlink_link_fn found;
	void *user;
};

static int on_dumped_link(const struct nlmsghdr *nlh, void *user)
{
	const struct link_dump *dump = user;
	struct link_info link;

	if (parse_link(nlh, &link))
		dump->found(dump->user, &link);
	return MNL_CB_OK;
}

int netlink_dump_links(struct netlink *nl, netlink_link_fn found, void *user)
{
	struct link_dump dump = {.found = found, .user = user};
	char buf[REQUEST_BYTES] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	return netlink_request(nl, nlh, on_dumped_link, &dump);
}

/* ---- Routes ------------------------------------------------------------------------------ */

struct route_answer {
	bool is_unicast;
	struct neighbour_key via; /* its address is preset with the destination */
};

static int on_route(const struct nlmsghdr *nlh, void *user)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_answer *answer = user;
	struct attributes attrs;
	const struct rtvia *via;

	if (nlh->nlmsg_type != RTM_NEWROUTE || nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*rtm))
		return MNL_CB_OK;
	attrs = parse_attributes(nlh, sizeof(*rtm));
	answer->is_unicast = rtm->rtm_type == RTN_UNICAST &&
			     read_bytes(attrs.of[RTA_OIF], &answer->via.ifindex, sizeof(uint32_t));
	if (attrs.of[RTA_GATEWAY])
		(void)read_address(attrs.of[RTA_GATEWAY], rtm->rtm_family, &answer->via.address);
	/* An IPv6 gateway of an IPv4 route (Linux 5.2). */
	if (attrs.of[RTA_VIA] && mnl_attr_get_payload_len(attrs.of[RTA_VIA]) == sizeof(*via) + 16) {
		via = mnl_attr_get_payload(attrs.of[RTA_VIA]);
		memcpy(answer->via.address.b, via->rtvia_addr, 16);
	}
	return MNL_CB_OK;
}

int netlink_get_route(struct netlink *nl, const struct ip_addr *address,
		      struct neighbour_key *ret_via)
{
	struct route_answer answer = {.via.address = *address};
	char buf[REQUEST_BYTES] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	int ret;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm->rtm_family = socket_family(address);
	rtm->rtm_dst_len = addr_is_v4(address) ? 32 : 128;
	put_address(nlh, RTA_DST, address);
	ret = netlink_request(nl, nlh, on_route, &answer);
	/* IPv4 says EINVAL for blackhole, EACCES for prohibit, EHOSTUNREACH for unreachable. */
	if (ret == -EINVAL || ret == -EACCES || ret == -EHOSTUNREACH)
		return -ENETUNREACH;
	if (ret < 0)
		return ret;
	if (!answer.is_unicast)
		return -ENETUNREACH;
	*ret_via = answer.via;
	return 0;
}

/* ---- Neighbours -------------------------------------------------------------------------- */

static bool parse_neighbour(const struct nlmsghdr *nlh, struct neighbour_info *ret_info)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct neighbour_info info = {};
	struct attributes attrs;
	uint32_t flags_ext = 0;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ndm) || (ndm->ndm_flags & NTF_PROXY))
		return false;
	if (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6)
		return false; /* a bridge's forwarding entry */
	attrs = parse_attributes(nlh, sizeof(*ndm));
	if (!read_address(attrs.of[NDA_DST], ndm->ndm_family, &info.key.address))
		return false;
	info.key.ifindex = (uint32_t)ndm->ndm_ifindex;
	info.state = ndm->ndm_state;
	info.has_mac = read_bytes(attrs.of[NDA_LLADDR], info.mac, sizeof(info.mac));
	(void)read_bytes(attrs.of[NDA_FLAGS_EXT], &flags_ext, sizeof(flags_ext));
	info.is_managed = flags_ext & NTF_EXT_MANAGED;
	*ret_info = info;
	return true;
}

static int on_neighbour(const struct nlmsghdr *nlh, void *user)
{
	struct neighbour_info *info = user;

	if (nlh->nlmsg_type == RTM_NEWNEIGH)
		(void)parse_neighbour(nlh, info);
	return MNL_CB_OK;
}

static struct ndmsg *put_neighbour(struct nlmsghdr *nlh, uint16_t type,
				   const struct neighbour_key *key)
{
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	nlh->nlmsg_type = type;
	ndm->ndm_family = socket_family(&key->address);
	ndm->ndm_ifindex = (int)key->ifindex;
	put_address(nlh, NDA_DST, &key->address);
	return ndm;
}

int netlink_get_neighbour(struct netlink *nl, const struct neighbour_key *key,
			  struct neighbour_info *ret_info)
{
	struct neighbour_info info = {};
	char buf[REQUEST_BYTES] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int ret;

	put_neighbour(nlh, RTM_GETNEIGH, key);
	ret = netlink_request(nl, nlh, on_neighbour, &info);
	if (ret < 0)
		return ret;
	info.key = *key;
	*ret_info = info;
	return 0;
}

static int use_neighbour(struct netlink *nl, const struct neighbour_key *key, uint32_t flags_ext)
{
	char buf[REQUEST_BYTES] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm = put_neighbour(nlh, RTM_NEWNEIGH, key);

	nlh->nlmsg_flags = NLM_F_CREATE;
	ndm->ndm_flags = NTF_USE;
	if (flags_ext)
		mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, flags_ext);
	return netlink_request(nl, nlh, NULL, NULL);
}

int netlink_manage_neighbour(struct netlink *nl, const struct neighbour_key *key)
{
	int ret = use_neighbour(nl, key, NTF_EXT_MANAGED);

	/* Before Linux 5.16 there are no managed entries: resolve it this once. */
	if (ret == -EINVAL || ret == -EOPNOTSUPP)
		ret = use_neighbour(nl, key, 0);
	return ret;
}

int netlink_delete_neighbour(struct netlink *nl, const struct neighbour_key *key)
{
	char buf[REQUEST_BYTES] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	put_neighbour(nlh, RTM_DELNEIGH, key);
	return netlink_request(nl, nlh, NULL, NULL);
}

/* ---- Events ------------------------------------------------------------------------------ */

struct listener {
	netlink_event_fn heard;
	void *user;
};

static bool parse_event(const struct nlmsghdr *nlh, struct netlink_event *ret_event)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
		ret_event->type = NETLINK_EVENT_LINK;
		return parse_link(nlh, &ret_event->link);
	case RTM_DELLINK:
		ret_event->type = NETLINK_EVENT_LINK_GONE;
		return parse_link(nlh, &ret_event->link);
	case RTM_NEWNEIGH:
		ret_event->type = NETLINK_EVENT_NEIGHBOUR;
		return parse_neighbour(nlh, &ret_event->neighbour);
	case RTM_DELNEIGH:
		ret_event->type = NETLINK_EVENT_NEIGHBOUR_GONE;
		return parse_neighbour(nlh, &ret_event->neighbour);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		ret_event->type = NETLINK_EVENT_ROUTES;
		return true;
	default:
		return false;
	}
}

static int on_event(const struct nlmsghdr *nlh, void *user)
{
	const struct listener *listener = user;
	struct netlink_event event = {};

	if (parse_event(nlh, &event))
		listener->heard(listener->user, &event);
	return MNL_CB_OK;
}

int netlink_read_events(struct netlink *nl, netlink_event_fn heard, void *user)
{
	struct listener listener = {.heard = heard, .user = user};
	char datagram[ANSWER_BYTES];
	ssize_t len;
	int i;

	for (i = 0; i < MONITOR_READS; i++) {
		len = mnl_socket_recvfrom(nl->socket, datagram, sizeof(datagram));
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		/* Multicast carries the sequence number and port of whoever made the change. */
		if (mnl_cb_run(datagram, (size_t)len, 0, 0, on_event, &listener) < 0)
			return -errno;
	}
	return 0;
}
