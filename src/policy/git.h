// git's smart HTTP protocol, as far as deciding needs it: which operation on which repository, and which refs
// a push would change.
//
//   auto request = GitRequest::classify("GET", "/team/app.git/info/refs", "service=git-receive-pack");   //
//   push_discovery of "team/app" PushCommands commands(body); while (auto command = commands.next()) { if
//   (!*command) return command->error(); judge((*command)->ref); }
//
// Source: git's Documentation/gitprotocol-http.txt and gitprotocol-pack.txt ("Reference Update Request").
// Commands are parsed only up to their flush-pkt; the pack behind it is not looked at, so `body` may be a
// prefix that reaches that far.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "policy/policy.h"

namespace saw::policy {

struct GitRequest {
  enum class Kind : uint8_t { fetch, push_discovery, push } kind = Kind::fetch;
  std::string_view
      repository;  // the path before the operation, without the leading '/' and one trailing ".git"

  // On a canonical path and query. The error is a reason code: "git-dumb-protocol", "git-unknown-operation",
  // "malformed:git-…".
  static std::expected<GitRequest, std::string_view> classify(std::string_view method, std::string_view path,
                                                              std::string_view query);
};

class PushCommands {
 public:
  static constexpr size_t kMaxCommands = 1000, kMaxCommandBytes = 256u << 10;
  struct Command {
    std::string_view ref;
  };

  explicit PushCommands(std::string_view body) : rest_(body) {}
  // The next command; nullopt after the flush-pkt. Reasons: "malformed:git-truncated",
  // "malformed:git-pkt-line", "malformed:git-command", "malformed:git-ref", "malformed:git-oversized",
  // "git-push-cert", "git-push-options".
  std::optional<std::expected<Command, std::string_view>> next();
  // A body of one flush-pkt and nothing else: git's own probe of whether it may push.
  bool probe() const { return ended_ && count_ == 0 && rest_.empty(); }

 private:
  std::expected<std::string_view, std::string_view> packet();

  std::string_view rest_;
  size_t count_ = 0, bytes_ = 0;
  bool ended_ = false;
};

// "refs/…" by the rules of git-check-ref-format(1).
bool valid_ref(std::string_view ref);

}  // namespace saw::policy
