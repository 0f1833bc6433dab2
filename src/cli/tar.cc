#include "cli/tar.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace saw::cli {
namespace {

// POSIX.1-2017, pax, "ustar Interchange Format": offsets in a header.
struct Field {
  size_t at, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kLink{157, 100}, kMagic{257, 6}, kVersion{263, 2}, kPrefix{345, 155};
constexpr size_t kType = 156;

std::string_view raw(std::string_view header, Field field) {
  return header.substr(field.at, field.size);
}
std::string_view text(std::string_view header, Field field) {
  const std::string_view bytes = raw(header, field);
  return bytes.substr(0, std::min(bytes.find('\0'), bytes.size()));
}

std::unexpected<Error> malformed(std::string_view what) {
  return Error::make("tar.malformed", "a malformed archive: {}", what);
}

// Octal digits with spaces around, or GNU's big-endian form with the first bit set.
Result<uint64_t> number(std::string_view header, Field field) {
  const std::string_view bytes = raw(header, field);
  if (static_cast<unsigned char>(bytes[0]) & 0x80) {
    uint64_t value = static_cast<unsigned char>(bytes[0]) & 0x7f;
    for (char c : bytes.substr(1)) {
      if (value >> 55) return malformed("a number that is too large");
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  std::string_view digits = text(header, field);
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  uint64_t value = 0;
  if (digits.empty()) return value;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (error != std::errc() || end != digits.data() + digits.size()) return malformed("a number that is none");
  return value;
}

uint64_t checksum(std::string_view header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i)
    sum +=
        i >= kChecksum.at && i < kChecksum.at + kChecksum.size ? ' ' : static_cast<unsigned char>(header[i]);
  return sum;
}

uint64_t padding_of(uint64_t size) {
  return (TarReader::kBlock - size % TarReader::kBlock) % TarReader::kBlock;
}

size_t depth_of(std::string_view path) {
  return path.empty() ? 0 : static_cast<size_t>(std::ranges::count(path, '/')) + 1;
}

// A link that stays below the top, whatever other links there are: ".." only at its beginning, where it counts
// real directories, and no further than those there are.
Result<> check_link(const TarEntry& entry) {
  const auto refuse = [&] {
    return Error::make("tar.refused", "'{}' is a link to '{}', which may lie outside", printable(entry.path),
                       printable(entry.link));
  };
  if (entry.link.empty() || entry.link.front() == '/' || entry.link.find('\0') != entry.link.npos ||
      entry.link.size() > TarReader::kMaxPath)
    return refuse();
  size_t up = 0;
  bool down = false;
  for (std::string_view rest = entry.link; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part == ".." && down) return refuse();
    if (part == "..")
      ++up;
    else if (!part.empty() && part != ".")
      down = true;
  }
  // The first name of the path is the top itself.
  if (up + 2 > depth_of(entry.path)) return refuse();
  return {};
}

}  // namespace

Result<std::string> tar_path(std::string_view given) {
  if (given.starts_with('/'))
    return Error::make("tar.refused", "the archive holds the absolute path '{}'", printable(given));
  if (given.size() > TarReader::kMaxPath || given.find('\0') != given.npos) return malformed("a path");
  std::string out;
  size_t depth = 0;
  for (std::string_view rest = given; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part == "..") return Error::make("tar.refused", "the archive holds the path '{}'", printable(given));
    if (++depth > TarReader::kMaxDepth) return malformed("a path that is too deep");
    out += (out.empty() ? "" : "/") + std::string(part);
  }
  return out;
}

// ---- reading

Result<> TarReader::push(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t used = 0;
    switch (state_) {
      case State::ended:
        if (bytes.find_first_not_of('\0') != bytes.npos) return malformed("bytes behind its end");
        return {};
      case State::header:
        used = std::min(bytes.size(), kBlock - header_.size());
        header_ += bytes.substr(0, used);
        if (header_.size() == kBlock) SAW_TRY(on_header());
        break;
      case State::file:
      case State::meta:
        used = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_));
        if (state_ == State::file)
          SAW_TRY(sink_.data(bytes.substr(0, used)));
        else
          meta_ += bytes.substr(0, used);
        left_ -= used;
        if (left_ == 0) SAW_TRY(after_data());
        break;
      case State::padding:
        used = static_cast<size_t>(std::min<uint64_t>(bytes.size(), padding_));
        padding_ -= used;
        if (padding_ == 0) state_ = State::header;
        break;
    }
    bytes.remove_prefix(used);
  }
  return {};
}

Result<> TarReader::finish() {
  if (state_ != State::ended) return malformed("it ends too early");
  return {};
}

Result<> TarReader::after_data() {
  if (state_ == State::file)
    SAW_TRY(sink_.end());
  else
    SAW_TRY(on_meta());
  state_ = padding_ ? State::padding : State::header;
  return {};
}

