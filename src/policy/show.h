// A document as stable text, with every default spelled out: what `saw policy show` prints and golden tests
// compare.
#pragma once

#include <string>

#include "policy/document.h"

namespace saw::policy {

std::string show(const Document& document);

}  // namespace saw::policy
