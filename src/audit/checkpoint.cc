#include "audit/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/bytes.h"

namespace saw::audit {
namespace {

constexpr std::string_view kSignatureMark = "\xe2\x80\x94 ";  // an em dash and a space
constexpr std::string_view kIndexMark = "saw-index-v1 ";
constexpr char kEd25519 = 1;  // signature type of c2sp.org/signed-note

std::string key_id(std::string_view origin, std::string_view public_key) {
  Digest d = sha256({origin, "\n", std::string_view(&kEd25519, 1), public_key});
  return std::string(view(d).substr(0, 4));
}

// Takes one line, without its '\n', off the front of `text`.
std::optional<std::string_view> take_line(std::string_view& text) {
  size_t end = text.find('\n');
  if (end == text.npos) return {};
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0'))
    return {};
  return value;
}

std::optional<Digest> parse_digest(std::string_view text) {
  auto bytes = from_base64(text);
  Digest digest;
  if (!bytes || bytes->size() != digest.size()) return {};
  bytes->copy(reinterpret_cast<char*>(digest.data()), digest.size());
  return digest;
}

// The body of a note, its '\n' included, and the signature lines after the empty line.
struct Note {
  std::string_view body, signatures;
};
std::optional<Note> split(std::string_view note) {
  size_t gap = note.find("\n\n");
  if (gap == note.npos || note.size() > kMaxCheckpoint || !note.ends_with('\n')) return {};
  Note out{note.substr(0, gap + 1), note.substr(gap + 2)};
  if (out.signatures.empty()) return {};
  return out;
}

}  // namespace

bool is_origin(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '+'; });
}

std::string checkpoint_body(const Checkpoint& cp) {
  std::string body = fmt::format("{}\n{}\n{}\n", cp.origin, cp.size, to_base64(view(cp.root)));
  if (cp.index) body += fmt::format("{}{}\n", kIndexMark, to_base64(view(*cp.index)));
  return body;
}

std::string checkpoint_note(const Checkpoint& cp, std::string_view public_key, std::string_view signature) {
  std::string signed_by = key_id(cp.origin, public_key) + std::string(signature);
  return fmt::format("{}\n{}{} {}\n", checkpoint_body(cp), kSignatureMark, cp.origin, to_base64(signed_by));
}

Result<Checkpoint> parse_checkpoint(std::string_view note) {
  auto malformed = [](std::string_view what) {
    return Error::make("audit.checkpoint", "the checkpoint is malformed: {}", what);
  };
  auto parts = split(note);
  if (!parts) return malformed("it is not a signed note");
  auto origin = take_line(parts->body), size = take_line(parts->body), root = take_line(parts->body);
  if (!origin || !size || !root) return malformed("its body does not have three lines");
  auto count = parse_size(*size);
  auto hash = parse_digest(*root);
  if (!is_origin(*origin)) return malformed("its origin");
  if (!count) return malformed("its size is not a number");
  if (!hash) return malformed("its root is not a hash");
  Checkpoint cp{std::string(*origin), *count, *hash, {}};
  for (size_t extensions = 0; auto line = take_line(parts->body);) {
    if (line->empty() || ++extensions > kMaxExtensions) return malformed("its extension lines");
    if (!line->starts_with(kIndexMark)) continue;
    auto index = parse_digest(line->substr(kIndexMark.size()));
    if (!index || cp.index) return malformed("its index");
    cp.index = *index;
  }
  return cp;
}

Result<Checkpoint> open_checkpoint(std::string_view note, std::string_view origin,
                                   std::string_view public_key) {
  Checkpoint cp = SAW_TRY(parse_checkpoint(note));
  if (cp.origin != origin)
    return Error::make("audit.origin", "the checkpoint is of log '{}', not of '{}'", cp.origin, origin);
  Note parts = *split(note);
  const std::string prefix = fmt::format("{}{} ", kSignatureMark, origin), id = key_id(origin, public_key);
  bool valid = false;
  while (auto line = take_line(parts.signatures)) {
    if (!line->starts_with(kSignatureMark))
      return Error::make("audit.checkpoint", "the checkpoint is malformed: a signature line");
    if (!line->starts_with(prefix)) continue;
    auto bytes = from_base64(line->substr(prefix.size()));
    if (!bytes || !bytes->starts_with(id)) continue;
    if (!verify_signature(public_key, parts.body, std::string_view(*bytes).substr(id.size()))) break;
    valid = true;
  }
  if (valid) return cp;
  return Error::make("audit.signature", "the checkpoint is not signed by this log's key");
}

}  // namespace saw::audit
