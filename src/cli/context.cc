#include "cli/context.h"

#include <filesystem>

#include <nlohmann/json.hpp>

namespace saw::cli {

using nlohmann::json;

Failure failure_of(const Error& error, const Places& places) {
  Failure failure = as_failure(error, Exit::saw_failed);
  if (error.code == "client.no_daemon") failure.ask = "start it with 'saw up'";
  if (error.code == "client.not_permitted")
    failure.ask = fmt::format("ask who runs SAW for access to {}", places.socket);
  if (error.code == "client.timeout" || error.code == "client.lost")
    failure.ask = fmt::format("saw status; the log is {}/log/saw.log", places.directory);
  return failure;
}

bool still_recovering(const Result<Reply>& reply) {
  return reply && reply->status == 503 && failure_of(*reply).code == "control.not_ready";
}
bool still_recovering(const Result<ExecResult>& result) {
  return result && result->refused && result->refused->status == 503 &&
         failure_of(*result->refused).code == "control.not_ready";
}

Failure failure_of(const Reply& reply) {
  auto exit_of = [](int status) {
    switch (status) {
      case 400:
        return Exit::usage;
      case 401:
      case 403:
        return Exit::refused;
      case 404:
      case 409:
        return Exit::failed;
      default:
        return Exit::saw_failed;
    }
  };
  Failure failure{.exit = exit_of(reply.status), .code = fmt::format("http.{}", reply.status)};
  const json body = json::parse(reply.body, nullptr, false);
  if (body.is_object() && body.contains("error") && body["error"].is_object()) {
    const json& error = body["error"];
    if (std::string code = text_of(error, "code"); !code.empty()) failure.code = std::move(code);
    failure.reason = text_of(error, "reason");
    failure.layer = text_of(error, "layer");
    failure.rule = text_of(error, "rule");
    failure.ask = text_of(error, "ask");
  }
  if (failure.reason.empty())
    failure.reason = fmt::format("the daemon answered {} without saying why", reply.status);
  return failure;
}

Attempt<json> call(Context& context, const std::string& method, const std::string& target) {
  return call(context, method, target, json());
}

Attempt<json> call(Context& context, const std::string& method, const std::string& target, const json& body) {
  const std::string text = body.is_null() ? "" : body.dump(-1, ' ', false, json::error_handler_t::replace);
  auto reply = when_recovered(context, [&] { return context.api.request(method, target, text); });
  if (!reply) return std::unexpected(failure_of(reply.error(), context.places));
  if (reply->status < 200 || reply->status > 299) return std::unexpected(failure_of(*reply));
  json answer = json::parse(reply->body.empty() ? "{}" : reply->body, nullptr, false);
  if (!answer.is_object())
    return fail(Exit::saw_failed, "client.malformed", "the daemon's answer to {} {} is not a JSON object",
                method, target);
  return answer;
}

std::string text_of(const json& object, std::string_view member) {
  if (!object.is_object()) return {};
  const auto found = object.find(member);
  if (found == object.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

const json& list_of(const json& object, std::string_view member) {
  static const json empty = json::array();
  if (!object.is_object()) return empty;
  const auto found = object.find(member);
  return found != object.end() && found->is_array() ? *found : empty;
}

std::string absolute(const Places& places, std::string_view path) {
  return (std::filesystem::path(places.current) / std::filesystem::path(path)).lexically_normal().string();
}

}  // namespace saw::cli
