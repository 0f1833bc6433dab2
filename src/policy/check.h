// What can only be judged with the whole policy in view: names, references, ambiguity between entries, and
// the profile's promises.
#pragma once

#include "policy/document.h"
#include "policy/reader.h"

namespace saw::policy {

// Names are unique, references lead somewhere, no two entries can match one request and treat it differently;
// warns of what has no effect.
void check_document(const Document& document, Reader& reader);

// Whether the rule constrains nothing but the labels of who asks.
bool says_only_labels(const Rule& rule);

// Whether an allow rule lets content leave without a person and without naming the exact operation: path, ref, field, tool, … (policy.md,
// "Profiles").
bool writes_freely(const Entry& entry, const Rule& rule);

// Whether the rule, of allow or review, is about anything but reading. What only the server knows (a tool, a procedure, a message) may
// write.
bool may_write(const Entry& entry, const Rule& rule);

// The profile as a checked property (profile.cc): errors, or for `local` one warning per relaxation.
void check_profile(const Document& document, Reader& reader);

}  // namespace saw::policy
