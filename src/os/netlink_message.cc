#include "os/netlink_message.h"

#include <algorithm>
#include <cstring>

#include <sys/socket.h>

#include "base/fd.h"

namespace saw::os {
namespace {

// The longest answer is a refusal, which repeats the message that was refused.
constexpr size_t kMaxAnswer = NetlinkRequest::kMaxBytes + 256;
// Datagrams read before giving up: one per message, one for the whole, and some of someone else's.
constexpr size_t kMaxAnswers = 2 * NetlinkRequest::kMaxMessages;

// Which messages still await an answer, by sequence number.
class Awaited {
 public:
  explicit Awaited(const NetlinkRequest& request) : messages_(request.messages()) {
    for (const auto& message : messages_) missing_ += waits(message);
  }
  bool done() const { return missing_ == 0; }

  Result<> answer(uint32_t sequence, int error) {
    if (sequence < 1 || sequence > messages_.size()) return {};
    const NetlinkRequest::Message& message = messages_[sequence - 1];
    if (error != 0 && error != message.tolerated)
      return std::unexpected(Error::from_errno("netlink.refused", error, message.action));
    if (!waits(message) || answered_[sequence - 1]) return {};
    answered_[sequence - 1] = true;
    --missing_;
    return {};
  }

 private:
  static bool waits(const NetlinkRequest::Message& message) { return (message.flags & NLM_F_ACK) != 0; }

  std::span<const NetlinkRequest::Message> messages_;
  std::array<bool, NetlinkRequest::kMaxMessages> answered_{};
  size_t missing_ = 0;
};

Result<> take_answers(std::string_view datagram, Awaited& awaited) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size())
      return Error::make("netlink.unanswered", "the kernel's netlink answer is malformed");
    if (header.nlmsg_type == NLMSG_ERROR && header.nlmsg_len >= sizeof header + sizeof(int)) {
      int error;
      std::memcpy(&error, datagram.data() + sizeof header, sizeof error);
      SAW_TRY(awaited.answer(header.nlmsg_seq, -error));
    }
    datagram.remove_prefix(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
  }
  return {};
}

// One datagram of the kernel's into `buffer`; empty: someone else's, to be ignored.
Result<std::string_view> receive(const Fd& socket, std::span<char> buffer) {
  sockaddr_nl from{};
  socklen_t length = sizeof from;
  const ssize_t n = ::recvfrom(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                               reinterpret_cast<sockaddr*>(&from), &length);
  if (n < 0) return Error::system("netlink.unanswered", "waiting for the kernel to acknowledge a request");
  return std::string_view(buffer.data(), from.nl_pid == 0 ? static_cast<size_t>(n) : 0);
}

}  // namespace

Result<> exchange(int protocol, const NetlinkRequest& request) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket) return Error::system("netlink.socket", "opening a netlink socket of protocol {}", protocol);
  const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  const std::string_view bytes = request.view();
  if (::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) != static_cast<ssize_t>(bytes.size()))
    return Error::system("netlink.send", "sending {} netlink messages", request.messages().size());
  Awaited awaited(request);
  alignas(nlmsghdr) std::array<char, kMaxAnswer> buffer;
  for (size_t i = 0; i < kMaxAnswers && !awaited.done(); ++i) {
    const std::string_view datagram = SAW_TRY(receive(socket, buffer));
    SAW_TRY(take_answers(datagram, awaited));
  }
  if (!awaited.done())
    return Error::make("netlink.unanswered", "the kernel did not acknowledge every netlink message");
  return {};
}

}  // namespace saw::os
