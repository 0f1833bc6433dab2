#include "release/rollback.h"

#include "release/members.h"
#include "release/names.h"

namespace saw::release {

Result<RollbackOrder> RollbackOrder::parse(std::string_view text) {
  constexpr std::string_view kWhat = "the rollback order";
  const Json json = SAW_TRY(parse_strict(text, kWhat, kMaxBytes));
  RollbackOrder out;
  Members all(json, kWhat);
  all.constant("apiVersion", "saw/v1")
      .constant("kind", "Rollback")
      .text("channel", out.channel, is_channel_name)
      .number("revision", out.revision, 1, kMaxCount)
      .text("from", out.from, is_digest)
      .text("to", out.to, is_digest)
      .text("to_version", out.to_version, is_version)
      .text("why", out.why, any_text)
      .time("ordered_at", out.ordered_at);
  SAW_TRY(all.complete());
  return out;
}

std::string RollbackOrder::text() const {
  return Json{{"apiVersion", "saw/v1"},   {"kind", "Rollback"}, {"channel", channel},
              {"revision", revision},     {"from", from},       {"to", to},
              {"to_version", to_version}, {"why", why},         {"ordered_at", rfc3339(ordered_at)}}
             .dump(2, ' ', true, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace saw::release
