#include "control/secrets.h"

#include "control/agents.h"

namespace saw::control {
namespace {

std::string context(std::string_view owner, std::string_view name) {
  return fmt::format("secret/{}/{}", owner, name);
}
SecretView to_view(const store::Secret& s) {
  return {.name = s.name, .created = s.created, .updated = s.updated, .version = s.version};
}

// It becomes part of a header: no control characters, and not empty.
Result<> check_value(std::string_view value) {
  if (value.empty() || value.size() > Secrets::kMaxBytes)
    return Error::make("request.secret", "a secret has 1 to {} bytes", Secrets::kMaxBytes);
  for (unsigned char byte : value)
    if (byte < 0x20 || byte == 0x7f)
      return Error::make("request.secret", "a secret cannot contain control characters (a line end?)");
  return {};
}

}  // namespace

std::string secret_variable(std::string_view secret) {
  std::string out;
  for (char c : secret) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    out.push_back((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
  }
  return out;
}

Result<SecretView> Secrets::put(const Caller& caller, const std::string& name, std::string value) {
  SAW_TRY(check_name("secret", name));
  SAW_TRY(check_value(value));
  if (!plane_.audit.available())
    return Error::make("audit.unavailable", "the audit log cannot be written: no secret is stored");
  auto before = SAW_TRY(plane_.store.secret(caller.sponsor, name));
  if (!before && SAW_TRY(plane_.store.secrets(caller.sponsor)).size() >= kMaxPerOwner)
    return Error::make("secret.conflict", "you have {} secrets already", kMaxPerOwner);
  const Nanos now = plane_.clock.now();
  store::Secret secret{.owner = caller.sponsor,
                       .name = name,
                       .sealed = plane_.keys.sealer.seal(value, context(caller.sponsor, name)),
                       .version = before ? before->version + 1 : 1,
                       .created = before ? before->created : now,
                       .updated = now};
  SAW_TRY(plane_.store.put(secret), "storing a secret");
  record(caller, name, before ? "rotate" : "put",
         before ? audit::ApiActivity::Activity::update : audit::ApiActivity::Activity::create);
  on_change_(caller.sponsor, name);
  return to_view(secret);
}

Result<> Secrets::remove(const Caller& caller, const std::string& name) {
  if (!SAW_TRY(plane_.store.remove_secret(caller.sponsor, name)))
    return Error::make("secret.not_found", "there is no secret '{}'", name);
  record(caller, name, "remove", audit::ApiActivity::Activity::remove);
  on_change_(caller.sponsor, name);
  return {};
}

Result<std::vector<SecretView>> Secrets::list(const Caller& caller) const {
  std::vector<SecretView> out;
  for (const store::Secret& secret : SAW_TRY(plane_.store.secrets(caller.sponsor)))
    out.push_back(to_view(secret));
  return out;
}

Result<bool> Secrets::exists(const std::string& owner, const std::string& name) const {
  return SAW_TRY(plane_.store.secret(owner, name)).has_value();
}

Result<std::optional<std::string>> Secrets::reveal(const std::string& owner, const std::string& name) const {
  auto secret = SAW_TRY(plane_.store.secret(owner, name));
  if (!secret) return std::nullopt;
  return SAW_TRY(plane_.keys.sealer.unseal(secret->sealed, context(owner, name)),
                 fmt::format("opening secret '{}'", name));
}

void Secrets::record(const Caller& caller, const std::string& name, std::string_view verb,
                     audit::ApiActivity::Activity activity) {
  auto e = event<audit::ApiActivity>(plane_, {.sponsor = caller.sponsor}, audit::Verdict::allowed,
                                     fmt::format("{}: {} secret '{}'", caller.sponsor, verb, name));
  e.activity = activity;
  e.operation = fmt::format("secret.{}", verb);
  e.object_kind = "secret";
  e.object_id = e.object_name = name;
  plane_.audit.record(audit::api_activity(e));
}

}  // namespace saw::control
