// The few bytes of DNS (RFC 1035, RFC 6891) that saw-perimeter speaks: one question out, the addresses of one
// answer in.
//
//   auto query = encode_query({.id = 7, .name = "api.example.com", .type = RecordType::a});
//   auto answer = decode_answer(datagram, question);       // nullopt: not an answer to this question, keep
//   waiting
//
// Decoding is total. Only addresses that belong to the name asked, directly or through at most kMaxAliases
// CNAMEs in the same answer, are believed. A truncated answer counts as far as its complete records go. Names
// are lower-case and absolute.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"

namespace saw::egress {

enum class RecordType : uint16_t { a = 1, aaaa = 28 };

struct DnsQuestion {
  uint16_t id = 0;
  std::string name;
  RecordType type = RecordType::a;
};

struct DnsReply {
  enum class Outcome { answered, no_such_name, failed } outcome = Outcome::failed;
  std::vector<policy::Address>
      addresses;  // at most kMaxAddresses; may be empty when answered (no record of this type)
};

constexpr size_t kMaxAddresses = 32;
constexpr int kMaxAliases = 8;
constexpr size_t kMaxDatagram =
    1232;  // what we advertise: fits an unfragmented packet everywhere (DNS flag day 2020)

// nullopt: `name` does not fit in a DNS message.
std::optional<std::string> encode_query(const DnsQuestion& question);
std::optional<DnsReply> decode_answer(std::string_view datagram, const DnsQuestion& question);

}  // namespace saw::egress
