#include "egress/credentials.h"

#include <algorithm>

#include "base/bytes.h"

namespace saw::egress {
namespace {

bool fits_in_header(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string same_length(std::string_view placeholder, size_t length) {
  std::string out(placeholder.substr(0, length));
  out.resize(length, '*');
  return out;
}

// "Basic dXNlcjpwYXNz" → "user:pass"; nullopt for anything else.
std::optional<std::string> decode_basic(std::string_view text) {
  constexpr std::string_view kScheme = "basic ";
  if (text.size() <= kScheme.size()) return std::nullopt;
  for (size_t i = 0; i < kScheme.size(); ++i)
    if ((text[i] | 0x20) != kScheme[i] && text[i] != kScheme[i]) return std::nullopt;
  return from_base64(text.substr(kScheme.size()));
}

// What a server may make of a text when it writes it into an address or into JSON.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kStays = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  std::string out;
  for (char c : text) {
    if (kStays.find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}
std::string slash_escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '/' || c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Beside the secret: what it is the coding of ("Basic {secret}" with base64("user:password")), and its
// spellings.
void add_forms(RenderedCredential& credential) {
  std::vector<std::string>& forms = credential.sensitive;
  if (auto plain = decode_basic(credential.value)) {
    forms.push_back(*plain);
    forms.push_back(plain->substr(plain->find(':') + 1));
  }
  const size_t plain_forms = forms.size();
  for (size_t i = 0; i < plain_forms; ++i) {
    forms.push_back(percent_encoded(forms[i]));
    forms.push_back(slash_escaped(forms[i]));
  }
  std::ranges::sort(forms);
  const auto twice = std::ranges::unique(forms);
  forms.erase(twice.begin(), twice.end());
}

}  // namespace

Result<RenderedCredential> render_credential(std::string_view format, std::string_view secret) {
  constexpr std::string_view kBasic = "basic:";
  RenderedCredential out{{}, {std::string(secret)}};
  while (!format.empty()) {
    size_t open = format.find('{');
    out.value += format.substr(0, open);
    if (open == std::string_view::npos) break;
    size_t close = format.find('}', open);
    if (close == std::string_view::npos) return Error::make("credential.format", "a '{{' without its '}}'");
    std::string_view name = format.substr(open + 1, close - open - 1);
    format.remove_prefix(close + 1);
    if (name == "secret") {
      out.value += secret;
    } else if (name.starts_with(kBasic)) {
      std::string encoded = to_base64(fmt::format("{}:{}", name.substr(kBasic.size()), secret));
      out.value += encoded;
      out.sensitive.push_back(std::move(encoded));
    } else {
      return Error::make("credential.format", "unknown '{{{}}}': known are {{secret}} and {{basic:USER}}",
                         name);
    }
  }
  if (!fits_in_header(out.value))
    return Error::make("credential.value", "the secret holds bytes that a header cannot carry");
  add_forms(out);
  return out;
}

PlaceholderScanner::PlaceholderScanner(std::map<std::string, std::string> name_to_placeholder)
    : placeholders_(std::move(name_to_placeholder)) {
  std::erase_if(placeholders_, [](const auto& item) { return item.second.empty(); });
  for (const auto& [name, placeholder] : placeholders_) longest_ = std::max(longest_, placeholder.size());
}

std::optional<std::string> PlaceholderScanner::feed(std::string_view part) {
  if (placeholders_.empty()) return std::nullopt;
  tail_ += part;
  for (const auto& [name, placeholder] : placeholders_)
    if (tail_.find(placeholder) != std::string::npos) return name;
  if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ - 1));
  return std::nullopt;
}

std::optional<std::string> PlaceholderScanner::find(std::string_view text) const {
  if (placeholders_.empty()) return std::nullopt;
  std::optional<std::string> basic = decode_basic(text);
  for (const auto& [name, placeholder] : placeholders_)
    if (text.find(placeholder) != std::string_view::npos ||
        (basic && basic->find(placeholder) != std::string::npos))
      return name;
  return std::nullopt;
}

Redactor::Redactor(std::vector<Needle> needles) : needles_(std::move(needles)) {
  std::erase_if(needles_, [](const Needle& n) { return n.secret.size() < kMinSecret; });
  // Longer ones first: where one secret is part of another, the whole goes.
  std::ranges::sort(needles_,
                    [](const Needle& a, const Needle& b) { return a.secret.size() > b.secret.size(); });
}

// The longest end of pending_ that is the beginning of a secret.
size_t Redactor::held_back() const {
  size_t longest = 0;
  for (const Needle& n : needles_) {
    for (size_t size = std::min(n.secret.size() - 1, pending_.size()); size > longest; --size)
      if (std::string_view(pending_).ends_with(std::string_view(n.secret).substr(0, size))) longest = size;
  }
  return longest;
}

std::string Redactor::feed(std::string_view part) {
  if (needles_.empty()) return std::string(part);
  pending_ += part;
  for (const Needle& n : needles_) {
    for (size_t at = pending_.find(n.secret); at != std::string::npos; at = pending_.find(n.secret, at)) {
      pending_.replace(at, n.secret.size(), same_length(n.placeholder, n.secret.size()));
      at += n.secret.size();
      ++replaced_;
    }
  }
  size_t ready = pending_.size() - held_back();
  std::string out = pending_.substr(0, ready);
  pending_.erase(0, ready);
  return out;
}

std::string Redactor::finish() {
  return std::exchange(pending_, {});
}

std::string Redactor::text(std::string_view whole) const {
  std::string out(whole);
  for (const Needle& n : needles_) {
    for (size_t at = out.find(n.secret); at != std::string::npos; at = out.find(n.secret, at)) {
      out.replace(at, n.secret.size(), n.placeholder);
      at += n.placeholder.size();
    }
  }
  return out;
}

}  // namespace saw::egress
