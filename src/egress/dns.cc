#include "egress/dns.h"

#include <fmt/format.h>

namespace saw::egress {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr uint16_t kResponse = 0x8000, kOpcodeMask = 0x7800, kRecursionDesired = 0x0100,
                   kRecursionAvailable = 0x0080;
constexpr uint16_t kClassIn = 1, kTypeOpt = 41, kEdnsPayload = 1232;

uint16_t read16(std::string_view b, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(b[at]) << 8 |
                               static_cast<unsigned char>(b[at + 1]));
}
void put16(std::string& out, uint16_t v) {
  out.push_back(static_cast<char>(v >> 8));
  out.push_back(static_cast<char>(v & 0xff));
}
void put32(std::string& out, uint32_t v) {
  put16(out, static_cast<uint16_t>(v >> 16));
  put16(out, static_cast<uint16_t>(v & 0xffff));
}

// Lower-cases one octet of a label; 0 for what no host name contains.
char label_char(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c + 32);
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') return c;
  return 0;
}

enum class NameState : uint8_t { ok, bad_character, truncated };

// Reads an uncompressed name at `at`, which moves behind it. Compression cannot occur in a question (nothing
// comes before it).
NameState read_name(std::string_view bytes, size_t& at, std::string& name) {
  NameState state = NameState::ok;
  while (true) {
    if (at >= bytes.size()) return NameState::truncated;
    size_t length = static_cast<unsigned char>(bytes[at++]);
    if (length == 0) return state;
    if (length > kMaxLabelBytes || length > bytes.size() - at) return NameState::truncated;
    if (name.size() + length + (name.empty() ? 0 : 1) > kMaxNameBytes) return NameState::truncated;
    if (!name.empty()) name.push_back('.');
    for (char c : bytes.substr(at, length)) {
      char l = label_char(c);
      if (l == 0) state = NameState::bad_character;
      name.push_back(l == 0 ? '?' : l);
    }
    at += length;
  }
}

DnsQuery refuse(DnsQuery query, DnsCode code) {
  query.state = DnsQuery::State::refused;
  query.code = code;
  return query;
}

std::string header(const DnsQuery& query, DnsCode code, uint16_t answers) {
  std::string out;
  put16(out, query.id);
  put16(out, static_cast<uint16_t>(kResponse | (query.flags & (kOpcodeMask | kRecursionDesired)) |
                                   kRecursionAvailable | static_cast<uint16_t>(code)));
  put16(out, query.question.empty() ? 0 : 1);
  put16(out, answers);
  put16(out, 0);
  put16(out, query.edns ? 1 : 0);
  out += query.question;
  return out;
}

void put_edns(std::string& out, const DnsQuery& query) {
  if (!query.edns) return;
  out.push_back('\0');
  put16(out, kTypeOpt);
  put16(out, kEdnsPayload);
  put32(out, 0);
  put16(out, 0);
}

}  // namespace

DnsQuery parse_query(std::string_view bytes) {
  DnsQuery query;
  if (bytes.size() < kHeaderBytes || bytes.size() > kMaxQueryBytes) return query;
  query.id = read16(bytes, 0);
  query.flags = read16(bytes, 2);
  if (query.flags & kResponse) return query;
  if (query.flags & kOpcodeMask) return refuse(std::move(query), DnsCode::not_implemented);
  const uint16_t questions = read16(bytes, 4), answers = read16(bytes, 6), authorities = read16(bytes, 8),
                 additionals = read16(bytes, 10);
  if (questions != 1 || answers != 0 || authorities != 0 || additionals > 1)
    return refuse(std::move(query), DnsCode::format_error);

  size_t at = kHeaderBytes;
  NameState name = read_name(bytes, at, query.name);
  if (name == NameState::truncated || bytes.size() - at < 4)
    return refuse(std::move(query), DnsCode::format_error);
  query.type = read16(bytes, at);
  const uint16_t asked_class = read16(bytes, at + 2);
  at += 4;
  query.question = bytes.substr(kHeaderBytes, at - kHeaderBytes);
  if (additionals == 1) {  // OPT: root name, type, class, ttl, length
    if (bytes.size() - at < 11 || bytes[at] != 0 || read16(bytes, at + 1) != kTypeOpt)
      return refuse(std::move(query), DnsCode::format_error);
    query.edns = true;
  }
  if (asked_class != kClassIn) return refuse(std::move(query), DnsCode::refused);
  if (name == NameState::bad_character) return refuse(std::move(query), DnsCode::no_such_name);
  query.state = DnsQuery::State::question;
  return query;
}

std::string answer_address(const DnsQuery& query, std::array<uint8_t, 4> address, uint32_t ttl_seconds) {
  constexpr uint16_t kNameOfQuestion = 0xc000 | kHeaderBytes;
  std::string out = header(query, DnsCode::no_error, 1);
  put16(out, kNameOfQuestion);
  put16(out, kTypeA);
  put16(out, kClassIn);
  put32(out, ttl_seconds);
  put16(out, static_cast<uint16_t>(address.size()));
  for (uint8_t byte : address) out.push_back(static_cast<char>(byte));
  put_edns(out, query);
  return out;
}

std::string answer_nothing(const DnsQuery& query, DnsCode code) {
  std::string out = header(query, code, 0);
  put_edns(out, query);
  return out;
}

std::string type_text(uint16_t type) {
  switch (type) {
    case kTypeA:
      return "A";
    case kTypeAaaa:
      return "AAAA";
    case 15:
      return "MX";
    case 16:
      return "TXT";
    case 33:
      return "SRV";
    case 65:
      return "HTTPS";
    default:
      return fmt::format("TYPE{}", type);
  }
}

}  // namespace saw::egress
