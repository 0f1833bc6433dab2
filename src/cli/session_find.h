// Which session somebody means: by its id, its name, or "workspace/name".
#pragma once

#include <string>

#include "cli/context.h"

namespace saw::cli {

struct FoundSession {
  std::string workspace, id;
};
// The API keeps sessions below their workspace; here one may be named alone, as long as that is not
// ambiguous.
Attempt<FoundSession> find_session(Context& context, const std::string& given);
std::string sessions_of(const std::string& workspace);
std::string path_of(const FoundSession& session);

}  // namespace saw::cli
