// The language's own description, made from the tables the reader reads by (vocabulary.h).
#pragma once

#include <string>

namespace saw::policy {

// JSON Schema (draft 2020-12) of a policy: for editors, and for whoever writes policies with other tools. It accepts everything the reader
// accepts; what needs more than one place to judge (ambiguity, profiles, globs) it leaves to `saw policy lint`.
std::string json_schema();

// The tables of docs/policy.md, one a section.
std::string reference_markdown();

}  // namespace saw::policy
