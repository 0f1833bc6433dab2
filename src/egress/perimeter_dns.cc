#include "egress/perimeter_dns.h"

#include <algorithm>

namespace saw::egress {
namespace {

constexpr size_t kMaxName = 255, kMaxLabel = 63;
constexpr int kMaxPointers = 16;
constexpr uint16_t kClassInternet = 1, kTypeCname = 5, kTypeOpt = 41;
constexpr uint16_t kFlagResponse = 0x8000, kFlagRecursionDesired = 0x0100, kMaskCode = 0x000f;
constexpr uint16_t kCodeNoError = 0, kCodeNoSuchName = 3;

void put16(std::string& out, uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value & 0xff));
}

bool put_name(std::string& out, std::string_view name) {
  if (name.empty() || name.size() > kMaxName - 2) return false;
  while (!name.empty()) {
    size_t end = std::min(name.find('.'), name.size());
    if (end == 0 || end > kMaxLabel) return false;
    out.push_back(static_cast<char>(end));
    out += name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  out.push_back(0);
  return true;
}

// A cursor over one message; after a failed read, ok() is false and everything reads as zero.
class Cursor {
 public:
  explicit Cursor(std::string_view message) : message_(message) {}
  bool ok() const { return ok_; }

  uint8_t u8() {
    if (!ok_ || at_ >= message_.size()) return ok_ = false, 0;
    return static_cast<uint8_t>(message_[at_++]);
  }
  uint16_t u16() {
    uint16_t high = u8();
    return static_cast<uint16_t>(high << 8 | u8());
  }
  std::string_view bytes(size_t count) {
    if (!ok_ || count > message_.size() - at_) return ok_ = false, std::string_view{};
    at_ += count;
    return message_.substr(at_ - count, count);
  }

  // A name in lower case without its final dot. Pointers (RFC 1035 §4.1.4) lead strictly backwards, so
  // reading ends.
  std::string name() {
    std::string out;
    size_t here = at_, before = at_;
    int pointers = 0;
    bool jumped = false;
    for (;;) {
      if (here >= message_.size()) return fail();
      const auto length = static_cast<uint8_t>(message_[here]);
      if ((length & 0xc0) == 0xc0) {
        if (here + 1 >= message_.size() || ++pointers > kMaxPointers) return fail();
        const size_t target = (length & 0x3fu) << 8 | static_cast<uint8_t>(message_[here + 1]);
        if (!jumped) at_ = here + 2;
        jumped = true;
        if (target >= before) return fail();
        before = here = target;
        continue;
      }
      if (length > kMaxLabel || here + 1 + length > message_.size()) return fail();
      if (length == 0) {
        if (!jumped) at_ = here + 1;
        return out;
      }
      if (!out.empty()) out.push_back('.');
      for (char c : message_.substr(here + 1, length)) {
        if (c == '.') return fail();  // a dot inside a label would make two names look like one
        out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c);
      }
      if (out.size() > kMaxName) return fail();
      here += 1 + length;
    }
  }
  // Reads a name that lies inside a record's data, which starts `length` bytes before the cursor's position.
  std::string name_back(size_t length) {
    const size_t after = at_;
    at_ -= length;
    std::string out = name();
    if (at_ != after) return fail();
    return out;
  }

 private:
  std::string fail() { return ok_ = false, std::string{}; }

  std::string_view message_;
  size_t at_ = 0;
  bool ok_ = true;
};

struct Record {
  std::string owner;
  uint16_t type = 0;
  std::string alias;          // CNAME
  policy::Address address{};  // A, AAAA
};

policy::Address to_address(std::string_view data) {
  policy::Address address{};
  if (data.size() == 4) address[10] = address[11] = 0xff;
  std::ranges::copy(data, reinterpret_cast<char*>(address.data()) + (address.size() - data.size()));
  return address;
}

// The next record; nullopt when the message ends or lies.
std::optional<Record> read_record(Cursor& in) {
  constexpr size_t kTimeToLive = 4;
  Record record{.owner = in.name(), .type = in.u16()};
  const uint16_t record_class = in.u16();
  in.bytes(kTimeToLive);
  const uint16_t length = in.u16();
  std::string_view data = in.bytes(length);
  if (!in.ok()) return std::nullopt;
  if (record_class != kClassInternet) record.type = 0;
  const size_t expected = record.type == static_cast<uint16_t>(RecordType::a)      ? 4
                          : record.type == static_cast<uint16_t>(RecordType::aaaa) ? 16
                                                                                   : data.size();
  if (data.size() != expected) return std::nullopt;
  if (record.type == kTypeCname)
    record.alias = in.name_back(length);
  else if (expected == 4 || expected == 16)
    record.address = to_address(data);
  if (!in.ok()) return std::nullopt;
  return record;
}

}  // namespace

std::optional<std::string> encode_query(const DnsQuestion& question) {
  std::string out;
  put16(out, question.id);
  put16(out, kFlagRecursionDesired);
  for (uint16_t count : {1, 0, 0, 1}) put16(out, count);  // one question, one additional record
  if (!put_name(out, question.name)) return std::nullopt;
  put16(out, static_cast<uint16_t>(question.type));
  put16(out, kClassInternet);
  out.push_back(0);  // OPT: owner is the root
  put16(out, kTypeOpt);
  put16(out, kMaxDatagram);
  for (uint16_t zero : {0, 0, 0}) put16(out, zero);  // extended code and version, flags, no options
  return out;
}

std::optional<DnsReply> decode_answer(std::string_view datagram, const DnsQuestion& question) {
  Cursor in(datagram);
  const uint16_t id = in.u16(), flags = in.u16(), questions = in.u16(), answers = in.u16();
  in.u16(), in.u16();
  if (!in.ok() || id != question.id || !(flags & kFlagResponse) || questions != 1) return std::nullopt;
  const std::string name = in.name();
  const uint16_t type = in.u16(), question_class = in.u16();
  if (!in.ok() || name != question.name || type != static_cast<uint16_t>(question.type) ||
      question_class != kClassInternet)
    return std::nullopt;

  const uint16_t code = flags & kMaskCode;
  if (code == kCodeNoSuchName) return DnsReply{DnsReply::Outcome::no_such_name, {}};
  if (code != kCodeNoError) return DnsReply{};

  std::vector<Record> records;
  for (uint16_t i = 0; i < answers; ++i) {
    auto record = read_record(in);
    if (!record) break;
    records.push_back(std::move(*record));
  }
  std::string owner = name;
  for (int alias = 0; alias < kMaxAliases; ++alias) {
    auto next = std::ranges::find_if(
        records, [&](const Record& r) { return r.type == kTypeCname && r.owner == owner; });
    if (next == records.end()) break;
    owner = next->alias;
  }
  DnsReply reply{DnsReply::Outcome::answered, {}};
  for (const Record& record : records)
    if (record.type == type && record.owner == owner && reply.addresses.size() < kMaxAddresses)
      reply.addresses.push_back(record.address);
  return reply;
}

}  // namespace saw::egress
