// A registry's list of a package's versions, without those that are too young to be had (`minAgeDays`).
//
//   auto filtered = filter_versions(body, {.before = now - 7 * day, .learn = …});
//
// npm: the full packument (its `time`); versions that are too young, or of no known age, go from `versions`, `time` and `dist-tags`.
// PyPI: the JSON form of the simple API (PEP 691 and 700, `upload-time`) and /pypi/NAME/json (`upload_time_iso_8601`); files go.
// Each version whose age is known is told to `learn` with the URL it is had from, young ones too. A document that lists no versions passes.
// Written anew, so a member said twice has the meaning that the last one gives it, here and at the reader's. Errors: "upstream.unreadable_answer".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "egress/answer_filter.h"

namespace saw::egress {

constexpr size_t kMaxVersionList = 16u << 20;

struct VersionList {
  Nanos before = 0;  // published later than this: too young
  std::function<void(std::string_view url, Nanos published)> learn;
};
Result<std::string> filter_versions(std::string_view body, const VersionList& list);
std::unique_ptr<AnswerFilter> version_filter(VersionList list);

}  // namespace saw::egress
