// Putting a real credential into a request, and keeping it out of everything the agent sees.
//
//   auto injected = SAW_TRY(render_credential("Bearer {secret}", secret));          // .value for the header,
//   .sensitive for the redactor PlaceholderScanner scanner(placeholders_of_other_secrets); if (auto name =
//   scanner.feed(body_part)) deny_misuse(*name); Redactor redactor(std::move(needles));
//   send(redactor.feed(part)); … send(redactor.finish());
//
// Formats: any text with {secret}, and {basic:USER} for base64("USER:" + secret) (RFC 7617). Everything here
// is pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace saw::egress {

struct RenderedCredential {
  std::string value;  // of the header
  std::vector<std::string>
      sensitive;  // every form of the secret that is in it, and that servers may make of it
};
// Errors: "credential.format" (an unknown {…}), "credential.value" (the secret holds bytes that a header
// cannot).
Result<RenderedCredential> render_credential(std::string_view format, std::string_view secret);

// Looks for strings in a stream that comes in parts, whatever the places where it is cut.
class PlaceholderScanner {
 public:
  explicit PlaceholderScanner(std::map<std::string, std::string> name_to_placeholder);
  // The name whose placeholder occurs in what came so far.
  std::optional<std::string> feed(std::string_view part);
  // In one piece of text, and in the user and password of a Basic credential that is part of it.
  std::optional<std::string> find(std::string_view text) const;
  bool empty() const { return placeholders_.empty(); }

 private:
  std::map<std::string, std::string> placeholders_;
  size_t longest_ = 0;
  std::string tail_;
};

struct Needle {
  std::string secret, placeholder;
};

// Replaces secrets in a stream. In a body the length stays the same (the placeholder is cut, or filled up
// with '*'), so that a declared length stays true; only bytes that could be the start of a secret are held
// back. Secrets under kMinSecret bytes are not looked for.
class Redactor {
 public:
  static constexpr size_t kMinSecret = 4;
  explicit Redactor(std::vector<Needle> needles);
  std::string feed(std::string_view part);
  std::string finish();                            // what was held back
  std::string text(std::string_view whole) const;  // one header value; the placeholder in full
  bool empty() const { return needles_.empty(); }
  size_t replaced() const { return replaced_; }

 private:
  size_t held_back() const;
  std::vector<Needle> needles_;
  std::string pending_;
  size_t replaced_ = 0;
};

}  // namespace saw::egress
