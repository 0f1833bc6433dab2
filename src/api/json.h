// The API's JSON: strict reading of what comes, rendering of what goes. For .cc files of this folder (it
// drags nlohmann in).
//
//   Json body = SAW_TRY(parse_object(request.body));
//   Members members(body);
//   members.text("name", name, Need::required);
//   members.list("mounts", …);
//   SAW_TRY(members.finish());                       // "request.member": unknown, missing, or of a wrong
//   type
//
// A duplicate key, a depth above kMaxDepth, and anything after the value are errors ("request.json").
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "control/types.h"

namespace saw::api {

using Json = nlohmann::json;
constexpr int kMaxDepth = 16;

Result<Json> parse_object(std::string_view text);

enum class Need : uint8_t { optional, required };

class Members {
 public:
  explicit Members(const Json& object) : object_(object) {}
  void text(const char* name, std::string& out, Need need = Need::optional);
  void texts(const char* name, std::vector<std::string>& out, Need need = Need::optional);
  void text_map(const char* name, std::map<std::string, std::string>& out);
  void flag(const char* name, bool& out);
  void number(const char* name, uint64_t& out, uint64_t most = UINT64_MAX);
  // The member itself, for nested values; nullptr if absent.
  const Json* value(const char* name);
  void fail(std::string message);
  Result<> finish();  // the first error, or an unknown member

 private:
  const Json* take(const char* name, Need need);
  const Json& object_;
  std::set<std::string, std::less<>> known_;
  std::string error_;
};

Json to_json(const control::WorkspaceView& view);
Json to_json(const control::ChannelView& view);
Json to_json(const control::SessionView& view);
Json to_json(const control::SnapshotView& view);
// {"end","status"}; "limit": what ended it; "limits_met": {"memory": kills, "pids": refusals}, where there were any.
Json to_json(const control::Exit& exit);
Json to_json(const control::TerminalView& view);
Json to_json(const control::DiffView& view);
Json to_json(const control::CommitView& view);
Json to_json(const control::AgentView& view);
Json to_json(const control::DelegationView& view);
Json to_json(const control::RevocationView& view);
Json to_json(const control::WhoView& view);
Json to_json(const control::SecretView& view);
Json to_json(const control::ReviewView& view);
Json to_json(const control::StatusView& view);
Json to_json(const control::AuditPage& page);
std::string dump(const Json& json);  // never throws: invalid UTF-8 is replaced

}  // namespace saw::api
