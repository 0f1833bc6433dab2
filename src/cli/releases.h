// What the commands about signed releases share: the trust file, a key with its passphrase, and the options that name
// them. They work on files alone and need no daemon.
#pragma once

#include <string>
#include <string_view>

#include "base/flat_directory.h"
#include "base/keys.h"
#include "cli/context.h"
#include "release/verify.h"

namespace saw::cli {

extern const Option kTrustOption, kKeyOption, kPassphraseOption, kChannelOption, kTreeOption, kWhyOption;

// The option's value, or the usage error that it is missing.
Attempt<std::string> needed(const Context& context, std::string_view option, std::string_view what);
Attempt<release::Trust> load_trust(const Context& context);
// --key with --passphrase-file.
Attempt<PrivateKey> load_key(const Context& context);
// The passphrase of --passphrase-file without its newline; empty: none was given.
Attempt<std::string> load_passphrase(const Context& context);
// --why, of a length that the formats take.
Attempt<std::string> load_why(const Context& context);
// The release directory that `path` names.
Attempt<FlatDirectory> load_release(const Context& context, const std::string& path);

// A verdict as a person reads it: the reason with its code, as diagnostics have it.
template <class T> Attempt<T> judged(Result<T> verdict) {
  if (verdict) return std::move(*verdict);
  Failure failure = as_failure(std::move(verdict).error());
  failure.reason += fmt::format(" [{}]", failure.code);
  return std::unexpected(std::move(failure));
}
nlohmann::json to_json(const release::Verified& verified);

}  // namespace saw::cli
