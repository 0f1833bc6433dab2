// secret …: what is injected at egress and never seen inside. Values go in; only names and metadata come out.
#include <cerrno>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr size_t kMaxSecret = 64u << 10;

Attempt<std::string> read_secret(const Context& context) {
  if (context.input.terminal)
    context.out.note("type the secret, then Ctrl-D (it is echoed; better pipe it in)");
  std::string value;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(context.input.fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return std::unexpected(
          as_failure(Error::from_errno("io.read", errno, "reading the secret from stdin")));
    if (got == 0) break;
    value.append(buffer, static_cast<size_t>(got));
    if (value.size() > kMaxSecret)
      return fail(Exit::usage, "cli.usage", "a secret is at most {} bytes long", kMaxSecret);
  }
  // The newline that echo and editors add is not meant.
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.empty())
    return fail(Exit::usage, "cli.usage",
                "stdin holds no secret: pipe it in, as in 'saw secret put NAME < file'");
  return value;
}

Outcome store(Context& context, std::string_view done) {
  const std::string name = context.args.text("NAME");
  const json body = {{"value_base64", to_base64(CLI_TRY(read_secret(context)))}};
  context.out.json(CLI_TRY(call(context, "PUT", fmt::format("/v1/secrets/{}", url_segment(name)), body)));
  context.out.note(fmt::format("secret {} is {}", name, done));
  return 0;
}

Outcome secret_put(Context& context) {
  return store(context, "stored");
}

Outcome secret_rotate(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/secrets"));
  for (const json& s : list_of(answer, "secrets"))
    if (text_of(s, "name") == context.args.text("NAME"))
      return store(context, "rotated; running agents use the new value from now on");
  return fail(Exit::failed, "secret.not_found",
              "there is no secret '{}' to rotate; 'saw secret put' makes one", context.args.text("NAME"));
}

Outcome secret_list(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/secrets"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& s : list_of(answer, "secrets"))
    rows.push_back({text_of(s, "name"), text_of(s, "version"), text_of(s, "created"), text_of(s, "updated")});
  context.out.table({"NAME", "VERSION", "CREATED", "UPDATED"}, rows, "no secrets");
  return 0;
}

Outcome secret_remove(Context& context) {
  const std::string name = context.args.text("NAME");
  context.out.json(CLI_TRY(call(context, "DELETE", fmt::format("/v1/secrets/{}", url_segment(name)))));
  context.out.note(fmt::format("secret {} is gone", name));
  return 0;
}

}  // namespace

std::vector<Command> secret_commands() {
  const Positional name = {"NAME", "the name that policies use"};
  return {
      {.path = "secret put",
       .summary = "store a secret, read from stdin",
       .positionals = {name},
       .text = "One newline at the end is dropped. The value never comes back: agents see a placeholder, the "
               "real one is injected at egress.",
       .examples = {"saw secret put github-token < token.txt",
                    "pass show github | saw secret put github-token"},
       .run = secret_put},
      {.path = "secret list",
       .summary = "names and versions, never values",
       .examples = {"saw secret list"},
       .run = secret_list},
      {.path = "secret rotate",
       .summary = "replace a secret by one read from stdin",
       .positionals = {name},
       .text = "Running agents go on with their placeholder; the new value is used from the next request on.",
       .examples = {"saw secret rotate github-token < new-token.txt"},
       .run = secret_rotate},
      {.path = "secret rm",
       .summary = "remove a secret",
       .positionals = {name},
       .examples = {"saw secret rm github-token"},
       .run = secret_remove},
  };
}

}  // namespace saw::cli
