#include "os/background.h"

#include <optional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace saw::os {
namespace {

class BackgroundTest : public testing::Test {
 protected:
  BackgroundTest() : loop_(std::move(*Loop::create())) {}
  std::unique_ptr<Background> start(const Background::Options& options,
                                    const std::function<std::string()>& work) {
    auto job =
        Background::start(loop_, options, work, [this](Result<std::string> r) { answer_ = std::move(r); });
    SAW_CHECK(job.has_value());
    return std::move(*job);
  }
  bool answered() {
    for (int i = 0; i < 5'000 && !answer_; ++i) {
      pollfd ready{.fd = loop_.fd(), .events = POLLIN};
      ::poll(&ready, 1, 1);
      loop_.run_ready();
    }
    return answer_.has_value();
  }
  Loop loop_;
  std::optional<Result<std::string>> answer_;
};

TEST_F(BackgroundTest, the_answer_comes_whatever_its_size) {
  auto job = start({.limit_ms = 5'000}, [] { return std::string(5u << 20, 'x'); });
  ASSERT_TRUE(answered());
  ASSERT_TRUE(*answer_) << answer_->error().message;
  EXPECT_EQ((*answer_)->size(), 5u << 20);
}

TEST_F(BackgroundTest, one_that_dies_is_an_error_and_not_an_empty_answer) {
  auto job = start({.limit_ms = 5'000}, []() -> std::string { ::_exit(3); });
  ASSERT_TRUE(answered());
  ASSERT_FALSE(*answer_);
  EXPECT_NE(answer_->error().message.find("exited with status 3"), std::string::npos);
}

TEST_F(BackgroundTest, one_that_takes_too_long_is_ended) {
  auto job = start({.limit_ms = 20}, []() -> std::string {
    for (;;) ::pause();
  });
  ASSERT_TRUE(answered());
  ASSERT_FALSE(*answer_);
  EXPECT_NE(answer_->error().message.find("too long"), std::string::npos);
}

TEST_F(BackgroundTest, it_holds_no_descriptor_but_those_it_was_given) {
  Pipe other = std::move(*Pipe::create());
  Fd kept = std::move(*Fd::open("/dev/null", O_RDONLY));
  const int raw_other = other.write.get(), raw_kept = kept.get();
  auto job = start({.keep = {raw_kept}, .limit_ms = 5'000}, [=] {
    return std::string(::fcntl(raw_other, F_GETFD) < 0 ? "closed " : "open ") +
           (::fcntl(raw_kept, F_GETFD) < 0 ? "closed" : "open");
  });
  ASSERT_TRUE(answered());
  EXPECT_EQ(answer_->value(), "closed open");
}

TEST_F(BackgroundTest, destroying_it_ends_the_process) {
  Pipe life = std::move(*Pipe::create());
  auto job = start({.keep = {life.write.get()}, .limit_ms = 60'000}, []() -> std::string {
    for (;;) ::pause();
  });
  life.write.reset();
  job.reset();
  char byte = 0;
  EXPECT_EQ(::read(life.read.get(), &byte, 1), 0) << "its end of the pipe is gone";
  EXPECT_FALSE(answer_);
}

}  // namespace
}  // namespace saw::os
