// The part of DNS (RFC 1035) that answers a sandbox's questions. Nothing is ever asked upstream: names get
// synthetic addresses.
//
//   DnsQuery q = parse_query(datagram);
//   if (q.state == DnsQuery::State::question && q.type == kTypeA) reply = answer_address(q, {198, 18, 0, 7},
//   5); else if (q.state == DnsQuery::State::question) reply = answer_nothing(q, DnsCode::no_error); else if
//   (q.state == DnsQuery::State::refused) reply = answer_nothing(q, q.code);        // not_dns: no answer at
//   all
//
// A query is one question of class IN, at most kMaxQueryBytes, without compression. Names become lower case;
// a label with anything but letters, digits, '-' and '_' makes the query refused. EDNS (RFC 6891) is accepted
// and answered. Total on any bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace saw::egress {

constexpr size_t kMaxQueryBytes = 1232, kMaxNameBytes = 253, kMaxLabelBytes = 63;
constexpr uint16_t kTypeA = 1, kTypeAaaa = 28;

enum class DnsCode : uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5
};

struct DnsQuery {
  enum class State : uint8_t { not_dns, refused, question } state = State::not_dns;
  DnsCode code = DnsCode::no_error;  // with State::refused
  uint16_t id = 0, type = 0;
  uint16_t flags = 0;  // as they came
  bool edns = false;
  std::string name;      // lower case, without the final dot; "" is the root
  std::string question;  // the question's own bytes, echoed in the answer
};

DnsQuery parse_query(std::string_view bytes);
std::string answer_address(const DnsQuery& query, std::array<uint8_t, 4> address, uint32_t ttl_seconds);
std::string answer_nothing(const DnsQuery& query, DnsCode code);
// "A", "AAAA", "TYPE65": for events.
std::string type_text(uint16_t type);

}  // namespace saw::egress
