// YAML of the language saw/v1 into a Document: every field known and of its type, every default filled in.
//
// What is wrong is recorded in the Reader; the Document is then whatever could be read and must not be used.
// What needs several parts of a policy at once is in check.h.
#pragma once

#include "policy/document.h"
#include "policy/reader.h"

namespace saw::policy {

Document read_document(const yaml::Node& root, Reader& reader);

// The parts of read_document, each in its own file.
void read_network(const yaml::Node& node, Reader& reader, Document& out);  // read_network.cc
void read_rules(const yaml::Node& entry, Reader& reader, Entry& out);  // read_rules.cc: allow, review, deny
// An identifier that can stand in rule ids, events and file names.
std::optional<std::string> read_name(const yaml::Node& node, Reader& reader, std::string_view what);

}  // namespace saw::policy
