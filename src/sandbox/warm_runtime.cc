#include "sandbox/warm_runtime.h"

namespace saw::sandbox {
namespace {

// The script's own variables are gone before it starts; its arguments are "$@". One line, so that the
// script's lines have their own numbers.
constexpr const char* kBash =
    R"(IFS= read -r -N 1 -u 3 || exit 0; mapfile -d '' -u 4; exec 3<&- 4<&-; )"
    R"(set -- "${MAPFILE[@]}"; unset MAPFILE REPLY; BASH_ARGV0=$2; eval "shift 2;$1")";

constexpr const char* kPython = R"(import os, sys
def _saw():
    if not os.read(3, 1): os._exit(0)
    with open(4, 'rb') as f: a = [os.fsdecode(x) for x in f.read().split(b'\0')[:-1]]
    os.close(3)
    sys.argv = ['-c'] + a[2:]
    for name in ('os', 'sys', '_saw'): del globals()[name]
    return compile(a[0], '<string>', 'exec')
exec(_saw()))";

}  // namespace

std::vector<std::string> warm_command(const WarmRuntime& runtime) {
  if (runtime.kind == WarmRuntime::Kind::python) return {runtime.command, "-c", kPython};
  return {runtime.command, "-c", kBash, runtime.command};
}

bool serves(const WarmRuntime& runtime, const std::vector<std::string>& argv) {
  if (argv.size() < 3 || argv[0] != runtime.command || argv[1] != "-c") return false;
  // A shell takes further options behind -c, and its script after them; an interpreter takes what comes next.
  const bool is_option = argv[2].starts_with('-') || argv[2].starts_with('+');
  return runtime.kind == WarmRuntime::Kind::python || !is_option;
}

std::string warm_script(const WarmRuntime& runtime, const std::vector<std::string>& argv) {
  std::string out = argv[2] + '\0';
  if (runtime.kind == WarmRuntime::Kind::python || argv.size() == 3) out += argv[0] + '\0';  // $0
  for (size_t i = 3; i < argv.size(); ++i) out += argv[i] + '\0';
  return out;
}

}  // namespace saw::sandbox
