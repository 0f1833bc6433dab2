// The questions that Z3 answers, put to cvc5 (Debian's program of that name) as well.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/file.h"
#include "policy/prove/prove.h"
#include "policy/prove/random_policy.h"

namespace saw::policy::prove {
namespace {

struct Question {
  std::string smt2;
  bool satisfiable;
};

// "sat", "unsat", or whatever else it says.
std::string ask_cvc5(const std::string& file) {
  const std::string command = "timeout 20 cvc5 --lang smt2 --force-logic=QF_BV '" + file + "' 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot start";
  std::array<char, 256> line{};
  std::string out;
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) out += line.data();
  ::pclose(pipe);
  return out.substr(0, out.find('\n'));
}

TEST(SecondOpinion, cvc5_agrees_with_z3_about_random_pairs) {
  if (std::system("command -v cvc5 >/dev/null 2>&1") != 0) GTEST_SKIP() << "cvc5 is not installed";
  std::vector<Question> questions;
  AskOptions ask{.listener = [&](std::string smt2, bool satisfiable) {
    questions.push_back({std::move(smt2), satisfiable});
  }};
  constexpr size_t kQuestions = 40;
  for (unsigned seed = 1000; questions.size() < kQuestions; ++seed) {
    const auto [mine, theirs] = PolicyMaker(seed).pair();
    const auto candidate = Policy::compile(mine, "c"), ceiling = Policy::compile(theirs, "l");
    if (candidate && ceiling) prove_within(candidate->document(), ceiling->document(), {.ask = ask});
  }
  std::string file = (std::filesystem::temp_directory_path() / "saw-smt2-XXXXXX").string();
  const int fd = ::mkstemp(file.data());
  ASSERT_GE(fd, 0);
  size_t satisfiable = 0;
  for (const Question& question : questions) {
    ASSERT_TRUE(replace_file(file, question.smt2, 0600, Durability::none));
    satisfiable += question.satisfiable ? 1 : 0;
    EXPECT_EQ(ask_cvc5(file), question.satisfiable ? "sat" : "unsat") << question.smt2;
  }
  ::unlink(file.c_str());
  ::close(fd);
  EXPECT_GT(satisfiable, 0u);
  EXPECT_LT(satisfiable, questions.size());
}

}  // namespace
}  // namespace saw::policy::prove
