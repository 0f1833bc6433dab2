#include "os/netlink.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "os/netlink_message.h"

namespace saw::os {
namespace {

constexpr int kLoopbackIndex = 1;  // the first interface of every network namespace

constexpr void add_loopback_up(NetlinkRequest& request) {
  request.message(
      {.type = RTM_NEWLINK, .flags = NLM_F_ACK, .action = "bringing the loopback interface up"}, [&] {
        request.fixed(ifinfomsg{
            .ifi_family = AF_UNSPEC, .ifi_index = kLoopbackIndex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP});
      });
}

// `tolerated`: an errno of a route that is not wanted there.
constexpr void add_local_route(NetlinkRequest& request, uint8_t family, const char* action, int tolerated) {
  request.message({.type = RTM_NEWROUTE,
                   .flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                   .action = action,
                   .tolerated = tolerated},
                  [&] {
                    request.fixed(rtmsg{.rtm_family = family,
                                        .rtm_table = RT_TABLE_LOCAL,
                                        .rtm_protocol = RTPROT_BOOT,
                                        .rtm_scope = RT_SCOPE_HOST,
                                        .rtm_type = RTN_LOCAL});
                    request.host_number(RTA_OIF, kLoopbackIndex);
                  });
}

constexpr NetlinkRequest loopback_up() {
  NetlinkRequest request;
  add_loopback_up(request);
  return request;
}

constexpr NetlinkRequest everything_local(Families families) {
  NetlinkRequest request;
  add_loopback_up(request);
  add_local_route(request, AF_INET, "making every IPv4 address local", 0);
  // EACCES is "IPv6 is disabled on nexthop device", and nothing else of a route's
  // (net/ipv6/route.c, ip6_route_info_create).
  if (families == Families::ipv4_and_ipv6)
    add_local_route(request, AF_INET6, "making every IPv6 address local", EACCES);
  return request;
}

}  // namespace

Result<> bring_loopback_up() {
  static constexpr NetlinkRequest kRequest = loopback_up();
  return exchange(NETLINK_ROUTE, kRequest);
}

Result<> make_every_address_local(Families families) {
  static constexpr NetlinkRequest kBoth = everything_local(Families::ipv4_and_ipv6);
  static constexpr NetlinkRequest kIpv4 = everything_local(Families::ipv4_only);
  return exchange(NETLINK_ROUTE, families == Families::ipv4_and_ipv6 ? kBoth : kIpv4);
}

}  // namespace saw::os
