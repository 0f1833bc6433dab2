// Answers the DNS questions of one channel from the policy alone, and remembers what it answered. Nothing is
// asked upstream.
//
//   DnsAnswerer dns(services, identity);
//   std::string reply = dns.answer(datagram);          // empty: no reply (not DNS, or it could not be
//   recorded) dns.names().name_of({198, 18, 1, 0});
//
// A name that some rule could admit gets a synthetic A record and no AAAA; every other name does not exist.
// The first question for each name is recorded; repeats are counted and told in one more event by flush(). At
// most kMaxTold distinct names are told apart.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "audit/event.h"
#include "egress/dns.h"
#include "egress/names.h"
#include "egress/services.h"

namespace saw::egress {

class DnsAnswerer {
 public:
  static constexpr size_t kMaxTold = 4096;
  static constexpr uint32_t kTtlSeconds = 5;  // short: addresses do not survive a restart of saw-egress

  DnsAnswerer(Services& services, const ChannelIdentity& who) : services_(services), who_(who) {}
  std::string answer(std::string_view query);
  // Over TCP (RFC 7766): takes complete messages off `bytes` and returns the replies, each with its length in
  // front. nullopt: not DNS.
  std::optional<std::string> answer_stream(std::string_view& bytes);
  void flush();
  const SyntheticNames& names() const { return names_; }

 private:
  std::string deny(const DnsQuery& query);
  // Whether the name was recorded, now or before.
  bool tell(audit::Verdict verdict, const std::string& name, std::string_view type, std::string_view answer);
  void record(audit::Verdict verdict, const std::string& name, std::string_view type, std::string_view answer,
              uint32_t repeats);

  struct Told {
    audit::Verdict verdict;
    uint32_t repeats = 0;
  };
  Services& services_;
  const ChannelIdentity& who_;
  SyntheticNames names_;
  std::unordered_map<std::string, Told> told_;
  std::map<audit::Verdict, uint32_t> untold_;  // questions for names beyond kMaxTold
};

}  // namespace saw::egress
