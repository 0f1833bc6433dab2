#include "identity/jws.h"

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/strict_json.h"
#include "identity/members.h"

namespace saw::identity {
namespace {

using Json = nlohmann::json;
constexpr std::string_view kAlgorithm = "EdDSA";

std::unexpected<Error> refuse(const JwsKind& kind, std::string_view code, std::string_view what) {
  return std::unexpected(
      Error{fmt::format("{}{}", kind.prefix, code), fmt::format("the {} {}", kind.noun, what), 0});
}

// The header decides nothing: it must be the one that this key's statements have.
Result<> check_header(const JwsKind& kind, std::string_view text, std::string_view public_key) {
  if (!is_strict_json_object(text)) return refuse(kind, "malformed", "has a header that is not strict JSON");
  const Json j = Json::parse(text, nullptr, false);
  auto alg = j.find("alg");
  if (alg == j.end() || !alg->is_string()) return refuse(kind, "malformed", "names no algorithm");
  if (*alg != kAlgorithm) return refuse(kind, "alg", "has an algorithm that is not EdDSA");
  std::string algorithm, type, kid;
  if (!Members(j).text("alg", algorithm).text("typ", type).text("kid", kid).complete() || type != kind.type)
    return refuse(kind, "malformed", "has another header than its kind");
  if (kid != key_id(public_key)) return refuse(kind, "signature", "is signed by another key");
  return {};
}

}  // namespace

std::string key_id(std::string_view public_key) {
  constexpr size_t kBytes = 12;
  return to_base64url(view(sha256(public_key)).substr(0, kBytes));
}

std::string seal_jws(const JwsKind& kind, const SigningKey& key, std::string_view payload) {
  const std::string header =
      Json{{"alg", kAlgorithm}, {"typ", kind.type}, {"kid", key_id(key.public_key())}}.dump();
  std::string token = to_base64url(header) + "." + to_base64url(payload);
  return token + "." + to_base64url(key.sign(token));
}

Result<std::string> open_jws(const JwsKind& kind, std::string_view public_key, std::string_view token) {
  const size_t first = token.find('.'), second = token.find('.', first == token.npos ? first : first + 1);
  if (token.size() > kind.most || second == token.npos || token.find('.', second + 1) != token.npos)
    return refuse(kind, "malformed", "is not a compact JWS");
  auto head = from_base64url(token.substr(0, first));
  auto body = from_base64url(token.substr(first + 1, second - first - 1));
  auto signature = from_base64url(token.substr(second + 1));
  if (!head || !body || !signature) return refuse(kind, "malformed", "is not base64url");
  SAW_TRY(check_header(kind, *head, public_key));
  if (!verify_signature(public_key, token.substr(0, second), *signature))
    return refuse(kind, "signature", "has a signature that is not valid");
  return std::move(*body);
}

std::string jwks(std::string_view public_key) {
  return Json{{"keys", Json::array({{{"kty", "OKP"},
                                     {"crv", "Ed25519"},
                                     {"alg", kAlgorithm},
                                     {"use", "sig"},
                                     {"kid", key_id(public_key)},
                                     {"x", to_base64url(public_key)}}})}}
      .dump();
}

}  // namespace saw::identity
