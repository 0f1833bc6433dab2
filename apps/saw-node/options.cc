#include "options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>

namespace saw::node_app {
namespace {

Result<std::string> absolute(const std::string& path) {
  std::error_code error;
  std::string out = std::filesystem::absolute(path, error).lexically_normal().string();
  if (path.empty() || error) return Error::make("usage", "'{}' is not a path", path);
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

Result<int> descriptor(const std::string& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return Error::make("usage", "'{}' is not a descriptor number", text);
  return value;
}

Result<> take_value(Options& options, const std::string& name, const std::string& value) {
  if (name == "--ready-fd") {
    options.ready_fd = SAW_TRY(descriptor(value));
    return {};
  }
  const std::string path = SAW_TRY(absolute(value), name);
  (name == "--dir"      ? options.directory
   : name == "--socket" ? options.socket_path
                        : options.bin_directory) = path;
  return {};
}

}  // namespace

const char* const kUsage =
    "usage: saw-node --dir DIR --socket PATH [--foreground] [--strict] [--ready-fd N] [--bin DIR]\n"
    "       saw-node --probe\n"
    "\n"
    "Builds and runs the sandboxes of this host and keeps SAW's other programs running. Started by 'saw "
    "up'.\n"
    "  --dir DIR      state directory\n"
    "  --socket PATH  where the API listens; its directory holds the lock and the sandboxes' control "
    "sockets\n"
    "  --foreground   do not detach; log to stderr\n"
    "  --strict       refuse to start, and to start any sandbox, when a guarantee is missing on this host\n"
    "  --ready-fd N   write \"ready\" (or \"error: …\") there once the API is served\n"
    "  --bin DIR      where the other programs lie (default: beside this one)\n"
    "  --probe        print what this host can guarantee, as JSON, and exit\n";

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  const std::map<std::string, std::function<void()>> flags = {
      {"--foreground", [&] { options.place = Options::Place::foreground; }},
      {"--strict", [&] { options.strictness = sandbox::Strictness::strict; }},
      {"--probe", [&] { options.mode = Options::Mode::probe; }},
      {"--help", [&] { options.mode = Options::Mode::help; }},
  };
  constexpr std::string_view kWithValue[] = {"--dir", "--socket", "--bin", "--ready-fd"};
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (const auto flag = flags.find(arguments[i]); flag != flags.end()) {
      flag->second();
    } else if (std::ranges::find(kWithValue, arguments[i]) == std::end(kWithValue)) {
      return Error::make("usage", "unknown option '{}'", arguments[i]);
    } else if (i + 1 == arguments.size()) {
      return Error::make("usage", "option '{}' needs a value", arguments[i]);
    } else {
      SAW_TRY(take_value(options, arguments[i], arguments[i + 1]));
      ++i;
    }
  }
  if (options.mode == Options::Mode::serve && (options.directory.empty() || options.socket_path.empty()))
    return Error::make("usage", "--dir and --socket are needed");
  if (options.bin_directory.empty()) {
    std::error_code error;
    options.bin_directory = std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
    if (error) return Error::make("usage", "cannot find this program's own directory; give --bin");
  }
  return options;
}

}  // namespace saw::node_app
