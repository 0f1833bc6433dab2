#include "policy/git.h"

#include <algorithm>
#include <charconv>

namespace saw::policy {
namespace {

using Outcome = std::expected<GitRequest, std::string_view>;

Outcome make(GitRequest::Kind kind, std::string_view path, std::string_view operation) {
  path.remove_suffix(operation.size());
  path.remove_prefix(std::min<size_t>(path.size(), 1));
  if (path.ends_with(".git")) path.remove_suffix(4);
  if (path.empty() || path.ends_with('/')) return std::unexpected("git-unknown-operation");
  return GitRequest{kind, path};
}

bool object_id(std::string_view s) {
  constexpr size_t kSha1 = 40, kSha256 = 64;
  return (s.size() == kSha1 || s.size() == kSha256) &&
         std::ranges::all_of(s, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// "push-options" among the capabilities: side effects that no rule could name.
bool asks_for_push_options(std::string_view capabilities) {
  for (size_t begin = 0; begin < capabilities.size();) {
    const size_t end = std::min(capabilities.find(' ', begin), capabilities.size());
    std::string_view word = capabilities.substr(begin, end - begin);
    if (word.ends_with('\n')) word.remove_suffix(1);
    if (word == "push-options") return true;
    begin = end + 1;
  }
  return false;
}

bool valid_ref_component(std::string_view s) {
  return !s.empty() && s.front() != '.' && !s.ends_with('.') && !s.ends_with(".lock");
}

}  // namespace

Outcome GitRequest::classify(std::string_view method, std::string_view path, std::string_view query) {
  constexpr std::string_view kDiscovery = "/info/refs", kUpload = "/git-upload-pack",
                             kReceive = "/git-receive-pack";
  if (path.ends_with(kDiscovery)) {
    if (method != "GET") return std::unexpected("git-unknown-operation");
    if (query.empty()) return std::unexpected("git-dumb-protocol");
    if (query == "service=git-upload-pack") return make(Kind::fetch, path, kDiscovery);
    if (query == "service=git-receive-pack") return make(Kind::push_discovery, path, kDiscovery);
    return std::unexpected("malformed:git-service");
  }
  const bool upload = path.ends_with(kUpload);
  if (!upload && !path.ends_with(kReceive)) return std::unexpected("git-unknown-operation");
  if (method != "POST") return std::unexpected("git-unknown-operation");
  if (!query.empty()) return std::unexpected("malformed:git-service");
  return upload ? make(Kind::fetch, path, kUpload) : make(Kind::push, path, kReceive);
}

// The payload of the next pkt-line; empty for a flush-pkt.
std::expected<std::string_view, std::string_view> PushCommands::packet() {
  constexpr size_t kHeader = 4, kMaxPacket = 65520;
  if (rest_.size() < kHeader) return std::unexpected("malformed:git-truncated");
  const std::string_view digits = rest_.substr(0, kHeader);
  size_t length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + kHeader, length, 16);
  if (error != std::errc() || end != digits.data() + kHeader)
    return std::unexpected("malformed:git-pkt-line");
  if (length == 0) {
    rest_.remove_prefix(kHeader);
    return std::string_view();
  }
  // 1 to 3 are protocol v2's separators; 4 is an empty packet, which means nothing here.
  if (length <= kHeader || length > kMaxPacket) return std::unexpected("malformed:git-pkt-line");
  bytes_ += length;
  if (bytes_ > kMaxCommandBytes) return std::unexpected("malformed:git-oversized");
  if (rest_.size() < length) return std::unexpected("malformed:git-truncated");
  const std::string_view payload = rest_.substr(kHeader, length - kHeader);
  rest_.remove_prefix(length);
  return payload;
}

std::optional<std::expected<PushCommands::Command, std::string_view>> PushCommands::next() {
  constexpr std::string_view kShallow = "shallow ";
  std::string_view line = kShallow;
  while (line.starts_with(kShallow)) {  // a shallow clone first says where its history ends
    if (ended_) return {};
    auto payload = packet();
    if (!payload) return std::unexpected(payload.error());
    line = *payload;
    ended_ = line.empty();
  }
  if (ended_) return {};
  if (line.starts_with("push-cert")) return std::unexpected("git-push-cert");
  if (++count_ > kMaxCommands) return std::unexpected("malformed:git-oversized");
  const size_t nul = line.find('\0');
  if (nul != std::string_view::npos) {
    if (count_ != 1) return std::unexpected("malformed:git-command");
    if (asks_for_push_options(line.substr(nul + 1))) return std::unexpected("git-push-options");
    line = line.substr(0, nul);
  } else if (line.ends_with('\n')) {
    line.remove_suffix(1);
  }
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || !object_id(line.substr(0, first)) ||
      !object_id(line.substr(first + 1, second - first - 1)))
    return std::unexpected("malformed:git-command");
  const std::string_view ref = line.substr(second + 1);
  if (!valid_ref(ref)) return std::unexpected("malformed:git-ref");
  return Command{ref};
}

bool valid_ref(std::string_view ref) {
  constexpr size_t kMaxRef = 1024;
  if (!ref.starts_with("refs/") || ref.size() > kMaxRef || ref.find("..") != std::string_view::npos ||
      ref.find("@{") != std::string_view::npos)
    return false;
  constexpr std::string_view kForbidden = " ~^:?*[\\";
  if (std::ranges::any_of(ref, [&](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
               kForbidden.find(c) != std::string_view::npos;
      }))
    return false;
  for (size_t begin = 0; begin <= ref.size();) {
    const size_t end = std::min(ref.find('/', begin), ref.size());
    if (!valid_ref_component(ref.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace saw::policy
