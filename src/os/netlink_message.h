// Requests to the kernel over netlink, made at compile time, and one exchange that checks every answer.
//
//   constexpr NetlinkRequest kUp = [] {
//     NetlinkRequest r;
//     r.message({.type = RTM_NEWLINK, .flags = NLM_F_ACK, .action = "bringing the loopback interface up"},
//               [&] { r.fixed(ifinfomsg{.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}); });
//     return r;
//   }();
//   SAW_TRY(exchange(NETLINK_ROUTE, kUp));
//
// All messages go out in one send, numbered from 1. The kernel handles a netlink request within the send, so
// that every answer is there when it returns: nothing here waits. Success means that each message with
// NLM_F_ACK was acknowledged and none was refused. A request that outgrows the bounds does not compile (or
// aborts, when it is made at run time). Formats: linux/netlink.h, Documentation/userspace-api/netlink/intro.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

#include <linux/netlink.h>

#include "base/result.h"

namespace saw::os {

class NetlinkRequest {
 public:
  static constexpr size_t kMaxBytes = 4096, kMaxMessages = 16;

  struct Message {
    uint16_t type = 0, flags = 0;  // NLM_F_REQUEST is added
    const char* action = "";       // names the message in an error: "creating the chain …"
    int tolerated = 0;             // a refusal with this errno is as good as an acknowledgement
  };

  // `body` fills it.
  template <class Body> constexpr void message(const Message& what, Body body) {
    SAW_CHECK(count_ < kMaxMessages, "too many netlink messages");
    messages_[count_] = what;
    const size_t start = size_;
    fixed(nlmsghdr{.nlmsg_len = 0,
                   .nlmsg_type = what.type,
                   .nlmsg_flags = static_cast<uint16_t>(what.flags | NLM_F_REQUEST),
                   .nlmsg_seq = static_cast<uint32_t>(++count_),
                   .nlmsg_pid = 0});
    body();
    overwrite(start, static_cast<uint32_t>(size_ - start));
    align();
  }

  // A structure of the protocol's, as it lies in memory: headers of subsystems, and what follows attributes.
  template <class T> constexpr void fixed(const T& value) {
    for (char c : std::bit_cast<std::array<char, sizeof(T)>>(value)) put(c);
    align();
  }

  // An attribute of `data`.
  constexpr void bytes(uint16_t type, std::string_view data) {
    open_attribute(type, data.size());
    for (char c : data) put(c);
    align();
  }
  // With the zero that ends it.
  constexpr void text(uint16_t type, std::string_view value) {
    open_attribute(type, value.size() + 1);
    for (char c : value) put(c);
    put('\0');
    align();
  }
  // A number in the machine's byte order, or (nf_tables' own numbers) in network order.
  constexpr void host_number(uint16_t type, uint32_t value) {
    open_attribute(type, sizeof value);
    fixed(value);
  }
  constexpr void net_number(uint16_t type, uint32_t value) {
    host_number(type, std::endian::native == std::endian::little ? std::byteswap(value) : value);
  }
  // An attribute that holds what `body` adds.
  template <class Body> constexpr void nested(uint16_t type, Body body) {
    const size_t start = size_;
    open_attribute(type | NLA_F_NESTED, 0);
    body();
    const auto length = std::bit_cast<std::array<char, 2>>(static_cast<uint16_t>(size_ - start));
    bytes_[start] = length[0];
    bytes_[start + 1] = length[1];
  }

  constexpr std::string_view view() const { return {bytes_.data(), size_}; }
  // In the order of their sequence numbers, which begin at 1.
  constexpr std::span<const Message> messages() const { return {messages_.data(), count_}; }

 private:
  constexpr void put(char c) {
    SAW_CHECK(size_ < kMaxBytes, "a netlink request of more than {} bytes", kMaxBytes);
    bytes_[size_++] = c;
  }
  constexpr void align() {
    while (size_ % NLMSG_ALIGNTO != 0) put('\0');
  }
  constexpr void open_attribute(uint16_t type, size_t data) {
    fixed(nlattr{.nla_len = static_cast<uint16_t>(sizeof(nlattr) + data), .nla_type = type});
  }
  constexpr void overwrite(size_t at, uint32_t value) {
    for (char c : std::bit_cast<std::array<char, sizeof value>>(value)) bytes_[at++] = c;
  }

  std::array<char, kMaxBytes> bytes_{};
  std::array<Message, kMaxMessages> messages_{};
  size_t size_ = 0, count_ = 0;
};

// Sends `request` to the kernel in the calling thread's network namespace. Errors: "netlink.socket" (this
// kernel has no such protocol), "netlink.send", "netlink.refused" with the kernel's errno and the action of
// the first message refused, "netlink.unanswered".
Result<> exchange(int protocol, const NetlinkRequest& request);

}  // namespace saw::os
