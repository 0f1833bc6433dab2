// A hostile saw-init answers RunProbes: whatever it reports, saw-node judges in bounded time, and only a whole list of expected
// outcomes is a proof. The first two bytes choose what the sandbox is.
#include <cstdint>

#include "sandbox/init_protocol.h"
#include "sandbox/node_probes.h"

using namespace saw;
using namespace saw::sandbox;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ProbeSubject subject{
      .captured = (data[0] & 1) != 0,
      .landlock = (data[0] & 2) != 0,
      .first = (data[0] & 4) != 0,
      .deny_paths = data[1] ? std::vector<std::string>{"/x"} : std::vector<std::string>{}};
  const std::string_view input(reinterpret_cast<const char*>(data + 2), size - 2);
  if (auto message = wire::decode<ToInit>(input)) SAW_CHECK(wire::encode(*message).size() == input.size());
  auto message = wire::decode<FromInit>(input);
  const auto* report = message ? std::get_if<ProbeReport>(&*message) : nullptr;
  if (!report) return 0;
  size_t wanted = 0;
  for (const Probe& probe : probe_list()) wanted += applies(probe, subject);
  if (auto judged = judge(subject, report->outcomes); judged)
    SAW_CHECK(report->outcomes.size() == wanted);
  else
    SAW_CHECK(judged.error().code == "sandbox.unproven");
  return 0;
}
