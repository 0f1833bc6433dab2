#include "os/unix_path.h"

#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace saw::os {
namespace {

constexpr int kBacklog = 128;

struct Address {
  Fd directory;  // open as long as the address is used
  std::string name;
  sockaddr_un value{};
};

Result<Address> resolve(const std::string& path) {
  const size_t slash = path.rfind('/');
  Address out;
  out.name = path.substr(slash + 1);
  out.directory =
      SAW_TRY(Fd::open(slash == path.npos ? "." : path.substr(0, slash + 1), O_PATH | O_DIRECTORY));
  const std::string shortened = fmt::format("/proc/self/fd/{}/{}", out.directory.get(), out.name);
  if (shortened.size() >= sizeof out.value.sun_path)
    return Error::make("os.socket", "the socket name '{}' is too long", out.name);
  out.value.sun_family = AF_UNIX;
  std::memcpy(out.value.sun_path, shortened.c_str(), shortened.size() + 1);
  return out;
}

Result<Fd> make_socket(SocketKind kind) {
  Fd fd(::socket(AF_UNIX,
                 (kind == SocketKind::stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                 0));
  if (!fd) return Error::system("os.socket", "making a Unix socket");
  return fd;
}

}  // namespace

Result<Fd> listen_unix(const std::string& path, SocketKind kind, unsigned mode) {
  Address address = SAW_TRY(resolve(path), fmt::format("listening at '{}'", path));
  Fd fd = SAW_TRY(make_socket(kind));
  if (::unlinkat(address.directory.get(), address.name.c_str(), 0) != 0 && errno != ENOENT)
    return Error::system("os.socket", "replacing '{}'", path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.value), sizeof address.value) != 0)
    return Error::system("os.socket", "binding '{}'", path);
  if (::fchmodat(address.directory.get(), address.name.c_str(), mode, 0) != 0)
    return Error::system("os.socket", "setting the mode of '{}'", path);
  if (::listen(fd.get(), kBacklog) != 0) return Error::system("os.socket", "listening at '{}'", path);
  return fd;
}

Result<Fd> connect_unix(const std::string& path, SocketKind kind) {
  Address address = SAW_TRY(resolve(path), fmt::format("connecting to '{}'", path));
  Fd fd = SAW_TRY(make_socket(kind));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.value), sizeof address.value) != 0)
    return Error::system("os.socket", "connecting to '{}'", path);
  return fd;
}

}  // namespace saw::os
