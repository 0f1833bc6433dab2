// Reading an archive out of a sandbox is total, whatever the pieces it comes in, and never hands on a path that leaves.
#include <cstdint>

#include "cli/tar.h"

namespace {
class Check final : public saw::cli::TarSink {
 public:
  saw::Result<> begin(const saw::cli::TarEntry& entry) override {
    SAW_CHECK(!entry.path.starts_with('/') && ("/" + entry.path + "/").find("/../") == std::string::npos);
    SAW_CHECK(entry.path.find('\0') == std::string::npos && (entry.mode & ~0777u) == 0);
    seen += entry.path;
    return {};
  }
  saw::Result<> data(std::string_view bytes) override {
    seen += bytes;
    return {};
  }
  saw::Result<> end() override { return {}; }
  std::string seen;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Check whole, pieces;
  saw::cli::TarReader first(whole), second(pieces);
  const bool good = first.push(bytes).has_value() && first.finish().has_value();
  bool also = true;
  for (size_t at = 0; at < size && also; at += 7) also = second.push(bytes.substr(at, 7)).has_value();
  also = also && second.finish().has_value();
  SAW_CHECK(good == also);
  if (good) SAW_CHECK(whole.seen == pieces.seen);
  return 0;
}
