#include "probe.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "os/userns.h"

namespace saw::node_app {
namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string_view name_of(sandbox::HostFeature::State state) {
  switch (state) {
    case sandbox::HostFeature::State::ok:
      return "ok";
    case sandbox::HostFeature::State::degraded:
      return "degraded";
    case sandbox::HostFeature::State::missing:
      return "missing";
  }
  return "missing";
}

}  // namespace

std::string to_json(const std::vector<sandbox::HostFeature>& features) {
  std::string out = "[";
  for (const sandbox::HostFeature& feature : features)
    out += fmt::format("{}\n{{\"name\":{},\"state\":\"{}\",\"detail\":{},\"consequence\":{}}}",
                       out.size() == 1 ? "" : ",", json_string(feature.name), name_of(feature.state),
                       json_string(feature.detail), json_string(feature.consequence));
  return out + "\n]\n";
}

int probe(const std::string& bin_directory) {
  std::vector<sandbox::HostFeature> features;
  auto view = os::enter_daemon_namespaces({});
  if (!view) {
    features.push_back(
        {.state = sandbox::HostFeature::State::missing,
         .name = "namespaces",
         .detail = view.error().message,
         .consequence =
             "no sandbox can be made; run as root, or let the host allow unprivileged user namespaces"});
  } else {
    std::string scratch = (std::filesystem::temp_directory_path() / "saw-probe-XXXXXX").string();
    if (::mkdtemp(scratch.data()) == nullptr) return 1;
    // Apart from each other: a sandbox mounts its root over the scratch directory.
    std::filesystem::create_directory(scratch + "/mount");
    features = sandbox::probe_host({.rootless = view->rootless,
                                    .run_directory = scratch,
                                    .scratch_directory = scratch + "/mount",
                                    .init_path = bin_directory + "/saw-init"});
    std::error_code error;
    std::filesystem::remove_all(scratch, error);
  }
  std::fputs(to_json(features).c_str(), stdout);
  return 0;
}

}  // namespace saw::node_app