Result<> TarReader::on_header() {
  const std::string header = std::exchange(header_, {});
  if (header.find_first_not_of('\0') == header.npos) {
    if (++empty_blocks_ == 2) state_ = State::ended;
    return {};
  }
  if (empty_blocks_ != 0) return malformed("an empty block in the middle");
  if (SAW_TRY(number(header, kChecksum)) != checksum(header)) return malformed("a checksum that is wrong");
  if (++entries_ > kMaxEntries) return malformed("too many entries");
  uint64_t size = SAW_TRY(number(header, kSize));
  const char type = header[kType];
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
    if (size == 0 || size > kMaxMeta) return malformed("a long name that is too long");
    meta_.clear();
    meta_type_ = type;
    left_ = size, padding_ = padding_of(size), state_ = State::meta;
    return {};
  }
  std::string path(text(header, kName));
  const std::string_view prefix = text(header, kPrefix);
  if (raw(header, kMagic) == std::string_view("ustar\0", 6) && !prefix.empty())
    path = std::string(prefix) + "/" + path;
  if (!long_path_.empty()) path = std::exchange(long_path_, {});
  std::string link(text(header, kLink));
  if (!long_link_.empty()) link = std::exchange(long_link_, {});
  if (std::exchange(has_size_, false)) size = long_size_;
  TarEntry entry{.path = SAW_TRY(tar_path(path)),
                 .link = std::move(link),
                 .mode = static_cast<uint32_t>(SAW_TRY(number(header, kMode)) & 0777),
                 .size = size,
                 .modified = static_cast<int64_t>(SAW_TRY(number(header, kTime)) & INT64_MAX)};
  return on_entry(type, std::move(entry));
}

Result<> TarReader::on_entry(char type, TarEntry entry) {
  switch (type) {
    case '0':
    case '\0':
    case '7':
      entry.kind = TarEntry::Kind::file;
      break;
    case '1':
      entry.kind = TarEntry::Kind::hardlink;
      entry.link = SAW_TRY(tar_path(entry.link));
      break;
    case '2':
      entry.kind = TarEntry::Kind::symlink;
      SAW_TRY(check_link(entry));
      break;
    case '5':
      entry.kind = TarEntry::Kind::directory;
      break;
    default:
      return Error::make("tar.refused", "'{}' is neither a file nor a directory nor a link (type '{}')",
                         printable(entry.path), printable(std::string_view(&type, 1)));
  }
  const bool is_file = entry.kind == TarEntry::Kind::file;
  if (!is_file && entry.size != 0) return malformed("content of something that is not a file");
  if (is_file && entry.path.empty()) return malformed("a file without a name");
  if (entry.size > kMaxTotal - total_) return malformed("more bytes than can be copied");
  total_ += entry.size;
  SAW_TRY(sink_.begin(entry));
  if (is_file && entry.size != 0) {
    left_ = entry.size, padding_ = padding_of(entry.size), state_ = State::file;
    return {};
  }
  return sink_.end();
}

Result<> TarReader::on_meta() {
  if (meta_type_ == 'g') return {};  // of the whole archive: nothing there concerns us
  if (meta_type_ == 'x') return on_pax();
  while (meta_.ends_with('\0')) meta_.pop_back();
  if (meta_.empty()) return malformed("an empty long name");
  (meta_type_ == 'L' ? long_path_ : long_link_) = meta_;
  return {};
}

// "<length> <key>=<value>\n", the length counting all of that.
Result<> TarReader::on_pax() {
  for (std::string_view rest = meta_; !rest.empty();) {
    uint64_t length = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 3 || *end != ' ' ||
        rest[length - 1] != '\n')
      return malformed("a pax record");
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const size_t equals = record.find('=');
    if (equals == record.npos) return malformed("a pax record without a value");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse.")) return Error::make("tar.refused", "the archive holds a sparse file");
    if (key == "path" || key == "linkpath") {
      if (value.empty()) return malformed("an empty pax path");
      (key == "path" ? long_path_ : long_link_) = value;
    } else if (key == "size") {
      auto [stop, bad] = std::from_chars(value.data(), value.data() + value.size(), long_size_);
      if (bad != std::errc() || stop != value.data() + value.size()) return malformed("a pax size");
      has_size_ = true;
    }
  }
  return {};
}

// ---- writing

namespace {

void put(std::string& header, Field field, std::string_view value) {
  value.copy(header.data() + field.at, std::min(value.size(), field.size));
}

std::string block(char type, std::string_view path, const TarEntry& entry, uint64_t size) {
  std::string header(TarReader::kBlock, '\0');
  put(header, kName, path);
  put(header, kMode, fmt::format("{:07o}", entry.mode & 0777));
  put(header, kUid, "0000000");
  put(header, kGid, "0000000");
  put(header, kSize, fmt::format("{:011o}", size & 077777777777));
  put(header, kTime, fmt::format("{:011o}", static_cast<uint64_t>(entry.modified) & 077777777777));
  put(header, kLink, entry.link);
  put(header, kMagic, std::string_view("ustar\0", 6));
  put(header, kVersion, "00");
  header[kType] = type;
  put(header, kChecksum, fmt::format("{:06o}", checksum(header)) + std::string("\0 ", 2));
  return header;
}

std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // ' ', '=', '\n'
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
  return fmt::format("{} {}={}\n", length, key, value);
}

}  // namespace

std::string tar_padding(uint64_t size) {
  return std::string(padding_of(size), '\0');
}

std::string tar_end() {
  return std::string(2 * TarReader::kBlock, '\0');
}

std::string tar_header(const TarEntry& entry) {
  constexpr uint64_t kMostOctal = 077777777777;
  static constexpr char kTypes[] = {'0', '5', '2', '1'};
  std::string extra;
  if (entry.path.size() > kName.size) extra += pax_record("path", entry.path);
  if (entry.link.size() > kLink.size) extra += pax_record("linkpath", entry.link);
  if (entry.size > kMostOctal) extra += pax_record("size", std::to_string(entry.size));
  std::string out;
  if (!extra.empty()) out = block('x', "pax", {}, extra.size()) + extra + tar_padding(extra.size());
  return out + block(kTypes[static_cast<size_t>(entry.kind)], entry.path, entry, entry.size);
}

}  // namespace saw::cli
