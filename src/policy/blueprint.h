// A blueprint: what an agent of one kind is for, who answers for it, and the policy it runs under (R96).
//
//   auto blueprint = Blueprint::read(yaml_text, "coding.yaml");       // Diagnostics: a missing field is an error
//   for (const Diagnostic& d : blueprint->differs_from(policy)) …     // claims that its policy does not bear out
//
// Every field is required. Prose stays prose; what a program can check is checked against the policy whose metadata.name `policy` is:
// `services` are exactly the entries that admit anything, `dataScope` covers what they and the files carry, and no rule writes beyond
// `writePermission`. Nothing here opens a file.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"

namespace saw::policy {

enum class WritePermission : uint8_t {
  none,      // nothing but reading
  reviewed,  // each write waits for a person
  named,  // to the outside, writes that the policy names exactly pass and the others wait; inside, its rules decide
  any,  // nothing is held: for public data
};

struct Blueprint {
  std::string file, name, description;
  std::string goal;
  std::vector<std::string> tools, services;
  std::vector<DataClass> data_scope;
  WritePermission write_permission = WritePermission::none;
  std::string review_gate, logging, owner, cadence, contact, deprecation, policy;
  Place services_place, data_scope_place, write_permission_place;

  static std::expected<Blueprint, Diagnostics> read(std::string_view yaml, std::string_view file);
  Diagnostics differs_from(const Policy& policy) const;
};

// Whether a text is a blueprint rather than a policy: its `kind` says so.
bool is_blueprint(std::string_view yaml);

}  // namespace saw::policy
