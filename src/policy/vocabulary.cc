#include "policy/vocabulary.h"

#include "base/result.h"

namespace saw::policy {
namespace {

constexpr auto kRequired = Presence::required;
constexpr auto kOptional = Presence::optional;
constexpr auto kList = Many::list;
constexpr auto kOne = Many::one;

constexpr uint64_t kMaxCpus = 1024, kMaxPids = 4'194'304, kMaxOpenFiles = 1'048'576;
constexpr uint64_t kMaxPerMinute = 1'000'000, kMaxConcurrent = 10'000, kMaxAgeDays = 3650;

constexpr Field word(std::string_view key, std::span<const std::string_view> words, std::string_view doc,
                     Presence presence = kOptional, Many many = kOne) {
  return {.key = key, .shape = Shape::word, .doc = doc, .presence = presence, .many = many, .words = words};
}
constexpr Field part(std::string_view key, const Object& object, std::string_view doc,
                     Presence presence = kOptional, Many many = kOne) {
  return {
      .key = key, .shape = Shape::object, .doc = doc, .presence = presence, .many = many, .object = &object};
}
constexpr Field number(std::string_view key, uint64_t least, uint64_t most, std::string_view doc,
                       Presence presence = kOptional) {
  return {.key = key, .shape = Shape::number, .doc = doc, .presence = presence, .least = least, .most = most};
}
constexpr Field when_field() {
  return part("when", kWhen, "the rule holds only for process trees with these labels");
}

constexpr Field kMetadataFields[] = {
    {"name", Shape::name, "what the policy is called", kRequired},
    {"description", Shape::text, "one line for people"},
};
constexpr Field kClassificationFields[] = {
    {"name", Shape::name, "the published data classification this policy was written against", kRequired},
    number("version", 1, UINT32_MAX, "its version", kRequired),
    {"sha256", Shape::sha256, "its digest, 64 lower-case hexadecimal digits", kRequired},
};
constexpr Field kFileLabelFields[] = {
    {"path", Shape::path, "a file or a directory with everything below it", kRequired},
    word("add", kTexts<kLabels>, "the label gained by whoever reads there", kRequired),
};
constexpr Field kFilesystemFields[] = {
    {"read", Shape::path, "path and everything below: read and execute", kOptional, kList},
    {"write", Shape::path, "path and everything below: read, write, create", kOptional, kList},
    {"deny", Shape::path, "wins over both", kOptional, kList},
    part("labels", kFileLabel, "labels gained by reading", kOptional, kList),
    word("runLater", kTexts<kRunLater>, "what happens to writes on run-later paths. Default quarantine"),
};
constexpr Field kProcessLimitsFields[] = {
    {"memory", Shape::bytes, "memory of the workspace"},
    number("pids", 1, kMaxPids, "processes and threads"),
    {.key = "cpus", .shape = Shape::decimal, .doc = "processors, at most three decimals", .most = kMaxCpus},
    number("openFiles", 1, kMaxOpenFiles, "open files of one process"),
    {"fileSize", Shape::bytes, "size of one file"},
    {"wallClock", Shape::duration, "time a command may run"},
};
constexpr Field kProcessFields[] = {part("limits", kProcessLimits, "what a sandbox may use up")};
constexpr Field kToFields[] = {
    {"hosts", Shape::host, "names, globs of names, or address literals", kRequired, kList},
    {.key = "ports",
     .shape = Shape::number,
     .doc = "Default 443; 80 with tls: none; required for tcp",
     .many = kList,
     .least = 1,
     .most = 65535},
    {"paths", Shape::glob, "path globs the entry is for. Default: all", kOptional, kList},
    {"addresses", Shape::range, "private address ranges this entry may reach", kOptional, kList},
};
constexpr Field kEntryLimitsFields[] = {
    number("requestsPerMinute", 1, kMaxPerMinute, "requests of the workspace to this entry"),
    number("concurrent", 1, kMaxConcurrent, "requests at one time"),
    {"uploadBytesPerHour", Shape::bytes, "bytes sent to this entry"},
    {"requestBytes", Shape::bytes, "how much of a body is held for judging. Default 1MiB, at most 1GiB"},
};
constexpr Field kEntryFields[] = {
    {"name", Shape::name, "unique; rules are called network.NAME.allow[0]", kRequired},
    part("to", kTo, "which destinations", kRequired),
    word("protocol", kTexts<kProtocols>, "what its rules understand. Default http"),
    word("tls", kTexts<kTlsModes>, "inspect (default), passthrough (no inspection, SNI must match), or none"),
    word("content", kTexts<kTrust>, "what an answer adds to the reader's labels. Default untrusted"),
    word("data", kTexts<kDataClasses>, "what an answer adds, and where it may go. Default public"),
    word("reach", kTexts<kReaches>,
         "is sending here an outward communication? Default external; internal where `addresses` is given"),
    {"credential", Shape::text, "the credential injected at egress"},
    part("limits", kEntryLimits, "limits for this entry"),
    {"allow", Shape::rules, "rules, or `all`"},
    {"review", Shape::rules, "rules whose requests wait for a person"},
    {"deny", Shape::rules, "rules that win over the others"},
};
constexpr Field kWhenLabelsFields[] = {
    word("all", kTexts<kLabels>, "the tree has all of these", kOptional, kList),
    word("any", kTexts<kLabels>, "the tree has one of these", kOptional, kList),
    word("none", kTexts<kLabels>, "the tree has none of these", kOptional, kList),
};
constexpr Field kWhenFields[] = {part("labels", kWhenLabels, "labels of the asking process tree", kRequired)};
constexpr Field kInjectFields[] = {
    {"header", Shape::text, "the field that is set", kRequired},
    {"format", Shape::text, "its value, with {secret} (or {basic:USER}) once", kRequired},
};
constexpr Field kCredentialFields[] = {
    {"secret", Shape::name, "its name in the secret store", kRequired},
    part("inject", kInject, "where it is put", kRequired),
    {"only", Shape::text, "the entries it may be used for", kRequired, kList},
};
constexpr Field kTrifectaFields[] = {
    word("privateAndUntrusted", kTexts<kTrifecta>,
         "the least effect on the outward leg of a tree that holds both labels. Default review"),
};
constexpr Field kReviewFields[] = {
    {"hold", Shape::duration, "how long a request waits on its connection. Default 30s, at most 10m"},
    {"expires", Shape::duration, "how long a review may be decided. Default 24h"},
    word("approvers", kTexts<kApprovers>, "who may not approve. Default: anybody entitled may"),
};
constexpr Field kRuntimeCredentialFields[] = {
    {"ttl", Shape::duration, "life of a runtime credential, 1s to 1h. Default 60s"},
};
constexpr Field kInferenceFields[] = {
    {"model", Shape::value, "a glob over the model's name", kRequired},
    {"via", Shape::text, "the entry that questions go through", kRequired},
    word("data", kTexts<kDataClasses>, "what may be asked with. Default [public]", kOptional, kList),
};
constexpr Field kPerDayFields[] = {
    number("calls", 1, INT64_MAX, "calls of tools and commands"),
    {"uploadBytes", Shape::bytes, "bytes sent to the outside"},
    number("tokens", 1, INT64_MAX, "tokens of models"),
};
constexpr Field kBudgetFields[] = {part("perDay", kPerDay, "what a workspace may use up in a day")};
constexpr Field kPolicyFields[] = {
    word("apiVersion", kTexts<kApiVersions>, "the language", kRequired),
    word("kind", kTexts<kKinds>, "what the document is", kRequired),
    part("metadata", kMetadata, "what the policy is called", kRequired),
    word("profile", kTexts<kProfiles>, "the properties that are checked", kRequired),
    word("isolation", kTexts<kIsolations>,
         "least isolation accepted. Default vm, and namespace for profile local"),
    {"strict", Shape::boolean, "a missing kernel feature aborts the start. Default false"},
    part("dataClassification", kClassification, "required where agents run unattended"),
    part("filesystem", kFilesystem, "which files"),
    part("process", kProcess, "how much of the machine"),
    part("network", kEntry, "entries; what none of them allows is denied", kOptional, kList),
    {.key = "credentials",
     .shape = Shape::objects,
     .doc = "secrets that are injected at egress",
     .object = &kCredential},
    part("trifecta", kTrifectaObject, "private data, untrusted content and a way out in one process tree"),
    part("review", kReview, "how reviews wait"),
    part("runtimeCredential", kRuntimeCredential, "credentials of calls"),
    part("inference", kInference, "which models may be asked, and with what", kOptional, kList),
    part("budget", kBudget, "what a workspace may use up"),
};

constexpr Field kHttpFields[] = {
    {"methods", Shape::method, "GET admits HEAD", kOptional, kList},
    {"paths", Shape::glob, "path globs", kOptional, kList},
    {"query", Shape::values, "parameters that must be present"},
    {"headers", Shape::values, "fields that must be present"},
    when_field(),
};
constexpr Field kGitFields[] = {
    word("op", kTexts<kGitOps>, "the operation", kRequired),
    {"repos", Shape::glob, "repositories, without .git", kOptional, kList},
    {"refs", Shape::glob, "full names of refs a push changes: refs/heads/main", kOptional, kList},
    when_field(),
};
constexpr Field kGraphqlFields[] = {
    word("types", kTexts<kOperationTypes>, "types of operation", kOptional, kList),
    {"names", Shape::glob, "names of operations; the client chooses them", kOptional, kList},
    {"fields", Shape::glob, "root fields, by their own names", kOptional, kList},
    when_field(),
};
constexpr Field kJsonrpcFields[] = {
    {"methods", Shape::glob, "methods, segments separated by '/'", kOptional, kList},
    {"params", Shape::values, "JSON pointers into params, and globs for the values there"},
    when_field(),
};
constexpr Field kMcpFields[] = {
    {"methods", Shape::glob, "methods: tools/call, notifications/*", kOptional, kList},
    {"tools", Shape::glob, "names of tools; such a rule is about tools/call only", kOptional, kList},
    {"arguments", Shape::values, "JSON pointers into the tool's arguments, and globs for the values there"},
    when_field(),
};
constexpr Field kWebsocketFields[] = {
    {"paths", Shape::glob, "paths of the upgrade", kOptional, kList},
    {"messages", Shape::value, "globs over whole text messages of the client", kOptional, kList},
    word("binary", kTexts<kBinary>, "whether binary messages follow the upgrade's effect. Default deny"),
    when_field(),
};
constexpr Field kRegistryFields[] = {
    word("ecosystem", kTexts<kEcosystems>, "whose protocol the registry speaks", kRequired),
    word("op", kTexts<kRegistryOps>, "the operation", kRequired),
    {"packages", Shape::glob, "names: left-pad, @acme/*, github.com/acme/**, org.acme:*", kOptional, kList},
    number("minAgeDays", 1, kMaxAgeDays, "versions published later than this many days ago do not count"),
    when_field(),
};
constexpr Field kTcpFields[] = {when_field()};

constexpr Object kRuleObjects[] = {
    {"a rule of protocol http", kHttpFields},         {"a rule of protocol git", kGitFields},
    {"a rule of protocol graphql", kGraphqlFields},   {"a rule of protocol jsonrpc", kJsonrpcFields},
    {"a rule of protocol mcp", kMcpFields},           {"a rule of protocol websocket", kWebsocketFields},
    {"a rule of protocol registry", kRegistryFields}, {"a rule of protocol tcp", kTcpFields},
};

}  // namespace

constexpr Object kPolicy = {"a policy", kPolicyFields};
constexpr Object kMetadata = {"metadata", kMetadataFields};
constexpr Object kClassification = {"dataClassification", kClassificationFields};
constexpr Object kFilesystem = {"filesystem", kFilesystemFields};
constexpr Object kFileLabel = {"a file label", kFileLabelFields};
constexpr Object kProcess = {"process", kProcessFields};
constexpr Object kProcessLimits = {"process.limits", kProcessLimitsFields};
constexpr Object kEntry = {"a network entry", kEntryFields};
constexpr Object kTo = {"to", kToFields};
constexpr Object kEntryLimits = {"limits", kEntryLimitsFields};
constexpr Object kWhen = {"when", kWhenFields};
constexpr Object kWhenLabels = {"when.labels", kWhenLabelsFields};
constexpr Object kCredential = {"a credential", kCredentialFields};
constexpr Object kInject = {"inject", kInjectFields};
constexpr Object kTrifectaObject = {"trifecta", kTrifectaFields};
constexpr Object kReview = {"review", kReviewFields};
constexpr Object kRuntimeCredential = {"runtimeCredential", kRuntimeCredentialFields};
constexpr Object kInference = {"an inference rule", kInferenceFields};
constexpr Object kBudget = {"budget", kBudgetFields};
constexpr Object kPerDay = {"budget.perDay", kPerDayFields};

const Object& rule_object(Protocol protocol) {
  return kRuleObjects[static_cast<size_t>(protocol)];
}

Bounds bounds_of(const Object& object, std::string_view key) {
  for (const Field& field : object.fields)
    if (field.key == key) return {field.least, field.most};
  SAW_CHECK(false);
  return {};
}

}  // namespace saw::policy
