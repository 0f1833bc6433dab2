#include "node_under_test.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "os/unix_path.h"

namespace saw::testing_support {
namespace {

constexpr uint32_t kSomeUser = 61'234;  // without an entry in passwd
constexpr size_t kMaxOutput = 64u << 10;

std::string program_directory() {
  const char* bin = std::getenv("SAW_BIN");
  return bin != nullptr ? bin : "bin";
}

}  // namespace

bool user_namespaces_work() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::geteuid() == 0 && ::setresuid(kSomeUser, kSomeUser, kSomeUser) != 0) ::_exit(1);
    const char* programs = std::getenv("SAW_BIN");  // a checkout below a closed directory, such as /root
    if (programs && ::access(programs, X_OK) != 0) ::_exit(1);
    ::_exit(::system("unshare -Ur true 2>/dev/null") == 0 ? 0 : 1);
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  return status == 0;
}

NodeUnderTest::NodeUnderTest(As as) : as_(as), loop_(std::move(*os::Loop::create())) {
  std::string name = "/tmp/saw-node-test-XXXXXX";
  directory_ = ::mkdtemp(name.data());
  ::chmod(directory_.c_str(), 0755);
  if (as_ == As::user && ::geteuid() == 0) SAW_CHECK(::chown(directory_.c_str(), kSomeUser, kSomeUser) == 0);
  const std::filesystem::path bin = std::filesystem::absolute(program_directory()),
                              here = directory_ + "/bin";
  std::filesystem::create_directory(here);
  for (const char* fake : {"sawd", "saw-perimeter", "saw-egress"})
    std::filesystem::create_symlink(bin / "fake_program", here / fake);
  std::filesystem::create_symlink(bin / "saw-init", here / "saw-init");
  std::filesystem::create_symlink(bin / "saw-node", here / "saw-node");
  listener_ = std::move(*os::listen_unix(directory_ + "/test.sock", os::SocketKind::seqpacket, 0666));
  accepting_ = loop_.watch(listener_.get(), os::Loop::kReadable, [this](uint32_t) { accept_sawd(); });
}

NodeUnderTest::~NodeUnderTest() {
  link_.reset();
  if (node_) kill_node();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

void NodeUnderTest::spawn_node(Fd output, Fd ready) {
  const std::string program = directory_ + "/bin/saw-node", run = run_directory() + "/saw.sock",
                    bin = directory_ + "/bin";
  const std::string ready_fd = std::to_string(ready.get());
  const pid_t pid = ::fork();
  SAW_CHECK(pid >= 0);
  if (pid == 0) {
    ::fcntl(ready.get(), F_SETFD, 0);
    if (output) {
      ::dup2(output.get(), STDOUT_FILENO);
      ::dup2(output.get(), STDERR_FILENO);
    }
    if (as_ == As::user && ::geteuid() == 0 &&
        (::setgroups(0, nullptr) != 0 || ::setresgid(kSomeUser, kSomeUser, kSomeUser) != 0 ||
         ::setresuid(kSomeUser, kSomeUser, kSomeUser) != 0))
      ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is killed leaves nothing
    ::execl(program.c_str(), "saw-node", "--dir", (directory_ + "/state").c_str(), "--socket", run.c_str(),
            "--bin", bin.c_str(), "--foreground", "--ready-fd", ready_fd.c_str(),
            strictness_ == sandbox::Strictness::strict ? "--strict" : nullptr, nullptr);
    ::_exit(127);
  }
  node_ = std::move(*os::Child::open(pid));
}

bool NodeUnderTest::start(sandbox::Strictness strictness) {
  strictness_ = strictness;
  link_.reset();
  told_.clear();
  Pipe ready = std::move(*Pipe::create());
  ready_ = std::move(ready.read);
  Fd output = log_ ? std::move(*log_.duplicate()) : Fd();
  spawn_node(std::move(output), std::move(ready.write));
  return run_until([&] { return link_ != nullptr || !is_running(); }) && link_ != nullptr;
}

std::string NodeUnderTest::ready_line() {
  return read_all(ready_, kMaxOutput).value_or("nothing");
}

std::pair<std::string, int> NodeUnderTest::start_again() {
  os::Child first = std::exchange(node_, os::Child());
  Pipe output = std::move(*Pipe::create()), ready = std::move(*Pipe::create());
  spawn_node(std::move(output.write), std::move(ready.write));
  const std::string text = read_all(output.read, kMaxOutput).value_or("");
  node_.wait_ended(10'000);
  const int status = node_.reap().value_or(-1);
  node_ = std::move(first);
  return {text, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

void NodeUnderTest::kill_node() {
  node_.kill(SIGKILL);
  SAW_CHECK(node_.wait_ended(10'000));
  node_.reap();
  link_.reset();
}

bool NodeUnderTest::wait_node_ended() {
  if (!run_until([&] { return node_.has_ended(); })) return false;
  node_.reap();
  return true;
}

void NodeUnderTest::accept_sawd() {
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  auto channel = os::Channel::adopt(std::move(socket));
  if (!channel) return;
  os::Channel::Received got;
  do {
    pollfd ready{.fd = channel->fd(), .events = POLLIN};
    ::poll(&ready, 1, 1'000);
    got = std::move(*channel->receive());
  } while (got.state == os::Channel::State::empty);
  if (got.state != os::Channel::State::message || got.fds.size() != 2) return;
  api_listener_ = std::move(got.fds[1]);
  link_ = os::Link::open(loop_, std::move(*os::Channel::adopt(std::move(got.fds[0]))),
                         {.on_message =
                              [this](const std::string& payload, std::vector<Fd> fds) {
                                auto message = wire::decode<sandbox::FromNode>(payload);
                                SAW_CHECK(message.has_value());
                                told_.push_back({std::move(*message), std::move(fds)});
                              },
                          .on_close = [](const std::string&) {}});
}

std::vector<std::string> NodeUnderTest::files_in_run() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(run_directory(), error))
    names.push_back(item.path().filename().string());
  return names;
}

std::vector<std::string> NodeUnderTest::cgroups() const {
  constexpr size_t kInstanceBytes = 6;  // as Launcher names them
  const std::string instance = "saw-" + to_hex(view(sha256(run_directory())).substr(0, kInstanceBytes));
  std::vector<std::string> found;
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (auto it = Walk("/sys/fs/cgroup", std::filesystem::directory_options::skip_permission_denied, error);
       !error && it != Walk(); it.increment(error))
    if (it->path().filename() == instance) found.push_back(it->path().string());
  return found;
}

}  // namespace saw::testing_support
