#include "egress/http1_message.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace saw::egress {
namespace {

constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection", "keep-alive",        "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer",    "transfer-encoding", "upgrade"};

constexpr std::array<std::string_view, 3> kDroppedForAsking = {"accept", "if-none-match",
                                                               "if-modified-since"};
constexpr std::array<std::string_view, 3> kDroppedForReading = {"accept-encoding", "range", "if-range"};

std::string_view standard_reason(uint16_t status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Refused";
  }
}

void add(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string status_line(uint16_t status, std::string_view reason) {
  return fmt::format("HTTP/1.1 {} {}\r\n", status, reason);
}

bool is_framing(std::string_view name) {
  return same_token(name, "content-length") || same_token(name, "transfer-encoding");
}

std::string framing_fields(BodyPlan body, Persistence persistence) {
  std::string out;
  if (body.framing == Framing::length) add(out, "Content-Length", fmt::to_string(body.length));
  if (body.framing == Framing::chunked) add(out, "Transfer-Encoding", "chunked");
  if (persistence == Persistence::close) add(out, "Connection", "close");
  return out;
}

bool is_hop_by_hop(std::string_view name, const Fields& fields) {
  for (std::string_view hop : kHopByHop)
    if (same_token(name, hop)) return true;
  return list_contains(fields, "connection", name);
}

bool may_be_taken_for(std::string_view name, std::string_view other) {
  return std::ranges::equal(name, other, [](char x, char y) {
    auto plain = [](char c) { return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return plain(x) == plain(y);
  });
}

Denial unrecordable() {
  return {.status = 503,
          .code = "audit.unavailable",
          .reason = "what cannot be recorded is not admitted",
          .layer = "runtime",
          .rule = {},
          .ask = {},
          .review = {}};
}

std::string denial_response(const Denial& denial, std::string_view request_method, Persistence persistence) {
  nlohmann::ordered_json error = {{"code", denial.code},
                                  {"reason", denial.reason},
                                  {"layer", denial.layer},
                                  {"rule", denial.rule},
                                  {"ask", denial.ask}};
  if (!denial.review.empty()) error["review"] = denial.review;
  // Bytes of the agent's own choosing may be in the reason: whatever is not UTF-8 is replaced, never thrown
  // about.
  std::string body =
      nlohmann::ordered_json{{"error", error}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) +
      "\n";
  std::string out = status_line(denial.status, standard_reason(denial.status));
  add(out, "Content-Type", "application/json");
  add(out, "Saw-Denied", denial.code);
  add(out, "Cache-Control", "no-store");
  if (denial.retry_after_s > 0) add(out, "Retry-After", fmt::to_string(denial.retry_after_s));
  out += framing_fields({Framing::length, body.size()}, persistence) + "\r\n";
  return request_method == "HEAD" ? out : out + body;
}

std::string upstream_head(const UpstreamRequest& request, const Fields& fields) {
  const bool credential = !request.credential_header.empty();
  const bool websocket = request.upgrade == UpstreamRequest::Upgrade::websocket;
  const bool readable = credential || request.answer == UpstreamRequest::Answer::readable;
  std::string out = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  add(out, "Host", request.authority);
  for (const Field& f : fields) {
    if (is_hop_by_hop(f.name, fields) || is_framing(f.name) || same_token(f.name, "host") ||
        same_token(f.name, "expect"))
      continue;
    auto is = [&](std::string_view name) { return may_be_taken_for(f.name, name); };
    if (credential && (is(request.credential_header) || is("authorization"))) continue;
    if (readable && std::ranges::any_of(kDroppedForReading, is)) continue;
    if (!request.accept.empty() && std::ranges::any_of(kDroppedForAsking, is)) continue;
    if (websocket && is("sec-websocket-extensions")) continue;
    add(out, f.name, f.value);
  }
  if (credential) add(out, request.credential_header, request.credential_value);
  if (readable) add(out, "Accept-Encoding", "identity");
  if (!request.accept.empty()) add(out, "Accept", request.accept);
  if (websocket) {
    add(out, "Connection", "Upgrade");
    add(out, "Upgrade", "websocket");
  }
  // A method that usually has a body says so even when it is empty (RFC 9110 §8.6).
  if (request.body.framing == Framing::none &&
      (request.method == "POST" || request.method == "PUT" || request.method == "PATCH"))
    add(out, "Content-Length", "0");
  return out + framing_fields(request.body, Persistence::keep_alive) + "\r\n";
}

}  // namespace saw::egress
