#include "os/channel.h"

#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace saw::os {
namespace {

constexpr size_t kMaxInline = 64u << 10;
constexpr char kInline = 'i', kInMemfd = 'm';
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

Result<Fd> to_memfd(std::string_view payload) {
  Fd file(::memfd_create("saw-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return Error::system("channel.memfd", "creating a message of {} bytes", payload.size());
  SAW_TRY(write_all(file, payload));
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
    return Error::system("channel.memfd", "sealing a message");
  return file;
}

Result<std::string> from_memfd(const Fd& file) {
  struct stat info{};
  int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(file.get(), &info) != 0)
    return Error::make("channel.malformed", "a message descriptor that is not a sealed memfd");
  if (info.st_size < 0 || static_cast<size_t>(info.st_size) > Channel::kMaxMessage)
    return Error::make("channel.malformed", "a message of {} bytes", info.st_size);
  std::string payload(static_cast<size_t>(info.st_size), '\0');
  for (size_t done = 0; done < payload.size();) {
    ssize_t n = ::pread(file.get(), payload.data() + done, payload.size() - done, static_cast<off_t>(done));
    if (n <= 0) return Error::system("channel.malformed", "reading a message");
    done += static_cast<size_t>(n);
  }
  return payload;
}

}  // namespace

Result<std::pair<Channel, Channel>> Channel::pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return Error::system("channel.pair", "creating a socket pair");
  return std::pair{Channel(Fd(ends[0])), Channel(Fd(ends[1]))};
}

Result<Channel> Channel::adopt(Fd socket) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET)
    return Error::make("channel.adopt", "descriptor {} is not a SOCK_SEQPACKET socket", socket.get());
  SAW_TRY(set_blocking(socket, Blocking::no));
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  return Channel(std::move(socket));
}

Result<> Channel::send(std::string_view payload, std::span<const int> fds) const {
  if (payload.size() > kMaxMessage || fds.size() > kMaxDescriptors)
    return Error::make("channel.too_large", "a message of {} bytes and {} descriptors", payload.size(),
                       fds.size());
  std::vector<int> all(fds.begin(), fds.end());
  Fd memfd;
  char kind = kInline;
  if (payload.size() > kMaxInline) {
    memfd = SAW_TRY(to_memfd(payload));
    all.push_back(memfd.get());  // last, so that the receiver knows which one it is
    payload = {};
    kind = kInMemfd;
  }
  iovec parts[] = {{&kind, 1}, {const_cast<char*>(payload.data()), payload.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxDescriptors + 1))] = {};
  msghdr message{.msg_iov = parts, .msg_iovlen = 2};
  if (!all.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * all.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * all.size());
    std::memcpy(CMSG_DATA(header), all.data(), sizeof(int) * all.size());
  }
  ssize_t n;
  do n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return {};
  if (errno == EAGAIN || errno == ENOBUFS)
    return Error::system("channel.full", "sending to a peer that is not reading");
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    return Error::system("channel.closed", "sending");
  return Error::system("channel.send", "sending {} bytes", payload.size());
}

Result<Channel::Received> Channel::receive() const {
  Received out;
  char kind = 0;
  // Most messages are small: nothing is cleared, and no page touched, that they do not fill.
  static thread_local char buffer[kMaxInline];
  iovec parts[] = {{&kind, 1}, {buffer, sizeof buffer}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxDescriptors + 1))] = {};
  msghdr message{.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return out;
  if (n == 0 || (n < 0 && errno == ECONNRESET)) {
    out.state = State::closed;
    return out;
  }
  if (n < 0) return Error::system("channel.receive", "receiving");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int raw;
      std::memcpy(&raw, CMSG_DATA(header) + i * sizeof(int), sizeof raw);
      out.fds.emplace_back(raw);
    }
  }
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
    return Error::make("channel.malformed", "a message that was too long");
  if (kind == kInline) {
    out.payload.assign(buffer, static_cast<size_t>(n) - 1);
  } else if (kind == kInMemfd && n == 1 && !out.fds.empty()) {
    Fd file = std::move(out.fds.back());
    out.fds.pop_back();
    out.payload = SAW_TRY(from_memfd(file));
  } else {
    return Error::make("channel.malformed", "a message of unknown kind {}", static_cast<int>(kind));
  }
  out.state = State::message;
  return out;
}

}  // namespace saw::os
