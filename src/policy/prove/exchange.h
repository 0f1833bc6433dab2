// What `saw` and saw-prove say to each other: two policies on stdin, one line of JSON on stdout.
//
//   within 1034 2210\n<1034 bytes: the candidate><2210 bytes: the ceiling>
//   {"verdict":"counterexample","matter":"effect","request":"{\"host\":…}"}
//
// Total on any bytes: what cannot be read is answered {"verdict":"unknown","reason":…}.
#pragma once

#include <string>
#include <string_view>

#include "policy/prove/prove.h"

namespace saw::policy::prove {

constexpr size_t kMaxQuestion = (8u << 20) + 64;
std::string answer_question(std::string_view question, const Options& options);

}  // namespace saw::policy::prove
