#include "support/installation.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/unix_path.h"
#include "support/policy.h"

namespace saw::bench {
namespace {

constexpr size_t kChunk = 64u << 10;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

struct Head {
  int status = 0;
  size_t body = 0;
};

// Of an answer of sawd's, which writes a Content-Length with every body.
Result<Head> parse_head(std::string_view head) {
  Head out;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, out.status);
  if (const size_t at = head.find(kLength); at != head.npos)
    std::from_chars(head.data() + at + kLength.size(), head.data() + head.size(), out.body);
  if (out.status == 0) return Error::make("bench.http", "not an HTTP answer");
  return out;
}

}  // namespace

Result<KeptConnection> KeptConnection::open(const std::string& socket_path) {
  Fd socket = SAW_TRY(os::connect_unix(socket_path, os::SocketKind::stream));
  SAW_TRY(set_blocking(socket, Blocking::yes));
  return KeptConnection(std::move(socket));
}

Result<> KeptConnection::receive() {
  const size_t before = received_.size();
  received_.resize(before + kChunk);
  const ssize_t n = ::recv(socket_.get(), received_.data() + before, kChunk, 0);
  received_.resize(before + static_cast<size_t>(n > 0 ? n : 0));
  if (n <= 0) return Error::system("bench.http", "reading an answer of the API");
  return {};
}

Result<std::string> KeptConnection::ask(const std::string& method, const std::string& target,
                                        const std::string& body) {
  SAW_TRY(write_all(socket_, fmt::format("{} {} HTTP/1.1\r\nHost: saw\r\nContent-Type: application/json\r\n"
                                         "Content-Length: {}\r\n\r\n{}",
                                         method, target, body.size(), body)));
  size_t end;
  while ((end = received_.find(kHeadEnd)) == std::string::npos) SAW_TRY(receive());
  const Head head = SAW_TRY(parse_head(std::string_view(received_).substr(0, end)));
  const size_t start = end + kHeadEnd.size();
  while (received_.size() < start + head.body) SAW_TRY(receive());
  std::string out = received_.substr(start, head.body);
  received_.erase(0, start + head.body);
  if (head.status / 100 != 2)
    return Error::make("bench.refused", "{} {}: {} {}", method, target, head.status, out);
  return out;
}

Result<std::unique_ptr<Installation>> Installation::start(const std::string& perimeter) {
  std::error_code error;
  const std::string here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
  std::string name = (std::filesystem::temp_directory_path(error) / "saw-bench-XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr)
    return Error::system("bench.directory", "making a directory for this run");
  ::chmod(name.c_str(), 0755);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
    return Error::system("bench.reaper", "becoming the reaper of SAW's programs");
  std::unique_ptr<Installation> out(new Installation(name, here));
  ::setenv("SAW_DIR", (name + "/state").c_str(), 1);
  ::setenv("SAW_SOCKET", out->socket().c_str(), 1);
  if (!perimeter.empty()) {
    std::filesystem::create_directory(name + "/state", error);
    std::ofstream(name + "/state/perimeter.yaml") << perimeter;
    ::chmod((name + "/state/perimeter.yaml").c_str(), 0644);
  }
  SAW_TRY(spawn_and_wait(out->command({"up"})), "saw up");
  out->connection_ = std::make_unique<KeptConnection>(SAW_TRY(KeptConnection::open(out->socket())));
  return out;
}

Installation::~Installation() {
  connection_.reset();
  static_cast<void>(spawn_and_wait(command({"down"})).has_value());
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Command Installation::command(Command arguments) const {
  arguments.insert(arguments.begin(), programs_ + "/saw");
  return arguments;
}

std::string workspace_spec(const std::string& name, const std::string& policy_yaml) {
  return nlohmann::json{{"name", name}, {"policy_yaml", policy_yaml}, {"profile", "local"}}.dump();
}

std::string workspace_spec(const std::string& name) {
  return workspace_spec(name, kBenchPolicy);
}

}  // namespace saw::bench
