#include "egress/dns_answerer.h"

#include "egress/channel_who.h"
#include "egress/proxy_request.h"

namespace saw::egress {
namespace {

std::string address_text(Ipv4 a) {
  return fmt::format("{}.{}.{}.{}", a[0], a[1], a[2], a[3]);
}

}  // namespace

std::string DnsAnswerer::answer(std::string_view bytes) {
  DnsQuery query = parse_query(bytes);
  if (query.state == DnsQuery::State::not_dns || !services_.config) return {};
  if (query.state == DnsQuery::State::refused) return answer_nothing(query, query.code);
  if (query.name != kProxyName && !services_.config->policy.may_resolve(query.name)) return deny(query);
  if (query.type != kTypeA) return answer_nothing(query, DnsCode::no_error);
  auto address = names_.address_of(query.name);
  if (!address) return answer_nothing(query, DnsCode::server_failure);
  if (!tell(audit::Verdict::allowed, query.name, "A", address_text(*address))) return {};
  return answer_address(query, *address, kTtlSeconds);
}

std::string DnsAnswerer::deny(const DnsQuery& query) {
  if (!tell(audit::Verdict::denied, query.name, type_text(query.type), {})) return {};
  return answer_nothing(query, DnsCode::no_such_name);
}

std::optional<std::string> DnsAnswerer::answer_stream(std::string_view& bytes) {
  std::string out;
  while (bytes.size() >= 2) {
    const size_t length =
        static_cast<unsigned char>(bytes[0]) * size_t{256} + static_cast<unsigned char>(bytes[1]);
    if (length == 0 || length > kMaxQueryBytes) return std::nullopt;
    if (bytes.size() < 2 + length) break;
    std::string reply = answer(bytes.substr(2, length));
    bytes.remove_prefix(2 + length);
    if (reply.empty()) return std::nullopt;
    out.push_back(static_cast<char>(reply.size() >> 8));
    out.push_back(static_cast<char>(reply.size() & 0xff));
    out += reply;
  }
  return out;
}

bool DnsAnswerer::tell(audit::Verdict verdict, const std::string& name, std::string_view type,
                       std::string_view answer) {
  auto found = told_.find(name);
  if (found != told_.end() && found->second.verdict == verdict) {
    ++found->second.repeats;
    return true;
  }
  if (found == told_.end() && told_.size() >= kMaxTold) {
    ++untold_[verdict];
    return true;  // flush() tells how many
  }
  if (!services_.audit.has_room()) return false;
  record(verdict, name, type, answer, 1);
  told_[name] = {verdict, 0};
  return true;
}

void DnsAnswerer::flush() {
  for (auto& [name, told] : told_) {
    if (told.repeats == 0 || !services_.audit.has_room()) continue;
    record(told.verdict, name, "A", {}, told.repeats);
    told.repeats = 0;
  }
  for (auto& [verdict, count] : untold_)
    if (count > 0 && services_.audit.has_room())
      record(verdict, "(further names)", "A", {}, std::exchange(count, 0));
}

void DnsAnswerer::record(audit::Verdict verdict, const std::string& name, std::string_view type,
                         std::string_view answer, uint32_t repeats) {
  audit::DnsActivity event;
  event.time = services_.net.clock.now();
  event.layer = audit::Layer::runtime;
  event.verdict = verdict;
  event.who = who(who_);
  const bool allowed = verdict == audit::Verdict::allowed;
  event.reason = allowed ? "may-resolve" : "policy.default_deny";
  if (services_.config) event.policy_digest = digest_text(services_.config->policy.digest());
  event.message = fmt::format("agent '{}' {} the name {}{}", who_.agent, allowed ? "resolved" : "was denied",
                              name, repeats > 1 ? fmt::format(" ({} more times)", repeats) : "");
  event.name = name;
  event.type = type;
  event.answer = answer;
  event.repeats = repeats;
  services_.audit.record(audit::dns_activity(event));
}

}  // namespace saw::egress
