#include "sandbox/supervisor.h"

#include <algorithm>
#include <csignal>
#include <optional>

#include "base/clock.h"
#include "base/lock_file.h"
#include "base/log.h"
#include "sandbox/storage.h"

namespace saw::sandbox {

struct Supervisor::Program {
  std::string name;
  os::Child child;
  os::Loop::Watch watch;  // after child, whose descriptor it watches
  os::Loop::Timer restart, patience;
  std::move_only_function<void()> on_stopped;  // set once it has been asked to end
  Nanos started = 0;
  int64_t backoff_ms = 0;
  int failures = 0;
};

Supervisor::Supervisor(os::Loop& loop, Config config, Spawn spawn, Callbacks callbacks)
    : loop_(loop),
      config_(std::move(config)),
      spawn_(std::move(spawn)),
      callbacks_(std::move(callbacks)),
      control_(new Program{.name = "sawd"}),
      perimeter_(new Program{.name = "saw-perimeter"}) {}
Supervisor::~Supervisor() = default;

std::optional<uint32_t> Supervisor::identity(uint32_t uid) const {
  if (config_.identities == Config::Identities::shared) return std::nullopt;
  return uid;
}

Result<Supervisor::Links> Supervisor::make_links() {
  Links links;
  for (int i = 0; i < 2; ++i) {
    auto [program, control] = SAW_TRY(os::Channel::pair());
    links.for_program.push_back(std::move(program).take());
    links.for_control.push_back(std::move(control).take());
  }
  return links;
}

Result<> Supervisor::run(Program& program, std::vector<std::string> arguments, os::SpawnSpec spec,
                         OnEnd on_end) {
  spec.program = config_.bin_directory + "/" + program.name;
  spec.arguments = {program.name};
  std::ranges::move(arguments, std::back_inserter(spec.arguments));
  spec.environment = config_.environment;
  program.child = SAW_TRY(spawn_(spec));
  program.started = SystemClock().monotonic();
  log_info("{} started as process {}", program.name, program.child.pid());
  // The program may be destroyed by what it calls; the callback itself is kept alive by the loop while it
  // runs.
  program.watch = loop_.watch(
      program.child.pidfd(), os::Loop::kReadable, [&program, on_end = std::move(on_end)](uint32_t) mutable {
        program.watch.cancel();
        program.patience.cancel();
        const std::string why =
            program.name + " " + os::describe_wait_status(program.child.reap().value_or(0));
        program.child = os::Child();
        if (auto stopped = std::exchange(program.on_stopped, nullptr)) return stopped();
        log_warning("{}", why);
        on_end(why);
      });
  return {};
}

int64_t Supervisor::next_backoff(Program& program) const {
  const Nanos started = std::exchange(program.started, 0);  // 0: it did not even start
  if (started != 0 && SystemClock().monotonic() - started > kStableMs * kMillisecond)
    program.backoff_ms = program.failures = 0;
  ++program.failures;
  program.backoff_ms =
      program.backoff_ms == 0 ? kFirstBackoffMs : std::min(2 * program.backoff_ms, kMaxBackoffMs);
  return program.backoff_ms;
}

void Supervisor::end(Program& program, int signal, std::move_only_function<void()> done) {
  program.restart.cancel();
  if (!program.child) return done();
  auto earlier = std::exchange(program.on_stopped, nullptr);  // asked twice, told twice
  program.on_stopped = [earlier = std::move(earlier), done = std::move(done)]() mutable {
    if (earlier) earlier();
    done();
  };
  if (signal != 0) program.child.kill(signal);
  program.patience = loop_.after(kPatienceMs, [&program] {
    log_warning("{} does not end by itself", program.name);
    program.child.kill(SIGKILL);
  });
}

void Supervisor::retire(std::unique_ptr<Program> program, int signal, std::move_only_function<void()> done) {
  Program& dying = *retired_.emplace_back(std::move(program));
  end(dying, signal, [this, &dying, done = std::move(done)]() mutable {
    // Not at once: this runs in a callback of the program itself.
    loop_.post(
        [this, &dying] { std::erase_if(retired_, [&](const auto& each) { return each.get() == &dying; }); });
    if (done) done();
  });
}

// ---- sawd
// -------------------------------------------------------------------------------------------------------------------------

void Supervisor::start() {
  start_control();
}

void Supervisor::start_control() {
  if (shutting_down_) return;
  if (auto started = try_start_control(); !started) return control_ended(started.error().message);
  start_perimeter();
}

Result<> Supervisor::try_start_control() {
  auto [ours, theirs] = SAW_TRY(os::Channel::pair());
  os::SpawnSpec spec{.identity = identity(kControlUid)};
  spec.descriptors.push_back(std::move(theirs).take());
  spec.descriptors.push_back(SAW_TRY(config_.api_listener.duplicate()));
  spec.descriptors.push_back(SAW_TRY(lock_file(config_.control_lock), "an earlier sawd has not ended yet"));
  SAW_TRY(run(*control_, {"--dir", config_.state_directory, "--socket-path", config_.socket_path},
              std::move(spec), [this](const std::string& why) { control_ended(why); }));
  callbacks_.on_control(std::move(ours));
  return {};
}

void Supervisor::control_ended(const std::string& why) {
  const int64_t delay = next_backoff(*control_);
  // Their links end in the dead sawd; without one they have no authority. They would exit by themselves;
  // killing is sooner and surer.
  for (auto& [workspace, program] : std::exchange(egresses_, {}))
    retire(std::move(program), SIGKILL, nullptr);
  retire(std::exchange(perimeter_, std::unique_ptr<Program>(new Program{.name = "saw-perimeter"})), SIGKILL,
         nullptr);
  control_->restart = loop_.after(delay, [this] { start_control(); });
  callbacks_.on_control_lost(why, control_->failures);
}

void Supervisor::restart_control() {
  if (control_->child) control_->child.kill(SIGKILL);
}

// ---- saw-perimeter
// ----------------------------------------------------------------------------------------------------------------

void Supervisor::start_perimeter() {
  if (shutting_down_ || !control_->child) return;
  if (auto started = try_start_perimeter(); !started) {
    log_error("{}", started.error().message);
    perimeter_->restart = loop_.after(next_backoff(*perimeter_), [this] { start_perimeter(); });
  }
}

Result<> Supervisor::try_start_perimeter() {
  Links links = SAW_TRY(make_links());
  os::SpawnSpec spec{.descriptors = std::move(links.for_program), .identity = identity(kPerimeterUid)};
  SAW_TRY(run(*perimeter_, {"--config", config_.state_directory + "/perimeter.yaml"}, std::move(spec),
              [this](const std::string&) {
                perimeter_->restart = loop_.after(next_backoff(*perimeter_), [this] { start_perimeter(); });
              }));
  callbacks_.on_perimeter(std::move(links.for_control));
  return {};
}

// ---- saw-egress
// -------------------------------------------------------------------------------------------------------------------

Result<std::vector<Fd>> Supervisor::start_egress(const std::string& workspace, uint32_t index) {
  auto fresh = std::make_unique<Program>();
  fresh->name = "saw-egress";
  std::unique_ptr<Program>& slot = egresses_[workspace];
  if (slot) {
    fresh->started = slot->started, fresh->backoff_ms = slot->backoff_ms, fresh->failures = slot->failures;
    retire(std::move(slot), SIGKILL, nullptr);
  }
  slot = std::move(fresh);
  Links links = SAW_TRY(make_links());
  os::SpawnSpec spec{.descriptors = std::move(links.for_program),
                     .identity = identity(kFirstEgressUid + index),
                     .network = os::NetworkView::empty};
  SAW_TRY(run(*slot, {"--workspace", workspace}, std::move(spec),
              [this, workspace](const std::string& why) { egress_ended(workspace, why); }));
  return std::move(links.for_control);
}

void Supervisor::egress_ended(const std::string& workspace, const std::string& why) {
  // sawd asks for another one as soon as it is told, so the telling waits.
  Program& program = *egresses_.at(workspace);
  log_warning("workspace '{}': {}", workspace, why);
  program.restart =
      loop_.after(next_backoff(program), [this, workspace] { callbacks_.on_egress_lost(workspace); });
}

void Supervisor::stop_egress(const std::string& workspace, std::move_only_function<void()> done) {
  auto node = egresses_.extract(workspace);
  if (node.empty()) return done();
  retire(std::move(node.mapped()), SIGTERM, std::move(done));
}

// ---- the end
// ----------------------------------------------------------------------------------------------------------------------

void Supervisor::shutdown(std::move_only_function<void()> close_control,
                          std::move_only_function<void()> done) {
  shutting_down_ = true;
  close_control_ = std::move(close_control);
  shutdown_done_ = std::move(done);
  std::vector<std::string> workspaces;
  for (const auto& [workspace, program] : egresses_) workspaces.push_back(workspace);
  auto left = std::make_shared<size_t>(workspaces.size());
  if (workspaces.empty()) return end_perimeter();
  for (const std::string& workspace : workspaces)
    stop_egress(workspace, [this, left] {
      if (--*left == 0) end_perimeter();
    });
}

void Supervisor::end_perimeter() {
  end(*perimeter_, SIGTERM, [this] { end_control(); });
}

void Supervisor::end_control() {
  close_control_();
  end(*control_, 0, [this] { shutdown_done_(); });
}

}  // namespace saw::sandbox
