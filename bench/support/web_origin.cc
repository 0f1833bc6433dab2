#include "support/web_origin.h"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "support/peers.h"

namespace saw::bench {
namespace {

constexpr int kStartTries = 200, kStartPauseMs = 20;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

Result<uint16_t> free_port() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return Error::system("bench.port", "finding a free port");
  return ntohs(address.sin_port);
}

Result<> wait_for(uint16_t port) {
  const sockaddr_in address = loopback(port);
  for (int i = 0; i < kStartTries; ++i) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
    ::poll(nullptr, 0, kStartPauseMs);
  }
  return Error::make("bench.nginx", "nginx does not listen; see its error.log");
}

}  // namespace

Result<std::unique_ptr<WebOrigin>> WebOrigin::start(const std::vector<std::string>& hosts) {
  std::error_code error;
  std::string name = (std::filesystem::temp_directory_path(error) / "saw-bench-web-XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr)
    return Error::system("bench.directory", "making a directory for nginx");
  ::chmod(name.c_str(), 0755);
  std::unique_ptr<WebOrigin> out(new WebOrigin(name));
  SAW_TRY(out->make_files(hosts));
  for (uint16_t& port : out->ports_) port = SAW_TRY(free_port());
  SAW_TRY(out->start_nginx("origin", out->origin_settings(), 0));
  SAW_TRY(out->start_nginx("proxy", out->proxy_settings(hosts.front()), 1));
  for (const uint16_t port : out->ports_) SAW_TRY(wait_for(port));
  return out;
}

WebOrigin::~WebOrigin() {
  for (const int32_t pid : pids_)
    if (pid > 0 && ::kill(pid, SIGTERM) == 0) ::waitpid(pid, nullptr, 0);
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Result<> WebOrigin::make_files(const std::vector<std::string>& hosts) {
  SAW_TRY(spawn_and_wait({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                          "-nodes", "-keyout", directory_ + "/key.pem", "-out", certificate(), "-days", "2",
                          "-subj", "/CN=" + hosts.front(), "-addext",
                          fmt::format("subjectAltName=DNS:{}", fmt::join(hosts, ",DNS:"))}),
          "making the origin's certificate");
  std::ofstream(directory_ + "/big") << std::string(kBigBytes, 'x');
  ::chmod((directory_ + "/big").c_str(), 0644);
  return {};
}

Result<> WebOrigin::start_nginx(const std::string& name, const std::string& http, size_t slot) {
  const std::string below = directory_ + "/" + name;
  std::string temporary;
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    temporary += fmt::format("{}_temp_path {}-{};\n", kind, below, kind);
  std::ofstream(below + ".conf") << fmt::format(
      "daemon off; worker_processes 1; pid {0}.pid; error_log {0}.log;\n{1}"
      "events {{ worker_connections 8192; }}\n"
      "http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout "
      "600s;\n"
      "ssl_certificate {2}; ssl_certificate_key {3}/key.pem; ssl_session_tickets off;\n{4}{5} }}\n",
      below, ::geteuid() == 0 ? "user root;\n" : "", certificate(), directory_, temporary, http);
  pids_[slot] = SAW_TRY(spawn({"nginx", "-e", below + ".log", "-p", directory_, "-c", below + ".conf"}));
  return {};
}

std::string WebOrigin::origin_settings() const {
  return fmt::format(
      "server {{ listen 127.0.0.1:{}; listen 127.0.0.1:{} ssl; location / {{ return 200 \"{}\"; }}\n"
      "location = /big {{ root {}; }} }}\n",
      port(Door::origin_plain), port(Door::origin_tls), std::string(1024, 'x'), directory_);
}

std::string WebOrigin::proxy_settings(const std::string& host) const {
  std::string out =
      "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $http_host;\n";
  out += fmt::format(
      "proxy_ssl_server_name on; proxy_ssl_name {}; proxy_ssl_verify on; "
      "proxy_ssl_trusted_certificate {};\n",
      host, certificate());
  for (const auto& [scheme, listen, to, tls] :
       {std::tuple{"http", port(Door::proxy_plain), port(Door::origin_plain), ""},
        std::tuple{"https", port(Door::proxy_tls), port(Door::origin_tls), " ssl"}})
    out += fmt::format(
        "upstream {0}_origin {{ server 127.0.0.1:{2}; keepalive 64; keepalive_requests 1000000000; }}\n"
        "server {{ listen 127.0.0.1:{1}{3}; location / {{ proxy_pass {0}://{0}_origin; }} }}\n",
        scheme, listen, to, tls);
  return out;
}

}  // namespace saw::bench
