// saw-prove: answers one question about two policies, read from stdin (policy/prove/exchange.h). Started by
// `saw policy prove`. Before it reads a byte it gives up files, sockets and programs, and bounds its time and
// memory: the policies may be anybody's, and a solver is a large program.
#include <cstdio>

#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "os/confine.h"
#include "policy/prove/exchange.h"

namespace {

using namespace saw;

constexpr int kUsage = 2;
constexpr rlim_t kMaxMemory = rlim_t{2} << 30, kMaxSeconds = 60;

Result<> bound(int resource, rlim_t value) {
  const rlimit limit{value, value};
  if (::setrlimit(resource, &limit) != 0) return Error::system("prove.limit", "bounding this process");
  return {};
}

Result<> confine() {
  SAW_TRY(bound(RLIMIT_CORE, 0));
  SAW_TRY(bound(RLIMIT_FSIZE, 0));
  SAW_TRY(bound(RLIMIT_AS, kMaxMemory));
  SAW_TRY(bound(RLIMIT_CPU, kMaxSeconds));
  SAW_TRY(os::confine_self({.sockets = os::SocketUse::inherited_only,
                            .files = os::FileUse::none,
                            .landlock = os::Requirement::best_effort}),
          "confining saw-prove");
  return {};
}

Result<> run() {
  SAW_TRY(confine());
  const Fd in(STDIN_FILENO), out(STDOUT_FILENO);
  const std::string question = SAW_TRY(read_all(in, policy::prove::kMaxQuestion), "reading the question");
  SAW_TRY(write_all(out, policy::prove::answer_question(question, {}) + "\n"), "answering");
  return {};
}

}  // namespace

int main(int argc, char**) {
  if (argc != 1) {
    std::fputs("usage: saw-prove < QUESTION    (started by saw policy prove)\n", stderr);
    return kUsage;
  }
  if (auto done = run(); !done) {
    std::fprintf(stderr, "saw-prove: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
