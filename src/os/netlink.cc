#include "os/netlink.h"

#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace saw::os {
namespace {

constexpr int kLoopbackIndex = 1;  // the first interface of every network namespace

// One request with its acknowledgement.
Result<> request(const nlmsghdr& message, const char* what) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return Error::system("netlink.socket", "opening a routing socket");
  if (::send(socket.get(), &message, message.nlmsg_len, 0) < 0)
    return Error::system("netlink.send", "{}", what);
  alignas(nlmsghdr) char buffer[4096];
  ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
  if (n < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(nlmsgerr)))
    return Error::system("netlink.receive", "{}", what);
  nlmsghdr header;
  nlmsgerr answer;
  std::memcpy(&header, buffer, sizeof header);
  std::memcpy(&answer, buffer + sizeof header, sizeof answer);
  if (header.nlmsg_type != NLMSG_ERROR)
    return Error::make("netlink.receive", "{}: an unexpected answer", what);
  if (answer.error != 0) return std::unexpected(Error::from_errno("netlink.refused", -answer.error, what));
  return {};
}

// A local route for every address of one family, to the loopback interface.
Result<> add_local_route(unsigned char family) {
  struct {
    nlmsghdr header;
    rtmsg route;
    rtattr attribute;
    int32_t interface;
  } message{};
  message.header = {.nlmsg_len = sizeof message,
                    .nlmsg_type = RTM_NEWROUTE,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL};
  message.route = {.rtm_family = family,
                   .rtm_table = RT_TABLE_LOCAL,
                   .rtm_protocol = RTPROT_BOOT,
                   .rtm_scope = RT_SCOPE_HOST,
                   .rtm_type = RTN_LOCAL};
  message.attribute = {.rta_len = RTA_LENGTH(sizeof message.interface), .rta_type = RTA_OIF};
  message.interface = kLoopbackIndex;
  return request(message.header,
                 family == AF_INET ? "making every IPv4 address local" : "making every IPv6 address local");
}

}  // namespace

Result<> bring_loopback_up() {
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } message{};
  message.header = {
      .nlmsg_len = sizeof message, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
  message.link = {
      .ifi_family = AF_UNSPEC, .ifi_index = kLoopbackIndex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  return request(message.header, "bringing the loopback interface up");
}

Result<> make_every_address_local() {
  SAW_TRY(add_local_route(AF_INET));
  return add_local_route(AF_INET6);
}

}  // namespace saw::os
