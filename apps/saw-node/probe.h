// `saw-node --probe`: what this host can guarantee, for `saw doctor`.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/launch.h"

namespace saw::node_app {

// A JSON array of {"name","state","detail","consequence"}, one object per line.
std::string to_json(const std::vector<sandbox::HostFeature>& features);
int probe(const std::string& bin_directory);

}  // namespace saw::node_app
