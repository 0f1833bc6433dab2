#include "audit/tile.h"

#include <fmt/format.h>

namespace saw::audit {
namespace {

std::string index_path(uint64_t index) {
  std::string path = fmt::format("{:03}", index % 1000);
  for (index /= 1000; index > 0; index /= 1000) path.insert(0, fmt::format("x{:03}/", index % 1000));
  return path;
}

}  // namespace

std::string tile_path(size_t level, uint64_t index) {
  return fmt::format("tile/{}/{}", level, index_path(index));
}
std::string bundle_path(uint64_t index) {
  return "tile/entries/" + index_path(index);
}
std::string partial_suffix(uint64_t width) {
  return fmt::format(".p/{}", width);
}

void append_entry(std::string& bundle, std::string_view entry) {
  bundle.push_back(static_cast<char>(entry.size() >> 8));
  bundle.push_back(static_cast<char>(entry.size() & 0xff));
  bundle += entry;
}

std::optional<std::string_view> BundleReader::next() {
  if (rest_.size() < 2) return {};
  const size_t size =
      static_cast<size_t>(static_cast<unsigned char>(rest_[0])) << 8 | static_cast<unsigned char>(rest_[1]);
  if (rest_.size() - 2 < size) return {};
  std::string_view entry = rest_.substr(2, size);
  rest_.remove_prefix(2 + size);
  return entry;
}

}  // namespace saw::audit
