// Where the parts of a log lie (c2sp.org/tlog-tiles), and the encoding of entries in a bundle.
//
//   tile_path(0, 1234067)                 "tile/0/x001/x234/067"
//   bundle_path(0) + partial_suffix(5)    "tile/entries/000.p/5"
//   append_entry(bundle, "…");            big-endian 16-bit length, then the bytes
//   BundleReader reader(bytes);           while (auto entry = reader.next()) …
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace saw::audit {

constexpr size_t kMaxEntry = 65'535;

std::string tile_path(size_t level, uint64_t index);
std::string bundle_path(uint64_t index);
std::string partial_suffix(uint64_t width);  // ".p/5"

void append_entry(std::string& bundle, std::string_view entry);

// Total on any bytes: next() gives whole entries until the end or until what is left is no whole entry.
class BundleReader {
 public:
  explicit BundleReader(std::string_view bytes) : rest_(bytes) {}
  std::optional<std::string_view> next();
  std::string_view rest() const { return rest_; }  // empty after the last entry of a well-formed bundle

 private:
  std::string_view rest_;
};

}  // namespace saw::audit
